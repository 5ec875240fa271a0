#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make check: all suites, or SUITE=name. Ends in one line with the sums."""

import importlib
import os
import sys
import time
import traceback

sys.dont_write_bytecode = True
from report import Report, vm  # noqa: E402

# suite -> (module of suites/, arguments), in an order that finds cheap mistakes first
SUITES = {
    "tools": ("tools",),
    "model": ("model",),
    "series": ("series",),
    "docs": ("docs",),
    "lib": ("lib",),
    "kunit-prod": ("kunit", "prod"),
    "selftests-prod": ("selftests", "prod"),
    "immutability-prod": ("immutability", "prod"),
    "counters": ("counters",),
    "smoke": ("smoke",),
    "httpd": ("httpd",),
    "kunit-debug": ("kunit", "debug"),
    "selftests-debug": ("selftests", "debug"),
    "immutability-debug": ("immutability", "debug"),
}


def chosen():
    name = os.environ.get("SUITE")
    if not name:
        return list(SUITES)
    found = [s for s in SUITES if s == name or s.startswith(name + "-")]
    if not found:
        print("suites: " + " ".join(SUITES))
        if name == "list":
            sys.exit(0)
        sys.exit(f"iolite: SUITE={name} is no suite: give one of those")
    return found


def main():
    passed = failed = skipped = 0
    for suite in chosen():
        print(f"== suite {suite}", flush=True)
        begun = time.monotonic()
        report = Report(suite)
        module, *args = SUITES[suite]
        try:
            importlib.import_module("suites." + module).run(report, *args)
        except vm.VmError as e:
            report.fail("run", str(e))
        except Exception:       # a broken suite must not hide the others' results
            traceback.print_exc()
            report.fail("run", "the suite itself broke, see above")
        print(f"== suite {suite}: {report.passed} passed, {report.failed} failed, "
              f"{report.skipped} skipped, {time.monotonic() - begun:.0f} s", flush=True)
        passed += report.passed
        failed += report.failed
        skipped += report.skipped
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
