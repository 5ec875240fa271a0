# SPDX-License-Identifier: GPL-2.0
"""From what a program printed and returned to named results."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "check"))
from report import parse_tap, vm  # noqa: E402

PASS, SKIP, FAIL, TIMEOUT, DOWN = "pass", "skip", "fail", "timeout", "kernel down"

# How bad: a result may not be worse on the patched kernel.
RANK = {PASS: 0, SKIP: 1, FAIL: 2, TIMEOUT: 2, DOWN: 3}

KSFT_SKIP = 4
TIMEOUT_STATUS = (124, 137)

# What a run differs in from the next without meaning anything
VOLATILE = (
    (re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{12,16}\b"), "ADDRESS"),
    (re.compile(r"\b\d+(\.\d+)?\s?([mun]?s|[KMG]?i?B/s|usec|msec|seconds?)\b"), "TIME"),
    (re.compile(r"\b(pid|PID)[ =:]*\d+"), "PID"),
    (re.compile(r"/tmp/\S+"), "FILE"),
)


def steady(name):
    for what, word in VOLATILE:
        name = what.sub(word, name)
    return name.strip()


def of_exit_status(status, skip):
    if status == 0:
        return PASS
    if status in TIMEOUT_STATUS:
        return TIMEOUT
    return SKIP if status in skip else FAIL


def of_stress(program, status, output):
    skipped = re.search(r"skipped: [1-9]", output) and not re.search(r"passed: [1-9]", output)
    # 3: not enough of something; 4: not on this kernel
    yield program, SKIP if skipped and status == 0 else of_exit_status(status, (3, 4))


def of_fsx(program, status, output):
    # fio needs System V shared memory, which only the wide configuration has.
    missing = "shmget: Function not implemented" in output
    yield program, SKIP if missing else of_exit_status(status, ())


def of_selftest(program, status, output):
    yield program, of_exit_status(status, (KSFT_SKIP,))
    seen = {}

    def name_of(point):
        name = f"{program}: {steady(point)}"
        seen[name] = seen.get(name, 0) + 1
        return name if seen[name] == 1 else f"{name} ({seen[name]})"

    for point in parse_tap(output):
        yield name_of(point.name), {"ok": PASS, "skipped": SKIP, "failed": FAIL}[point.result]


OF_PART = {"fsx": of_fsx, "stress": of_stress, "selftests": of_selftest}


# These also come of a machine that has other things to do.
SLOW = re.compile(r"stall|blocked")
# What a test asked for: a page that is broken, for whoever maps it
INJECTED = re.compile(r"Memory failure:|Injecting memory failure")


def splats(console):
    """Result name -> what the kernel complained about first while the program ran"""
    found, program = {}, "boot"
    for line in console.splitlines():
        begun = re.search(r"compare: begin (.*)", line)
        if begun:
            program = begun[1].strip()
        elif vm.SPLAT.search(line) and not INJECTED.search(line):
            name = f"{program}: kernel log" + (", slow" if SLOW.search(line) else "")
            found.setdefault(name, line.strip())
    return found
