# SPDX-License-Identifier: GPL-2.0
"""Fetches every file of a served directory with curl and compares it with the original."""

import hashlib
import os
import subprocess
import tempfile
import urllib.parse

BATCH = 100

# Copies that reading files for a socket must never need
NEVER = ("fs", "direct", "special", "mapped", "pinned", "busy", "edge", "file_write", "cow")


def files(docroot):
    for top, _, names in os.walk(docroot):
        for name in sorted(names):
            path = os.path.join(top, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield os.path.relpath(path, docroot)


def ranges(length):
    """(Range header, first byte, end) that are of interest for a file of this length"""
    if length == 0:
        return []
    middle = length // 2
    found = [("0-0", 0, 1), (f"{length - 1}-", length - 1, length),
             (f"-{min(length, 1000)}", length - min(length, 1000), length),
             (f"{middle}-{middle + 4999}", middle, min(length, middle + 5000))]
    return found


def curl(transfers, directory):
    """Runs transfers, dicts of curl's options, over kept connections. (status, length) of each."""
    config = []
    for number, transfer in enumerate(transfers):
        options = {"output": os.path.join(directory, str(number)),
                   "write-out": r"%{http_code} %header{content-length}\n", **transfer}
        for name, value in options.items():
            escaped = str(value).replace("\\", "\\\\").replace('"', '\\"') \
                if name != "write-out" else value
            config.append(name if value is True else f'{name} = "{escaped}"')
        config.append("next")
    text = "\n".join(config[:-1]) + "\n"
    done = subprocess.run(["curl", "-sS", "--max-time", "600", "--config", "-"], input=text,
                          capture_output=True, text=True, check=False)
    answers = [line.split() for line in done.stdout.splitlines()]
    answers = [(int(a[0]), int(a[1]) if len(a) > 1 else None) for a in answers]
    answers += [(0, None)] * (len(transfers) - len(answers))
    return answers, done.stderr.strip()


def digest_of(path, first=0, end=None):
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as f:
            f.seek(first)
            left = os.fstat(f.fileno()).st_size - first if end is None else end - first
            while left > 0:
                data = f.read(min(left, 1 << 20))
                if not data:
                    break
                digest.update(data)
                left -= len(data)
    except FileNotFoundError:
        pass
    return digest.hexdigest()


def compare(url, docroot, names):
    """Differences, as sentences, and the number of body bytes that were asked for"""
    plan = []
    for name in names:
        path = os.path.join(docroot, name)
        length = os.path.getsize(path)
        at = url + "/" + urllib.parse.quote(os.fsencode(name))
        plan.append((name, "GET", path, 0, length, 200, {"url": at}))
        plan.append((name, "HEAD", path, 0, 0, 200, {"url": at, "head": True}))
        for header, first, end in ranges(length):
            plan.append((name, "range " + header, path, first, end, 206,
                         {"url": at, "range": header}))
    wrong, total = [], 0
    with tempfile.TemporaryDirectory() as directory:
        answers, said = curl([p[-1] for p in plan], directory)
        for number, (what, answer) in enumerate(zip(plan, answers)):
            name, kind, path, first, end, status, _ = what
            got = os.path.join(directory, str(number))
            length = os.path.getsize(path) if kind == "HEAD" else end - first
            if answer != (status, length):
                wrong.append(f"{kind} of {name}: expected status {status} and {length} bytes, "
                             f"seen {answer[0]} and {answer[1]}" + (f" ({said})" if said else ""))
            elif kind != "HEAD":
                total += length
                if digest_of(got) != digest_of(path, first, end):
                    wrong.append(f"{kind} of {name}: the body differs from the file")
    return wrong, total, len(plan)


def smoke(server, docroot):
    """Every file. What was wrong, and a line about what was done."""
    before = server.fresh_counters()
    names = list(files(docroot))
    wrong, total, requests = [], 0, 0
    for at in range(0, len(names), BATCH):
        w, t, r = compare(server.url, docroot, names[at:at + BATCH])
        wrong, total, requests = wrong + w, total + t, requests + r
    after = server.fresh_counters()

    def grown(name):
        return after.get(name, 0) - before.get(name, 0)

    if grown("iolite_sent_bytes") < total:
        wrong.append(f"{total} body bytes were asked for, but the kernel counts "
                     f"{grown('iolite_sent_bytes')} sent by reference")
    for reason in NEVER:
        if grown("iolite_copied_" + reason):
            wrong.append(f"the kernel copied {grown('iolite_copied_' + reason)} bytes"
                         f" (reason: {reason})")
    return wrong, f"{len(names)} files, {requests} requests, {total} body bytes"
