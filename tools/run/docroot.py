# SPDX-License-Identifier: GPL-2.0
"""The directory that is served: an example, and a disk image of any."""

import hashlib
import os
import random
import shutil
import subprocess

PAGE = 4096
SIZES = (0, 1, 100, PAGE - 1, PAGE, PAGE + 1, 10_000, 16 * PAGE - 1, 16 * PAGE + 1, 300_001,
         2**20 - 1, 2**20, 3 * 2**20 + 7, 16 * 2**20)

INDEX = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>IO-Lite</title>
<link rel="stylesheet" href="style.css"></head>
<body><h1>IO-Lite</h1>
<p>Every byte of this page's body went from the page cache to the network card by reference.</p>
<ul>
{links}
</ul>
<p>Also a <a href="sub/">page of a subdirectory</a> and a
<a href="listing/">directory without one</a>.</p>
</body></html>
"""


class DocrootError(Exception):
    """What is wrong with a directory, in one sentence for the user"""


def make_example(directory):
    """Files of sizes that meet every kind of edge. The same bytes every time."""
    if os.path.exists(os.path.join(directory, "index.html")):
        return
    new = directory + ".new"
    shutil.rmtree(new, ignore_errors=True)
    numbers = random.Random(1999)

    def put(path, data):
        os.makedirs(os.path.dirname(os.path.join(new, path)), exist_ok=True)
        with open(os.path.join(new, path), "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())

    names = [f"size-{size}.bin" for size in SIZES]
    for name, size in zip(names, SIZES):
        put(name, numbers.randbytes(size))
    put("style.css", "body { font-family: sans-serif; max-width: 40em; margin: 2em auto }\n")
    put("sub/index.html", "<!DOCTYPE html><title>Below</title><p>A page of a subdirectory.\n")
    put("listing/a name with blanks.txt", "blanks\n" * 1000)
    put("listing/größe & 100%.txt", "Größe\n" * 1000)
    put("listing/deeper/still/data.json", '{"depth": 3}\n')
    put("index.html", INDEX.format(links="\n".join(
        f'<li><a href="{name}">{name}</a></li>' for name in names)))
    shutil.rmtree(directory, ignore_errors=True)
    os.rename(new, directory)


def _entries(directory):
    def unreadable(error):
        raise DocrootError(f"DOCROOT: {error.filename} cannot be read: "
                           "change its permissions or name another directory")
    for top, directories, names in os.walk(directory, onerror=unreadable):
        directories.sort()
        for name in sorted(directories + names):
            path = os.path.join(top, name)
            yield path, os.lstat(path)


def make_image(directory, image):
    """An ext4 file system with the directory's contents, made again only if they changed"""
    manifest = hashlib.sha256()
    pages = count = 0
    for path, st in _entries(directory):
        manifest.update(repr((os.path.relpath(path, directory), st.st_size, st.st_mtime_ns,
                              st.st_mode)).encode("utf-8", "surrogateescape"))
        pages += -(-st.st_size // PAGE)
        count += 1
    record = image + ".manifest"
    if os.path.exists(image) and os.path.exists(record):
        with open(record, encoding="ascii") as f:
            if f.read() == manifest.hexdigest():
                return
    # Bitmaps, inodes and extents on top of the data
    size = int(pages * PAGE * 1.03) + count * 1024 + (32 << 20)
    os.makedirs(os.path.dirname(image), exist_ok=True)
    free = shutil.disk_usage(os.path.dirname(image)).free
    if size > free:
        raise DocrootError(f"the image of {directory} needs {size >> 20} MB below "
                           f"{os.path.dirname(image)} and {free >> 20} MB are free: make room "
                           "or name a smaller directory")
    for old in (image, record):
        if os.path.exists(old):
            os.unlink(old)
    done = subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-b", str(PAGE), "-m", "0",
                           "-O", "^has_journal", "-N", str(count + 256), "-d", directory,
                           image, f"{size >> 10}k"],
                          check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        raise DocrootError(f"no image can be made of {directory} ({said}): "
                           "see that all of it can be read")
    with open(record, "w", encoding="ascii") as f:
        f.write(manifest.hexdigest())
