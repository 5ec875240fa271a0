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
mkdir /tmp/tmpfs
for fs in ext4 xfs; do
	truncate -s 320M /tmp/$fs.img && mkfs.$fs -q /tmp/$fs.img && mkdir /tmp/$fs &&
	mount -o loop /tmp/$fs.img /tmp/$fs || exit
done
{bin}/idle /tmp/tmpfs /tmp/ext4 /tmp/xfs || exit
ip xfrm state add src 127.0.0.1 dst 127.0.0.1 proto esp spi 0x100 mode transport \\
	encap espinudp 4500 4500 0.0.0.0 enc "ecb(cipher_null)" "" || exit
exec {bin}/inplace
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
    lines = lab.run(guest, 600).splitlines()
    cells, profile = collections.defaultdict(list), {}
    profiles = lab.profiles(guest)
    for number, (line, counted) in enumerate(zip(lines, lab.sections(guest), strict=True)):
        path, fs, operations = line.split()
        cells[path, fs].append((counted["user"] + counted["kernel"]) / int(operations))
        if profiles:
            profile[path, fs] = (int(operations), profiles[number])
    return {cell: rounds[1:] for cell, rounds in cells.items()}, profile


def size(path):
    """Bytes of an operation, which its name ends with if it is not about a page"""
    last = path.rsplit("-", 1)[1]
    return int(last[:-1]) * 1024 if last.endswith("K") else 4096


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
        on_network = fs == "lo" or "send" in path
        # The clock ticks in about every second round.
        costs = {m: min(results[m][cell]) for m in results}
        for mechanism, rounds in results.items():
            rounds = rounds[cell]
            lab.add(mechanism=mechanism, path=path, fs=None if fs == "lo" else fs,
                    net="loopback" if on_network else None, size_bytes=size(path),
                    header_bytes=0, connections=int(on_network), insns_per_req=costs[mechanism],
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
    """A bar a path: how much more it costs"""
    left, middle, percent, step, top = 150, 510, 200, 22, 90
    bottom = top + step * len(series)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="840" height="{bottom + 50}" '
             f'viewBox="0 0 840 {bottom + 50}"><title>What an unused IO-Lite costs</title>'
             f'<style>{svg.STYLE}</style><rect width="100%" height="100%" fill="white"/>',
             '<text x="16" y="28" class="title">What an unused IO-Lite costs</text>',
             '<text x="16" y="48" class="sub">Guest instructions of an operation with '
             'CONFIG_IOLITE=y and not used, against CONFIG_IOLITE=n</text>',
             f'<text x="{left}" y="{top - 12}" text-anchor="end">path</text>',
             f'<text x="{left + 120}" y="{top - 12}" text-anchor="end">instructions, =n</text>']
    for mark in (-1, -0.5, 0, 0.5, 1):
        x = middle + percent * mark
        parts.append(f'<line x1="{x}" y1="{top - 4}" x2="{x}" y2="{bottom}" '
                     f'class="{"grid" if mark else "axis"}"/><text x="{x}" y="{bottom + 16}" '
                     f'text-anchor="middle">{mark:+g} %</text>')
    for row, ((path, fs), costs) in enumerate(series.items()):
        y = top + step * row
        more = 100 * (costs[WITH] / costs[WITHOUT] - 1)
        length = percent * min(max(more, -1.2), 1.2)
        parts.append(f'<text x="{left}" y="{y + 13}" text-anchor="end">{path}, {fs}</text>'
                     f'<text x="{left + 120}" y="{y + 13}" text-anchor="end">'
                     f'{round(costs[WITHOUT])}</text>'
                     f'<rect x="{middle + min(length, 0):.1f}" y="{y + 3}" '
                     f'width="{max(abs(length), 1):.1f}" height="13" fill="{svg.COLORS[0]}"/>'
                     f'<text x="{middle + max(length, 0) + 6:.1f}" y="{y + 13}">{more:+.2f} %</text>')
    parts.append(f'<text x="{middle}" y="{bottom + 36}" text-anchor="middle">more instructions '
                 '(the goal is at most 0.5 %)</text></svg>')
    with open(lab.path("idle.svg"), "w", encoding="utf-8") as f:
        f.write("\n".join(parts) + "\n")
