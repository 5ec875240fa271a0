# SPDX-License-Identifier: GPL-2.0
"""KUnit tests, which the kernel runs at boot."""

import re

from report import vm

LIMIT = {"prod": 180, "debug": 480}


def run(report, kernel):
    if not report.build("kernel", "DEBUG=1" if kernel == "debug" else "DEBUG="):
        return
    args = "kunit.filter_glob=*iolite*"
    if kernel == "debug":
        args += " iolite.hardened=1"
    guest = vm.Guest(kernel, report.log("guest"), "true\n", boot_args=args,
                     kmemleak=kernel == "debug")
    guest.start()
    guest.wait(LIMIT[kernel])
    log = guest.path("console")
    lines = [re.sub(r"^\[[ .\d]*\] ?", "", line) for line in guest.read("console").splitlines()]
    suite, seen, why = "", 0, ""
    for line in lines:
        if match := re.match(r" +# Subtest: (\S+)", line):
            suite = match[1]
        # A case is indented by one level; its parameters, by two, are part of it.
        elif match := re.match(r"    (not )?ok \d+ (\S+)(?: # SKIP (.*))?", line):
            seen += 1
            name = f"{suite}/{match[2]}"
            if match[3] is not None:
                report.skip(name, match[3])
            else:
                report.check(name, why or "not ok" if match[1] else None, log)
            why = ""
        elif re.match(r" +# .*(EXPECTATION|ASSERTION) FAILED", line):
            why = why or line.strip("# ")
    if not seen:
        report.fail("boot", "no KUnit test of IO-Lite reported", log)
    report.check("kernel log", guest.why_not(), None)
