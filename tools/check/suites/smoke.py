# SPDX-License-Identifier: GPL-2.0
"""make run SMOKE=1: every file of the example directory, from outside the guest."""

from report import ROOT, servers


def run(report):
    if report.build("kernel", "server", "DEBUG="):
        port = servers.free_port()
        report.command("example-directory", ["make", "--no-print-directory", "-C", ROOT, "run",
                                             "SMOKE=1", f"PORT={port}"], 600)
        with open(report.log("example-directory"), encoding="utf-8") as f:
            for line in f:
                if line.startswith(("smoke:", "DIFFERENT")) or " requests, " in line:
                    print("   " + line.rstrip())
