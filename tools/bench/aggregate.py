# SPDX-License-Identifier: GPL-2.0
"""dup, concat, split, truncate, seek on aggregates of 1 to 1 000 000 slices: cost over size."""

import collections

import lab as labs
import svg
import table

PICTURES = ("aggregate",)

OPERATIONS = ("dup", "seek", "split", "concat", "truncate", "free")

# By requests in a system call
MECHANISMS = {64: "IO-Lite, 64 in a call", 1: "IO-Lite, 1 in a call", 0: "absl::Cord"}
OWN = (MECHANISMS[64], MECHANISMS[1])
FEW, MANY = 16, 1_000_000

JOB = "{bin}/aggregate && {bin}/cord\n"


def run(lab):
    lab.say("1 to 1 000 000 slices")
    guest = lab.guest(JOB.format(bin=labs.BIN))
    lines = lab.run(guest, 400).splitlines()
    sections, profiles = lab.sections(guest), lab.profiles(guest)
    cells = collections.defaultdict(list)
    for number, (line, counted) in enumerate(zip(lines, sections, strict=True)):
        operation, slices, operations, batch = line.split()
        cells[operation, int(slices), int(batch)].append((counted, int(operations), number))

    cost = {}
    for (operation, slices, batch), rounds in cells.items():
        rounds = rounds[1:]         # the first warms up
        each = [(c["user"] + c["kernel"]) / ops for c, ops, _ in rounds]
        cost[operation, slices, batch] = labs.median(each)
        counted, operations, _ = rounds[-1]
        lab.add(mechanism=MECHANISMS[batch], operation=operation, slices=slices, fs=None,
                net=None, size_bytes=slices * 1024, header_bytes=0, connections=0,
                insns_per_req=labs.median(each), insns_user_per_req=counted["user"] / operations,
                insns_kernel_per_req=counted["kernel"] / operations,
                syscalls_per_req=counted["syscalls"] / operations,
                copied_per_byte=counted["copied"] / operations / (slices * 1024),
                wall_ratio_to_best_peer=None, spread=labs.spread(each), repeats=len(each))
    if profiles:
        lab.write_profile([(f"{operation}, {slices} slices, {MECHANISMS[batch]}",
                            rounds[-1][1], profiles[rounds[-1][2]])
                           for (operation, slices, batch), rounds in cells.items()
                           if slices in (FEW, MANY)])
    lab.said()
    show(cost)
    draw(lab, cost)


def show(cost):
    rows = []
    for operation in OPERATIONS:
        row = [operation]
        for batch in MECHANISMS:
            few, many = cost[operation, FEW, batch], cost[operation, MANY, batch]
            row += [round(few), round(many), many / few]
        rows.append(row)
    heads = ["operation"]
    for name in ("IO-Lite", "alone", "Cord"):
        heads += [f"{name} 16", "1 000 000", "ratio"]
    table.show("aggregate: instructions of an operation at 16 and at 1 000 000 slices. IO-Lite: "
               "64 requests in a system call; alone: 1", heads, rows)


def draw(lab, cost):
    panels = []
    for operation in OPERATIONS:
        series = {name: [(slices, value) for (op, slices, b), value in cost.items()
                         if op == operation and b == batch]
                  for batch, name in MECHANISMS.items()}
        panels.append(svg.Panel(operation, series, own=OWN))
    svg.write(lab.path("aggregate.svg"), "Operations on aggregates",
              "Guest instructions of one operation; half of the slices on each side of a cut. "
              "absl::Cord is a rope in user space, for scale: it makes no system call.", panels,
              xlabel="slices", ylabel="instructions")
