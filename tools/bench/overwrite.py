# SPDX-License-Identifier: GPL-2.0
"""Overwriting what was read by reference: what the writer pays who meets a reader."""

import collections

import lab as labs
import svg
import table

FILESYSTEMS = ("tmpfs", "ext4", "xfs")
STATES = ("plain", "released", "held")
NAMES = {"plain": "never read by IO-Lite", "released": "read, and let go", "held": "read, and held"}

JOB = """\
mkdir /tmp/tmpfs && mount -t tmpfs tmpfs /tmp/tmpfs || exit
for fs in ext4 xfs; do
	truncate -s 320M /tmp/$fs.img && mkfs.$fs -q /tmp/$fs.img && mkdir /tmp/$fs &&
	mount -o loop /tmp/$fs.img /tmp/$fs || exit
done
exec {bin}/overwrite {places}
"""


def run(lab):
    lab.say("4 KiB, 64 KiB and 1 MiB")
    guest = lab.guest(JOB.format(bin=labs.BIN,
                                 places=" ".join(f"/tmp/{fs}" for fs in FILESYSTEMS)),
                      qemu=("-icount", "shift=0,sleep=off"))
    lines = lab.run(guest, 600).splitlines()
    wrong = [line for line in lines if line.startswith("WRONG")]
    if wrong:
        raise labs.WrongBytes(wrong[0])
    profiles = lab.profiles(guest)
    cells = collections.defaultdict(list)
    for number, (line, counted) in enumerate(zip(lines, lab.sections(guest), strict=True)):
        state, fs, size, writes, folios, copied = line.split()
        cells[fs, int(size), state].append((counted, int(writes), int(folios), int(copied),
                                            number))
    cost, moved = {}, {}
    for (fs, size, state), rounds in cells.items():
        rounds = rounds[1:]         # the first warms up
        each = [(c["user"] + c["kernel"]) / writes for c, writes, *_ in rounds]
        counted, writes, folios, copied, _ = sorted(
            rounds, key=lambda r: r[0]["user"] + r[0]["kernel"])[len(rounds) // 2]
        cost[fs, size, state] = labs.median(each)
        moved[fs, size, state] = counted["copied"] / writes / size
        lab.add(mechanism=state, fs=fs, net=None, size_bytes=size, header_bytes=0,
                connections=0, insns_per_req=labs.median(each),
                insns_user_per_req=counted["user"] / writes,
                insns_kernel_per_req=counted["kernel"] / writes,
                syscalls_per_req=counted["syscalls"] / writes,
                copied_per_byte=moved[fs, size, state],
                replaced_folios_per_req=folios / writes,
                replaced_bytes_per_byte=copied / writes / size,
                ratio_to_plain=cost[fs, size, state] / cost[fs, size, "plain"],
                wall_ratio_to_best_peer=None, spread=labs.spread(each), repeats=len(each))
    if profiles:
        lab.write_profile([(f"{fs}, {size} bytes, {state}", rounds[-1][1],
                            profiles[rounds[-1][4]])
                           for (fs, size, state), rounds in cells.items()])
    lab.said()
    show(cost, moved)
    panels = [svg.Panel(fs, {NAMES[state]: [(size, value) for (f, size, s), value in cost.items()
                                            if (f, s) == (fs, state)] for state in STATES},
                        [NAMES["released"], NAMES["held"]]) for fs in FILESYSTEMS]
    svg.write(lab.path("overwrite.svg"), "Overwriting a cached file",
              "Guest instructions of one write(2), over a file that IO-Lite read before or not. "
              "Lower is better.", panels, xlabel="bytes of a write", ylabel="instructions",
              xname=table.size)


def show(cost, moved):
    rows = []
    for fs, size, state in cost:
        if state != "plain":
            continue
        row = [f"{fs}, {table.size(size)}", round(cost[fs, size, "plain"])]
        for state in STATES[1:]:
            row += [round(cost[fs, size, state]), cost[fs, size, state] / cost[fs, size, "plain"]]
        rows.append(row + [moved[fs, size, state] for state in STATES])
    table.show("overwrite: instructions of a write(2) and bytes copied for a byte written",
               ("write", "plain", "let go", "ratio", "held", "ratio", "copied plain", "let go",
                "held"), rows)
