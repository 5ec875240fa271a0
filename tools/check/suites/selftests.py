# SPDX-License-Identifier: GPL-2.0
"""The kernel selftests, from an installed tree, in one boot."""

import os
import re

from report import BUILD

INSTALLED = os.path.join(BUILD, "kselftest")
# "settings" has seconds for a machine that is not emulated and not busy. Only a
# program that hangs meets these limits.
SLOWER = {"prod": 3, "debug": 8}
LIMIT = {"prod": 1800, "debug": 3000}


# Have a suite of their own
ELSEWHERE = {"iolite_matrix", "iolite_stress", "iolite_table"}


def names():
    with open(os.path.join(INSTALLED, "kselftest-list.txt"), encoding="utf-8") as f:
        found = [line.split(":")[1].strip() for line in f if line.startswith("iolite:")]
    return [name for name in found if name not in ELSEWHERE]


def timeout():
    with open(os.path.join(INSTALLED, "iolite", "settings"), encoding="utf-8") as f:
        return int(re.search(r"timeout=(\d+)", f.read())[1])


def run(report, kernel):
    # The selftests are built against the production kernel's headers, whatever they run on.
    if not report.build("selftests", "DEBUG="):
        return
    if kernel == "debug" and not report.build("kernel", "DEBUG=1"):
        return
    report.programs(kernel, os.path.join(INSTALLED, "iolite"), names(),
                    timeout() * SLOWER[kernel], LIMIT[kernel])
