# SPDX-License-Identifier: GPL-2.0
"""What the benchmarks share: guests whose instructions are counted, rows, progress.

A benchmark is a module with run(lab), which adds rows and writes its picture and
table, and PICTURES, the names of its pictures. See bench.py for their list.
"""

import json
import os
import shutil
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "vm"))
import vm  # noqa: E402

OUT = os.path.join(vm.BUILD, "bench")
BIN = os.path.join(OUT, "bin")

# As copying is counted in moves of 8 bytes then, and not in "rep movsb", which would
# count an instruction for each byte: dearer than on any processor.
CPU = "max,-erms,-fsrm"


class WrongBytes(Exception):
    """A mechanism delivered what it should not: the only thing that fails a benchmark"""


class Lab:
    def __init__(self, name, kernel, quick, profile):
        self.name = name
        self.kernel = kernel
        self.quick = quick
        self.profile = profile
        self.rows = []
        self.begun = time.monotonic()

    # ---- Guests ----

    def guest(self, job, *, name="guest", counting=True, kernel=None, **options):
        """A guest that has not been started, in build/bench/NAME/@name.

        @counting: one processor, with the plugin; what it counts is for sections().
        Otherwise two processors and real time.
        """
        image = kernel or self.kernel
        directory = os.path.join(OUT, self.name, name)
        boot = "kunit.enable=0 " + options.pop("boot_args", "")
        extra = list(options.pop("qemu", ()))
        if counting:
            # or a kernel with one processor removes the lock prefixes
            boot += " noreplace-smp"
            plugin = (f"{BIN}/insns.so,map={system_map(image)},out={directory}/insns"
                      + (f",profile={directory}/profile" if self.profile else ""))
            extra += ["-plugin", plugin]
        return vm.Guest(image, directory, job, boot_args=boot, cpus=1 if counting else 2,
                        cpu=CPU, qemu=extra, **options)

    def run(self, guest, limit, each_second=None):
        """Starts the guest and waits for the end of its job; its output"""
        guest.start()
        try:
            status = guest.wait(limit, each_second)
        finally:
            guest.stop()
        problem = guest.why_not()
        if problem:
            raise vm.VmError(problem)
        if status:
            said = guest.read("output").strip().splitlines()
            raise vm.VmError(f"{self.name}: the job in the guest ended with status {status}: "
                             + (said[-1] if said else "(no output)"))
        return guest.read("output")

    @staticmethod
    def sections(guest):
        """What was counted in each marked section, in order"""
        return [json.loads(line) for line in guest.read("insns").splitlines()
                if line.endswith("}")]

    @staticmethod
    def profiles(guest):
        """For each marked section (instructions, entries, "kernel" or "user", function)"""
        found = []
        for line in guest.read("profile").splitlines():
            if line.startswith("section "):
                found.append([])
                continue
            side, insns, entries, name = line.split(None, 3)
            found[-1].append((int(insns), int(entries), side, name))
        return found

    def write_profile(self, sections):
        """build/bench/NAME.profile: for each (title, requests, a profile) what one request costs"""
        with open(self.path(self.name + ".profile"), "w", encoding="utf-8") as f:
            for title, requests, functions in sections:
                f.write(f"== {title}\n   instructions  entries  of one request\n")
                user = sum(insns for insns, _, side, _ in functions if side == "user")
                f.write(f"{user / requests:15.1f}           (user space)\n")
                for insns, entries, side, name in functions:
                    if side == "kernel" and insns >= requests:
                        f.write(f"{insns / requests:15.1f} {entries / requests:8.2f}  {name}\n")

    # ---- Progress ----

    def say(self, text):
        line = f"{self.name}: {text}, {time.monotonic() - self.begun:.0f} s"
        if sys.stdout.isatty():
            print("\r" + line.ljust(78), end="", flush=True)
        else:
            print(line, flush=True)

    def said(self):
        """The last of say() is over"""
        if sys.stdout.isatty():
            print("\r" + " " * 78 + "\r", end="", flush=True)

    # ---- Rows ----

    def add(self, **row):
        self.rows.append({"bench": self.name, **row})

    def path(self, name):
        return os.path.join(OUT, name)

    def save(self):
        with open(self.path(self.name + ".jsonl"), "w", encoding="utf-8") as f:
            for row in self.rows:
                f.write(json.dumps(row) + "\n")


def system_map(image):
    """Of a kernel's image: beside it, or where a build leaves it"""
    directory = os.path.dirname(os.path.realpath(image))
    for place in (directory, os.path.join(directory, "../../..")):
        path = os.path.normpath(os.path.join(place, "System.map"))
        if os.path.exists(path):
            return path
    raise vm.VmError(f"there is no System.map with {image}: run \"make kernel\" first")


def keep_kernel(kernel):
    """A copy of the image and its System.map that no build changes while they are in use"""
    image = vm.kernel_image(kernel)
    directory = os.path.join(OUT, "kernel-" + kernel.replace("/", "-").strip("-"))
    os.makedirs(directory, exist_ok=True)
    kept = os.path.join(directory, "bzImage")
    shutil.copy(image, kept)
    shutil.copy(system_map(image), os.path.join(directory, "System.map"))
    return kept


def median(values):
    return statistics.median(values)


def spread(values):
    """How far the values lie from their median, as a part of it"""
    middle = statistics.median(values)
    if not middle:
        return 0.0
    return statistics.median(abs(v - middle) for v in values) / abs(middle)
