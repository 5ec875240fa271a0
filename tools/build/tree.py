#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Assembles build/linux: a pristine tree, the patches, and the project's own files.

    tree.py PRISTINE

Only files whose contents change are written, so that a build after it compiles
only what changed.
"""

import filecmp
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
import layout  # noqa: E402

TREE = os.path.join(layout.BUILD, "linux")
STAGE = os.path.join(layout.BUILD, "stage")
# What the tree was made of, beside it: the base, then every file that is not the base's
RECORD = os.path.join(layout.BUILD, "linux.made-of")


def identity(pristine):
    """Names the contents of a pristine tree well enough to notice another one"""
    makefile = os.stat(os.path.join(pristine, "Makefile"))
    return f"{os.path.realpath(pristine)} {makefile.st_mtime_ns}"


def read_record():
    try:
        with open(RECORD, encoding="utf-8") as f:
            base, *files = f.read().splitlines()
            return base, files
    except (FileNotFoundError, ValueError):
        return None, []


def copy_base(pristine, keep):
    """True if that changed anything"""
    print(f"== copying {pristine} to {TREE}", flush=True)
    os.makedirs(TREE, exist_ok=True)
    done = subprocess.run(["rsync", "-ai", "--delete", "--exclude=.git", "--exclude=/out-*",
                           *[f"--exclude=/{path}" for path in keep],
                           pristine + "/", TREE + "/"], check=True, stdout=subprocess.PIPE)
    return bool(done.stdout)


def stage(pristine):
    """Makes every file that differs from the pristine tree. Their paths, and the paths removed."""
    shutil.rmtree(STAGE, ignore_errors=True)
    os.makedirs(STAGE)
    touched = set()
    for patch in layout.patches():
        touched |= layout.touched(patch)
    for path in touched:
        layout.copy(os.path.join(pristine, path), os.path.join(STAGE, path))
    for patch in layout.patches():
        layout.apply(patch, STAGE)
    own = layout.own_files()
    for path, source in own.items():
        if os.path.exists(os.path.join(pristine, path)):
            layout.die(f"{os.path.relpath(source, layout.ROOT)} would overwrite {path} of the "
                       "kernel: make the change a patch")
        layout.copy(source, os.path.join(STAGE, path))
    wanted = touched | set(own)
    removed = {path for path in wanted if not os.path.exists(os.path.join(STAGE, path))}
    return wanted - removed, removed


def update(path, source):
    """Writes a file of the tree if it is not like that already. True if it was written."""
    target = os.path.join(TREE, path)
    if os.path.exists(target) and filecmp.cmp(source, target, shallow=False) and \
       os.access(source, os.X_OK) == os.access(target, os.X_OK):
        return False
    layout.copy(source, target)
    os.utime(target)
    return True


def main():
    if len(sys.argv) != 2:
        layout.die("usage: tree.py PRISTINE")
    pristine = sys.argv[1]
    base, before = read_record()
    wanted, removed = stage(pristine)
    written = 0
    # A tree of the user's own may have changed anywhere; Debian's does not.
    if base != identity(pristine) or os.environ.get("KERNEL_SRC"):
        written += copy_base(pristine, wanted | removed | set(before))
    for path in sorted(set(before) - wanted - removed):
        if os.path.exists(os.path.join(pristine, path)):
            written += update(path, os.path.join(pristine, path))
        elif os.path.exists(os.path.join(TREE, path)):
            os.unlink(os.path.join(TREE, path))
            written += 1
    for path in sorted(wanted):
        written += update(path, os.path.join(STAGE, path))
    for path in removed:
        if os.path.exists(os.path.join(TREE, path)):
            os.unlink(os.path.join(TREE, path))
    shutil.rmtree(STAGE)
    made_of = identity(pristine), sorted(wanted | removed)
    if written or made_of != (base, before):
        with open(RECORD, "w", encoding="utf-8") as f:
            f.write("\n".join([made_of[0], *made_of[1]]) + "\n")
        print(f"== {TREE} is up to date with the patches and files of this checkout")


if __name__ == "__main__":
    main()
