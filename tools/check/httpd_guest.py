#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The tests of the server, against one in a guest; prints TAP.

A program of its own, because it moves to a private network with a tap device;
where that is not allowed the tests go through QEMU's user network.
"""

import os
import subprocess
import sys

sys.dont_write_bytecode = True
from report import BUILD, ROOT, servers, vm  # noqa: E402
import docroot  # noqa: E402

TESTS = os.path.join(ROOT, "tools/httpd/tests/run.py")
DOCROOT = os.path.join(BUILD, "httpd-docroot")

LIMITS = ("--header-timeout", "10", "--idle-timeout", "12", "--send-timeout", "10")


def main():
    tap = vm.private_network()
    if not tap:
        print("# no tap device here: through QEMU's user network")
    directory, = sys.argv[1:]
    subprocess.run([TESTS, "--make-docroot", DOCROOT], check=True)
    image = os.path.join(BUILD, "run", "httpd-docroot.img")
    docroot.make_image(DOCROOT, image)
    port = servers.free_port()
    server = servers.Server("prod", directory, image, port=port, tap=tap,
                            options=" ".join(LIMITS) + " --access-log /run/access.log")
    try:
        server.start()
        sys.stdout.flush()
        status = subprocess.run([TESTS, "--url", server.url, "--docroot", DOCROOT, "--counters",
                                 server.guest.path("counters"), *LIMITS],
                                check=False).returncode
        problem = server.finish()
    finally:
        server.guest.stop()
    if problem:
        print(f"# {problem}")
        print("not ok 1000 - the guest ends well")
    return status or bool(problem)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (vm.VmError, docroot.DocrootError) as error:
        print(f"not ok 1 - {error}")
        sys.exit(1)
