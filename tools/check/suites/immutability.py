# SPDX-License-Identifier: GPL-2.0
"""I1: the matrix of ways to change a file, the stress, and the table of file systems."""

import os
import re

from report import ROOT
from suites import selftests

DIRECTORY = os.path.join(selftests.INSTALLED, "iolite")
PAGE = os.path.join(ROOT, "Documentation/mm/iolite.rst")
PROGRAMS = {
    "prod": ["iolite_matrix", "iolite_table", "iolite_stress"],
    "debug": ["iolite_matrix", "iolite_stress"],
}
ENVIRONMENT = {
    "prod": {"IOLITE_STRESS_SECONDS": 45},
    "debug": {"IOLITE_STRESS_SECONDS": 60, "IOLITE_MATRIX": "quick"},
}
# For a machine that does something else, too
TIMEOUT = {"prod": 900, "debug": 900}
LIMIT = {"prod": 1800, "debug": 1800}


def documented(table):
    """The problem, or None if the page has the rows that the test saw"""
    if not table:
        return "the test printed no table"
    with open(PAGE, encoding="utf-8") as f:
        page = f.read()
    if "\n".join(table) in page:
        return None
    missing = [line for line in table if line not in page.splitlines()]
    return "the table in the documentation is not that of the test: replace it by the log's" + \
        (f"; it lacks \"{missing[0]}\"" if missing else "")


def run(report, kernel):
    # The selftests are built against the production kernel's headers, whatever they run on.
    if not report.build("selftests", "DEBUG="):
        return
    if kernel == "debug" and not report.build("kernel", "DEBUG=1"):
        return
    environment = dict(ENVIRONMENT[kernel])
    # A longer stress, or one that failed once more
    for name in ("IOLITE_STRESS_SECONDS", "IOLITE_STRESS_SEED"):
        if name in os.environ:
            environment[name] = int(os.environ[name])
    seconds = environment["IOLITE_STRESS_SECONDS"]
    guest = report.programs(kernel, DIRECTORY, PROGRAMS[kernel], TIMEOUT[kernel] + seconds,
                            LIMIT[kernel] + seconds, environment.items())
    if seed := re.search(r"# (seed \d+, .*)", guest.read("iolite_stress.tap")):
        print(f"   stress: {seed[1]}")
    if kernel == "prod":
        log = guest.path("iolite_table.tap")
        table = re.findall(r"^# table: (.*?) *$", guest.read("iolite_table.tap"), re.M)
        report.check("table of file systems", documented(table), log)
