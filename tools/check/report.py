# SPDX-License-Identifier: GPL-2.0
"""What suites report to, and what they share."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "run"))
import server as servers  # noqa: E402  (for the suites, too)
from server import vm  # noqa: E402

ROOT = vm.ROOT
BUILD = vm.BUILD
LOGS = os.path.join(BUILD, "logs")


JOB = """\
cat /sys/kernel/mm/iolite/buffers > /run/job/iolite
{exports}
cd {directory} || exit
for program in {programs}; do
	echo "test program $program" > /dev/kmsg
	timeout -k 5 {timeout} ./$program > /run/job/$program.tap 2>&1 < /dev/null
	echo $? > /run/job/$program.status
done
"""


class Report:
    """Results of one suite; each is printed as it comes"""

    def __init__(self, suite):
        self.suite = suite
        self.passed = self.failed = self.skipped = 0

    def log(self, name):
        """Where a log of that name goes"""
        directory = os.path.join(LOGS, self.suite)
        os.makedirs(directory, exist_ok=True)
        return os.path.join(directory, name)

    def ok(self, name, count=1):
        self.passed += count
        print(f"ok {self.suite}/{name}" + (f" ({count} tests)" if count > 1 else ""), flush=True)

    def fail(self, name, why, log=None, count=1):
        self.failed += count
        print(f"FAILED {self.suite}/{name}: {why}" + (f" (log: {log})" if log else ""), flush=True)

    def skip(self, name, why):
        self.skipped += 1
        print(f"skipped {self.suite}/{name}: {why}", flush=True)

    def check(self, name, problem, log=None):
        """One test whose result is a problem or None"""
        if problem:
            self.fail(name, problem, log)
        else:
            self.ok(name)

    def build(self, *targets):
        """True if these targets of the front door could be made"""
        done = subprocess.run(["make", "--no-print-directory", "-C", ROOT, *targets],
                              check=False, stdin=subprocess.DEVNULL, env=clean_environment())
        if done.returncode:
            self.fail("build", f"\"make {' '.join(targets)}\" failed", LOGS)
        return done.returncode == 0

    def command(self, name, command, limit, **how):
        """A program whose exit status is the result, or whose output is TAP. Its output."""
        log = self.log(name.replace("/", "-"))
        try:
            with open(log, "w", encoding="utf-8") as f:
                status = subprocess.run(command, check=False, stdin=subprocess.DEVNULL,
                                        stdout=f, stderr=subprocess.STDOUT, timeout=limit,
                                        env=clean_environment(), **how).returncode
        except subprocess.TimeoutExpired:
            self.fail(name, f"not done after {limit} s", log)
            return
        with open(log, encoding="utf-8", errors="replace") as f:
            self.tap(name, f.read(), status, log)

    def tap(self, name, text, status, log):
        """Reports a program from its output and exit status"""
        points = parse_tap(text)
        failed = [p for p in points if p.result == "failed"]
        good = sum(p.result == "ok" for p in points)
        for point in points:
            if point.result == "skipped":
                self.skip(f"{name}/{point.name}", point.why)
        for point in failed:
            self.fail(f"{name}/{point.name}", point.why or "not ok", log)
        planned = sum(int(n) for n in re.findall(r"^1\.\.(\d+)", text, re.M))
        missing = max(planned - len(points), 0)
        if missing:
            self.fail(name, f"{missing} of {planned} tests gave no result", log, missing)
        elif status and not failed:
            self.fail(name, "not done in time" if status == 124 else f"exit status {status}", log)
        elif not points:
            self.ok(name)
        if good:
            self.ok(name, good)


    def programs(self, kernel, directory, names, timeout, limit, environment=()):
        """Programs that print TAP, one after the other in one boot. The boot."""
        exports = "\n".join(f"export {name}={value}" for name, value in environment)
        job = JOB.format(directory=directory, programs=" ".join(names), timeout=timeout,
                         exports=exports)
        guest = vm.Guest(kernel, self.log("guest"), job, boot_args="kunit.enable=0", memory="3G",
                         kmemleak=kernel == "debug")
        guest.start()
        guest.wait(limit)
        for name in names:
            log = guest.path(name + ".tap")
            status = guest.read(name + ".status").strip()
            if status:
                self.tap(name, guest.read(name + ".tap"), int(status), log)
            else:
                self.fail(name, "the guest went down before it was done", log)
        # Without it every test would only be skipped.
        self.check("the kernel has IO-Lite", None if guest.read("iolite") else "it does not",
                   guest.path("console"))
        self.check("kernel log", guest.why_not())
        return guest


class Point:
    def __init__(self, name, result, why):
        self.name, self.result, self.why = name, result, why


def parse_tap(text):
    """The points of TAP, with the last thing said before one as the reason of a failure"""
    points, said = [], ""
    for line in text.splitlines():
        match = re.match(r"(not )?ok \d+\s*-?\s*(.*?)(?:\s+#\s*(SKIP\S*|TODO)\s*(.*))?$", line,
                         re.I)
        if match:
            failed, name, directive, why = match.groups()
            if directive and directive.upper().startswith("SKIP"):
                points.append(Point(name, "skipped", why))
            elif failed:
                points.append(Point(name, "failed", said))
            else:
                points.append(Point(name, "ok", ""))
            said = ""
        elif line.startswith("#") and not re.match(r"#\s+(RUN|OK|FAIL)\s", line) and not said:
            said = line.lstrip("# ").strip()
    return points


def clean_environment():
    """Without what a make above leaves to a make below, and the variables of its command line"""
    return {name: value for name, value in os.environ.items()
            if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "SUITE",
                            "DOCROOT", "PORT", "SMOKE", "DEBUG")}
