# SPDX-License-Identifier: GPL-2.0
"""The server: its units, then from outside through virtio-net."""

import os

from report import ROOT


def run(report):
    if not report.build("kernel", "server", "DEBUG="):
        return
    report.command("units", ["make", "-C", os.path.join(ROOT, "tools/httpd"), "check"], 300)
    for name in ("usual", "requests", "connections"):
        report.command(name, [os.path.join(ROOT, "tools/check/httpd_guest.py"), name,
                              report.log("guest-" + name)], 900)
