#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Exports build/series: a series that "git am" takes, each patch with the new files it needs.

    series.py PRISTINE

A patch of patches/ changes existing files of the kernel. A line

    IOLite-Files: mm/iolite_pool.c include/linux/iolite.h

at the end of its message names the new files that go with it; the line itself
is not exported. A patch may consist of new files only. The exported series is
then applied, in order, to a pristine tree, and must give what build/linux is.
"""

import email.parser
import email.policy
import email.utils
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
import layout  # noqa: E402

OUT = os.path.join(layout.BUILD, "series")
TREE = os.path.join(layout.BUILD, "linux")
WORK = os.path.join(layout.BUILD, "series.work")
COVER = os.path.join(layout.PATCHES, "cover-letter.txt")


def git(directory, *args, env=None, stdin=None):
    done = subprocess.run(["git", "-C", directory, "-c", "core.autocrlf=false",
                           "-c", "user.name=IO-Lite", "-c", "user.email=iolite@localhost",
                           "-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null",
                           "-c", "gc.auto=0", *args],
                          check=False, capture_output=True, text=True, input=stdin,
                          env={**os.environ, **(env or {})})
    if done.returncode:
        layout.die(f"git {args[0]} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


class Patch:
    """One file of patches/, read"""

    def __init__(self, path):
        self.path = path
        self.name = os.path.basename(path)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        mail = email.parser.Parser(policy=email.policy.default).parsestr(
            re.sub(r"\AFrom [0-9a-f]{7,} .*\n", "", text))
        self.author = mail["From"]
        self.date = mail["Date"]
        subject = re.sub(r"\A\[PATCH[^]]*\]\s*", "", re.sub(r"\s*\n\s*", " ", mail["Subject"] or ""))
        body = re.split(r"^(?:---|diff --git .*)$", mail.get_content(), maxsplit=1, flags=re.M)[0]
        files = re.findall(r"^IOLite-Files:(.*)$", body, re.M)
        self.files = " ".join(files).split()
        body = re.sub(r"^IOLite-Files:.*\n?", "", body, flags=re.M).strip()
        self.message = f"{subject}\n\n{body}\n"
        if not self.author or not subject or not body:
            layout.die(f"patches/{self.name} needs From:, Subject: and a message")


def new_repository(pristine, touched, name):
    """A repository with the files of the pristine tree that the series changes"""
    directory = os.path.join(WORK, name)
    os.makedirs(directory)
    git(directory, "init", "-q")
    for path in touched:
        layout.copy(os.path.join(pristine, path), os.path.join(directory, path))
    git(directory, "add", "-A", "-f")
    git(directory, "commit", "-q", "--allow-empty", "-m", "pristine")
    return directory


def commit(directory, patch, own, unused):
    layout.apply(patch.path, directory)
    for path in patch.files:
        if path not in own:
            layout.die(f"patches/{patch.name} brings {path}, which is no file of this checkout")
        if path not in unused:
            layout.die(f"patches/{patch.name} brings {path}, as an earlier patch does")
        unused.discard(path)
        layout.copy(own[path], os.path.join(directory, path))
    git(directory, "add", "-A", "-f")
    git(directory, "commit", "-q", f"--author={patch.author}", "-F", "-", stdin=patch.message,
        env={"GIT_AUTHOR_DATE": patch.date, "GIT_COMMITTER_DATE": patch.date} if patch.date else {})


def cover(out):
    """Fills git's template of a cover letter with the text of ours"""
    path = os.path.join(out, "0000-cover-letter.patch")
    with open(COVER, encoding="utf-8") as f:
        subject, _, blurb = f.read().partition("\n")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    subject = re.sub(r"\A(?:Subject:)?\s*(?:\[[^]]*\])?\s*", "", subject)
    text = text.replace("*** SUBJECT HERE ***", subject.strip())
    text = text.replace("*** BLURB HERE ***", blurb.strip())
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def check(pristine, touched, own):
    """The exported patches, as a maintainer would apply them"""
    directory = new_repository(pristine, touched, "check")
    mails = sorted(name for name in os.listdir(OUT) if not name.startswith("0000-"))
    git(directory, "am", "-q", *[os.path.join(OUT, name) for name in mails])
    for path in sorted(touched | set(own)):
        here, there = (os.path.join(top, path) for top in (directory, TREE))
        present = [os.path.exists(p) for p in (here, there)]
        if not any(present):
            continue
        if not all(present):
            layout.die(f"{path} is in only one of the series and {TREE}")
        with open(here, "rb") as a, open(there, "rb") as b:
            if a.read() != b.read():
                layout.die(f"{path} differs between the series and {TREE}")
    return len(mails)


def main():
    if len(sys.argv) != 2:
        layout.die("usage: series.py PRISTINE")
    pristine = sys.argv[1]
    patches = [Patch(path) for path in layout.patches()]
    if not patches:
        layout.die("patches/series names no patch")
    listed = {p.name for p in patches}
    stray = [n for n in os.listdir(layout.PATCHES) if n.endswith(".patch") and n not in listed]
    if stray:
        layout.die(f"patches/{stray[0]} is not in patches/series: add it there or remove it")
    own = layout.own_files()
    touched = set().union(*(layout.touched(p.path) for p in patches))

    shutil.rmtree(WORK, ignore_errors=True)
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(OUT)
    directory = new_repository(pristine, touched, "export")
    unused = set(own)
    for patch in patches:
        commit(directory, patch, own, unused)
    if unused:
        layout.die(f"no patch brings {' '.join(sorted(unused))}: "
                   "name each in an IOLite-Files: line of the patch that needs it first")
    letter = ["--cover-letter"] if os.path.exists(COVER) else []
    name, address = email.utils.parseaddr(patches[0].author)
    git(directory, "format-patch", "-q", "--zero-commit", "--no-signature", *letter,
        "-o", OUT, f"HEAD~{len(patches)}",
        env={"GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": address})
    if letter:
        cover(OUT)
    count = check(pristine, touched, own)
    shutil.rmtree(WORK)
    print(f"{OUT}: {count} patches, which apply in order and give {TREE}")


if __name__ == "__main__":
    main()
