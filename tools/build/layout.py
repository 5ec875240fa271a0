# SPDX-License-Identifier: GPL-2.0
"""Where the parts of this repository go in a kernel tree, and how patches are read."""

import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.join(ROOT, "build")
PATCHES = os.path.join(ROOT, "patches")

# directory or file here -> in the kernel tree
PLACES = (("kernel/iolite", ""),
          ("Kconfig.iolite", "mm/Kconfig.iolite"),
          ("selftests/iolite", "tools/testing/selftests/iolite"),
          ("Documentation", "Documentation"))


def die(message):
    sys.exit(f"iolite: {message}")


def patches():
    """The patch files in the order of patches/series"""
    order = os.path.join(PATCHES, "series")
    if not os.path.exists(order):
        return []
    with open(order, encoding="utf-8") as f:
        names = [line.split("#")[0].strip() for line in f]
    found = [os.path.join(PATCHES, name) for name in names if name]
    for path in found:
        if not os.path.exists(path):
            die(f"patches/series names {os.path.basename(path)}, which is not there")
    return found


def touched(patch):
    """The paths that a patch changes"""
    with open(patch, encoding="utf-8") as f:
        return set(re.findall(r"^(?:---|\+\+\+) [ab]/(\S+)", f.read(), re.M))


def apply(patch, directory):
    if not touched(patch):      # only brings new files
        return
    done = subprocess.run(["patch", "-p1", "-s", "-f", "-F0", "--no-backup-if-mismatch",
                           "-d", directory, "-i", patch],
                          check=False, capture_output=True, text=True)
    if done.returncode:
        die(f"patches/{os.path.basename(patch)} does not apply to this kernel: "
            + " ".join(done.stdout.split()))


def _ignored():
    """What git would not take: objects and programs that were built in place"""
    done = subprocess.run(["git", "-C", ROOT, "ls-files", "-o", "-i", "--exclude-standard",
                           "--directory", "kernel", "selftests", "Documentation"],
                          check=False, capture_output=True, text=True)
    return {line.rstrip("/") for line in done.stdout.splitlines()}


def own_files():
    """Path in the kernel tree -> file here, for every file that is new to the kernel"""
    ignored = _ignored()
    files = {}
    for here, there in PLACES:
        top = os.path.join(ROOT, here)
        if os.path.isfile(top):
            files[there] = top
        for directory, _, names in os.walk(top):
            for name in names:
                path = os.path.join(directory, name)
                if os.path.relpath(path, ROOT) not in ignored:
                    files[os.path.normpath(os.path.join(there, os.path.relpath(path, top)))] = path
    return files


def copy(source, target):
    """Contents and mode; nothing where there is no source"""
    if os.path.exists(source):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(source, target)
