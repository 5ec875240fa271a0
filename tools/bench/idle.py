# SPDX-License-Identifier: GPL-2.0
"""What CONFIG_IOLITE=y costs programs that do not use it: the same paths with and without."""

import collections
import os
import subprocess

import lab as labs
import svg
import table
from lab import vm

PICTURES = ("idle",)

WITH, WITHOUT = "CONFIG_IOLITE=y, unused", "CONFIG_IOLITE=n"

JOB = """\
truncate -s 256M /tmp/disk && mkfs.ext4 -q /tmp/disk && mkdir /tmp/tmpfs /tmp/ext4 &&
mount -o loop /tmp/disk /tmp/ext4 && exec {bin}/idle /tmp/tmpfs /tmp/ext4
"""


def build():
    """The kernel that there is, but without IO-Lite"""
    done = subprocess.run([os.path.join(vm.ROOT, "tools/build/kernel.sh"), "off"], check=False,
                          stdin=subprocess.DEVNULL)
    if done.returncode:
        raise vm.VmError("the kernel without IO-Lite was not built, see above")
    return labs.keep_kernel("off")


def measure(lab, kernel, name):
    """(path, fs) -> instructions of an operation, in each round; and a profile"""
    # With icount the guest's clock is its instructions: every boot does the same.
    guest = lab.guest(JOB.format(bin=labs.BIN), name=name, kernel=kernel,
                      qemu=("-icount", "shift=0,sleep=off"))
    lines = lab.run(guest, 300).splitlines()
    cells, profile = collections.defaultdict(list), {}
    profiles = lab.profiles(guest)
    for number, (line, counted) in enumerate(zip(lines, lab.sections(guest), strict=True)):
        path, fs, operations = line.split()
        cells[path, fs].append((counted["user"] + counted["kernel"]) / int(operations))
        if profiles:
            profile[path, fs] = (int(operations), profiles[number])
    return {cell: rounds[1:] for cell, rounds in cells.items()}, profile


def run(lab):
    lab.say("building the kernel without IO-Lite, if it is not there")
    without = build()
    results = {}
    profiles = []
    for mechanism, kernel in ((WITHOUT, without), (WITH, lab.kernel)):
        lab.say(mechanism)
        results[mechanism], profile = measure(lab, kernel, "with" if mechanism == WITH
                                              else "without")
        profiles += [(f"{path}, {fs}, {mechanism}", *value)
                     for (path, fs), value in profile.items()]
    rows, series = [], {}
    for cell in results[WITH]:
        path, fs = cell
        costs = {m: labs.median(results[m][cell]) for m in results}
        for mechanism, rounds in results.items():
            rounds = rounds[cell]
            lab.add(mechanism=mechanism, path=path, fs=fs, net="loopback" if "send" in path
                    else None, size_bytes=65536 if "64K" in path else 4096, header_bytes=0,
                    connections=int("send" in path), insns_per_req=costs[mechanism],
                    syscalls_per_req=None, copied_per_byte=None, wall_ratio_to_best_peer=None,
                    ratio=costs[mechanism] / costs[WITHOUT], spread=labs.spread(rounds),
                    repeats=len(rounds))
        more = 100 * (costs[WITH] / costs[WITHOUT] - 1)
        rows.append([f"{path} {fs}", round(costs[WITHOUT]), round(costs[WITH]), more])
        series[cell] = costs
    if lab.profile:
        lab.write_profile(profiles)
    lab.said()
    table.show("idle: instructions of an operation, IO-Lite not used",
               ("path", "=n", "=y", "% more"), rows)
    draw(lab, series)


def draw(lab, series):
    """The paths lie side by side along an axis without a meaning"""
    panels = []
    for fs in ("tmpfs", "ext4"):
        cells = [cell for cell in series if cell[1] == fs]
        lines = {mechanism: [(2 ** i, series[cell][mechanism]) for i, cell in enumerate(cells)]
                 for mechanism in (WITHOUT, WITH)}
        panels.append((fs, cells, lines))
    names = [path for path, _ in panels[0][1]]
    svg.write(lab.path("idle.svg"), "What an unused IO-Lite costs",
              "Guest instructions of one operation. The lines lie on each other where it costs "
              "nothing.", [svg.Panel(fs, lines, own=(WITH,)) for fs, _, lines in panels],
              xlabel="path", ylabel="instructions", xticks=[2 ** i for i in range(len(names))],
              xname=lambda x: names[int(x).bit_length() - 1])
