# SPDX-License-Identifier: GPL-2.0
"""The counters behind the figures of the benchmarks, exact, on a fixed small workload."""

import os

from report import BUILD, ROOT

PROGRAM = os.path.join(BUILD, "check", "counters")
LIBRARY = os.path.join(BUILD, "lib")


def run(report):
    if not report.build("kernel", "lib", "DEBUG="):
        return
    os.makedirs(os.path.dirname(PROGRAM), exist_ok=True)
    report.command("build", ["cc", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror",
                             "-D_GNU_SOURCE", "-I", os.path.join(LIBRARY, "include"),
                             "-I", os.path.join(ROOT, "userspace/libiolite/tests"),
                             os.path.join(ROOT, "tools/check/counters.c"),
                             os.path.join(LIBRARY, "libiolite.a"), "-luring", "-o", PROGRAM], 60)
    report.programs("prod", os.path.join(ROOT, "tools/check"), ["counters.sh"], 60, 90)
