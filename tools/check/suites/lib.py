# SPDX-License-Identifier: GPL-2.0
"""libiolite's own tests."""

import glob
import os

from report import BUILD, ROOT

LIBRARY = os.path.join(ROOT, "userspace/libiolite")


def run(report):
    if not report.build("kernel", "lib", "DEBUG="):
        return
    report.command("host", ["make", "-C", LIBRARY, "check"], 900)
    report.command("guest-tests", ["make", "-C", LIBRARY, "guest-tests"], 300)
    built = glob.glob(os.path.join(BUILD, "lib/tests/guest-*"))
    names = sorted(os.path.basename(path) for path in built if os.access(path, os.X_OK))
    report.programs("prod", os.path.join(BUILD, "lib/tests"), names, timeout=120, limit=600)
