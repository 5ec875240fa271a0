# SPDX-License-Identifier: GPL-2.0
"""The series applies in order and gives the tree that is built and tested."""

from report import ROOT


def run(report):
    report.command("applies", ["make", "--no-print-directory", "-C", ROOT, "series"], 600)
