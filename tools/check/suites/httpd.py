# SPDX-License-Identifier: GPL-2.0
"""The server: its units, then from outside through virtio-net."""

import os

from report import ROOT


def run(report):
    if not report.build("kernel", "server", "DEBUG="):
        return
    report.command("units", ["make", "-C", os.path.join(ROOT, "tools/httpd"), "check"], 300)
    report.command("outside", [os.path.join(ROOT, "tools/check/httpd_guest.py"),
                               report.log("guest-outside")], 900)
    # Where files change, signals are sent and limits are met, the tests run beside the server.
    report.programs("prod", os.path.join(ROOT, "tools/httpd/tests"), ["live.sh"], 600, 700)
