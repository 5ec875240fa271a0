#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make bench: all benchmarks, or BENCH=name.

Results are in build/bench: NAME.jsonl, one object a row, and NAME.svg. Slow figures
fail nothing; wrong bytes do.

    QUICK=1     fewer sizes and repeats
    PROFILE=1   also NAME.profile: instructions of each kernel function in a request
    KERNEL=     an image, with its System.map beside it, instead of build/linux/out-prod
"""

import importlib
import os
import signal
import sys
import time

sys.dont_write_bytecode = True
import lab  # noqa: E402
from lab import vm  # noqa: E402

# In the order in which they run
BENCHES = ("file-to-tcp", "web", "aggregate", "memory", "idle", "overwrite", "write-by-ref")


def chosen():
    name = os.environ.get("BENCH")
    if not name:
        return BENCHES
    if name not in BENCHES:
        print("benchmarks: " + " ".join(BENCHES))
        if name == "list":
            sys.exit(0)
        sys.exit(f"iolite: BENCH={name} is no benchmark: give one of those")
    return (name,)


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    names = chosen()
    if not vm.private_network():
        raise vm.VmError("the benchmarks need a tap device: run as root, or allow user namespaces")
    os.makedirs(lab.OUT, exist_ok=True)
    kernel = lab.keep_kernel(os.environ.get("KERNEL") or "prod")
    wrong = []
    begun = time.monotonic()
    for name in names:
        module = importlib.import_module(name.replace("-", "_"))
        bench = lab.Lab(name, kernel, bool(os.environ.get("QUICK")),
                        bool(os.environ.get("PROFILE")))
        try:
            module.run(bench)
        except lab.WrongBytes as e:
            wrong.append(f"{name}: {e}")
        bench.save()
    print(f"\n{time.monotonic() - begun:.0f} s; figures and pictures are in build/bench")
    for line in wrong:
        print("WRONG BYTES " + line)
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except vm.VmError as e:
        sys.exit(f"iolite: {e}")
    except KeyboardInterrupt:
        sys.exit(130)
