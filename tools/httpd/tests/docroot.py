# SPDX-License-Identifier: MIT
"""The directory that the tests of the server ask for: the same bytes every time."""

import os
import random
import shutil

SIZES = (0, 1, 100, 4095, 4096, 4097, 10_000, 65_535, 65_537, 300_001, 2**20 - 1, 2**20,
         3 * 2**20 + 7, 16 * 2**20)
ODD_NAMES = ("blank s.txt", "größe.txt", "100% & <b>\"q\"'.txt", "a:b?c#d.txt", "line\nbreak.txt")


def make(directory):
    """Makes it, unless it is there"""
    if os.path.exists(os.path.join(directory, "complete")):
        return
    shutil.rmtree(directory, ignore_errors=True)
    numbers = random.Random(2)

    def put(name, data):
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)

    for size in SIZES:
        put(f"size-{size}.bin", numbers.randbytes(size))
    put("index.html", b"<!doctype html><title>root</title>\n")
    put("page/index.html", b"<!doctype html><title>page</title>\n")
    put("page/style.css", b"body {}\n")
    put("dots/index.html/file", b"index.html is a directory here\n")
    for name in ODD_NAMES:
        put("list/" + name, name.encode() * 100)
    put("list/below/x.json", b"{}\n")
    os.symlink("/etc/passwd", os.path.join(directory, "escape"))
    os.symlink("../../../../../../etc", os.path.join(directory, "escape-dir"))
    os.symlink("page/style.css", os.path.join(directory, "inside.css"))
    os.symlink("/proc/self/root/etc/passwd", os.path.join(directory, "magic"))
    os.symlink("loop", os.path.join(directory, "loop"))
    os.mkfifo(os.path.join(directory, "fifo"))
    put("complete", b"")
