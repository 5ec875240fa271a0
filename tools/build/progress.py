#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs a long make, keeps its log, and shows how far it is.

    progress.py LABEL LOG COUNT COMMAND...

COUNT is a file with the number of objects that the last whole build compiled. On
a terminal the line is updated in place; elsewhere one is printed every 30 seconds.
"""

import os
import re
import subprocess
import sys
import time

# "  CC      mm/gup.o", and not the lines of linking, generating and installing
OBJECT = re.compile(r"^  (CC|AS|HOSTCC|LDS)\s")
FIRST_GUESS = 1550


def main():
    label, log_path, count_path, *command = sys.argv[1:]
    try:
        with open(count_path, encoding="utf-8") as f:
            expected = int(f.read())
    except (FileNotFoundError, ValueError):
        expected = FIRST_GUESS
    terminal = sys.stdout.isatty()
    begun = shown = time.monotonic()
    done = 0
    with open(log_path, "w", encoding="utf-8") as log:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, errors="replace")
        for line in child.stdout:
            log.write(line)
            log.flush()
            done += bool(OBJECT.match(line))
            now = time.monotonic()
            if now - shown >= (0.5 if terminal else 30):
                shown = now
                text = f"{label}: {done} of at most {max(done, expected)} objects, " \
                       f"{int(now - begun)} s"
                print("\r" + text if terminal else text, end="" if terminal else "\n", flush=True)
        status = child.wait()
    took = int(time.monotonic() - begun)
    if terminal:
        print("\r" + " " * 70 + "\r", end="")
    if status:
        with open(log_path, encoding="utf-8") as log:
            said = [line for line in log if re.search(r"error|Error |undefined reference", line)]
        sys.stdout.write("".join(said[:10]))
        sys.exit(f"{label}: the build failed after {took} s (log: {log_path})")
    if done:
        print(f"{label}: done, {done} objects in {took} s")
    if not os.path.exists(count_path) or done > expected:
        with open(count_path, "w", encoding="utf-8") as f:
            f.write(f"{done}\n")


if __name__ == "__main__":
    main()
