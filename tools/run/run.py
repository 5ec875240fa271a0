#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make run: serves DOCROOT from a guest until interrupted; with SMOKE=1 fetches all of it."""

import os
import signal
import socket
import sys
import time

sys.dont_write_bytecode = True
import docroot  # noqa: E402
import server as servers  # noqa: E402
import smoke  # noqa: E402
from server import vm  # noqa: E402



def check_port(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except PermissionError as e:
            raise vm.VmError(f"port {port} needs root: give a number above 1023") from e
        except OSError as e:
            raise vm.VmError(f"port {port} is in use: stop its owner or give another, "
                             f"as in PORT={port + 1}") from e


def show_counters(server):
    """Until interrupted: in place on a terminal, else a line when something changed"""
    last = ""
    while server.guest.running():
        line = servers.summary(server.counters())
        if sys.stdout.isatty():
            print("\r" + line.ljust(len(last)), end="", flush=True)
        elif line != last:
            print(line, flush=True)
        last = line
        time.sleep(2)


def serve(server):
    try:
        show_counters(server)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("\nstopping", flush=True)
    return []


def fetch_all(server, directory):
    wrong, done = smoke.smoke(server, directory)
    print(f"smoke: {done}, {len(wrong)} differences")
    print(servers.summary(server.counters()))
    return wrong


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    port = int(os.environ.get("PORT") or 8080)
    directory = os.environ.get("DOCROOT")
    if not directory:
        directory = os.path.join(vm.BUILD, "docroot")
        docroot.make_example(directory)
    directory = os.path.realpath(directory)
    check_port(port)
    smoking = bool(os.environ.get("SMOKE"))
    # Two servers at a time do not share a thing.
    place = os.path.join(vm.BUILD, "run", "smoke" if smoking else f"port-{port}")
    image = os.path.join(place, "docroot.img")
    docroot.make_image(directory, image)

    server = servers.Server("prod", os.path.join(place, "guest"), image, port=port,
                            options="--access-log /run/job/access.log")
    print("booting the guest", flush=True)
    try:
        server.start()
        print(f"IO-Lite serves {directory} at {server.url}/ (Ctrl-C stops it)", flush=True)
        wrong = fetch_all(server, directory) if smoking else serve(server)
        problem = server.finish()
    finally:
        server.guest.stop()
    for line in wrong:
        print("DIFFERENT " + line)
    if problem:
        raise vm.VmError(problem)
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (vm.VmError, docroot.DocrootError) as error:
        sys.exit(f"iolite: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
