# SPDX-License-Identifier: GPL-2.0
"""libiolite's own tests."""

import os

from report import ROOT, vm

LIBRARY = "userspace/libiolite"


def run(report):
    if not report.build("lib"):
        return
    report.command("host", ["make", "-C", os.path.join(ROOT, LIBRARY), "check"], 900)
