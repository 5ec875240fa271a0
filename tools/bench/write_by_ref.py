# SPDX-License-Identifier: GPL-2.0
"""Writing an aggregate to a new file by reference, against what copies."""

import collections
import os

import lab as labs
import svg
import table

DISKS = ("ext4", "xfs")
FILESYSTEMS = ("tmpfs", "tmpfs-huge", *DISKS)
OWN = ("IO-Lite", "IO-Lite O_DIRECT")

# The disks are QEMU's: a loop device would copy what goes past the page cache.
JOB = """\
mkdir /tmp/tmpfs && mount -t tmpfs tmpfs /tmp/tmpfs || exit
mkdir /tmp/tmpfs-huge && mount -t tmpfs -o huge=always tmpfs /tmp/tmpfs-huge || exit
disk=a
for fs in ext4 xfs; do
	mkfs.$fs -q /dev/vd$disk && mkdir /tmp/$fs && mount /dev/vd$disk /tmp/$fs || exit
	disk=b
done
exec {bin}/write_by_ref {places}
"""


def disks(lab):
    options = []
    directory = lab.path("write-by-ref.disks")
    os.makedirs(directory, exist_ok=True)
    for fs in DISKS:
        image = os.path.join(directory, fs)
        with open(image, "wb") as f:
            f.truncate(512 << 20)
        options += ["-drive", f"file={image},format=raw,if=none,id={fs},cache=unsafe",
                    "-device", f"virtio-blk-pci,drive={fs}"]
    return options


def run(lab):
    lab.say("4 KiB to 16 MiB")
    guest = lab.guest(JOB.format(bin=labs.BIN,
                                 places=" ".join(f"/tmp/{fs}" for fs in FILESYSTEMS)),
                      memory="3G", qemu=("-icount", "shift=0,sleep=off", *disks(lab)))
    lines = lab.run(guest, 600).splitlines()
    wrong = [line for line in lines if line.startswith("WRONG")]
    if wrong:
        raise labs.WrongBytes(wrong[0])
    profiles = lab.profiles(guest)
    cells = collections.defaultdict(list)
    for number, (line, counted) in enumerate(zip(lines, lab.sections(guest), strict=True)):
        mechanism, fs, size, writes, copied = line.split("\t")
        cells[fs, int(size), mechanism].append((counted, int(writes), int(copied), number))
    cost, moved = {}, {}
    for (fs, size, mechanism), rounds in cells.items():
        rounds = rounds[1:]         # the first warms up
        each = [(c["user"] + c["kernel"]) / writes for c, writes, *_ in rounds]
        counted, writes, copied, _ = sorted(
            rounds, key=lambda r: r[0]["user"] + r[0]["kernel"])[len(rounds) // 2]
        cost[fs, size, mechanism] = labs.median(each)
        moved[fs, size, mechanism] = copied / writes / size
        lab.add(mechanism=mechanism, fs=fs, net=None, size_bytes=size, header_bytes=0,
                connections=0, insns_per_req=labs.median(each),
                insns_user_per_req=counted["user"] / writes,
                insns_kernel_per_req=counted["kernel"] / writes,
                syscalls_per_req=counted["syscalls"] / writes,
                copied_per_byte=counted["copied"] / writes / size,
                said_copied_per_byte=moved[fs, size, mechanism],
                page_refs_per_req=counted["page_refs"] / writes,
                ratio_to_write=cost[fs, size, mechanism] / cost[fs, size, "write"],
                wall_ratio_to_best_peer=None, spread=labs.spread(each), repeats=len(each))
    if profiles:
        lab.write_profile([(f"{fs}, {size} bytes, {mechanism}", rounds[-1][1],
                            profiles[rounds[-1][3]])
                           for (fs, size, mechanism), rounds in cells.items()])
    lab.said()
    show(cost, moved)
    panels = [svg.Panel(fs, {m: [(size, value) for (f, size, mechanism), value in cost.items()
                                 if (f, mechanism) == (fs, m)]
                             for m in dict.fromkeys(key[2] for key in cost)}, OWN)
              for fs in FILESYSTEMS]
    svg.write(lab.path("write-by-ref.svg"), "Writing to a new file",
              "Guest instructions of one write, without what write-back does later. "
              "Lower is better.", panels, xlabel="bytes of a write", ylabel="instructions",
              xname=table.size)


def show(cost, moved):
    mechanisms = list(dict.fromkeys(key[2] for key in cost))
    rows = []
    for fs, size, mechanism in cost:
        if mechanism != "write":
            continue
        row = [f"{fs}, {table.size(size)}"]
        for m in mechanisms:
            value = cost.get((fs, size, m))
            row.append(value and round(value))
            if m in OWN:
                peer = cost[fs, size, "O_DIRECT" if "O_DIRECT" in m else "write"] if value else 0
                row += [value / peer, moved[fs, size, m]] if value else [None, None]
        rows.append(row)
    heads = ["write"]
    for m in mechanisms:
        heads += [m, "/peer", "copied"] if m in OWN else [m]
    table.show("write-by-ref: instructions of a write; IO-Lite against write(2), and against "
               "O_DIRECT; bytes copied a byte written", heads, rows)
