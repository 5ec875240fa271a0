# SPDX-License-Identifier: GPL-2.0
"""The kernel selftests, from an installed tree, in one boot."""

import os
import re

from report import BUILD, vm

INSTALLED = os.path.join(BUILD, "kselftest")
# The debug kernel is several times slower.
SLOWER = {"prod": 1, "debug": 4}
LIMIT = {"prod": 900, "debug": 1800}

JOB = """\
cd build/kselftest/iolite || exit
for program in {programs}; do
	echo "selftest $program" > /dev/kmsg
	timeout -k 5 {timeout} ./$program > /run/job/$program.tap 2>&1 < /dev/null
	echo $? > /run/job/$program.status
done
"""


def programs():
    with open(os.path.join(INSTALLED, "kselftest-list.txt"), encoding="utf-8") as f:
        return [line.split(":")[1].strip() for line in f if line.startswith("iolite:")]


def timeout():
    with open(os.path.join(INSTALLED, "iolite", "settings"), encoding="utf-8") as f:
        return int(re.search(r"timeout=(\d+)", f.read())[1])


def run(report, kernel):
    # The selftests are built against the production kernel's headers, whatever they run on.
    if not report.build("selftests", "DEBUG="):
        return
    if kernel == "debug" and not report.build("kernel", "DEBUG=1"):
        return
    names = programs()
    job = JOB.format(programs=" ".join(names), timeout=timeout() * SLOWER[kernel])
    guest = vm.Guest(kernel, report.log("guest"), job, boot_args="kunit.enable=0", memory="3G",
                     kmemleak=kernel == "debug")
    guest.start()
    guest.wait(LIMIT[kernel])
    for name in names:
        log = guest.path(name + ".tap")
        status = guest.read(name + ".status").strip()
        if status:
            report.tap(name, guest.read(name + ".tap"), int(status), log)
        else:
            report.fail(name, "the guest went down before it was done", log)
    report.check("kernel-log", guest.why_not(), None)
