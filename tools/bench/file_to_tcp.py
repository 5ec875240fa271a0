# SPDX-License-Identifier: GPL-2.0
"""A file to a TCP socket: what every mechanism for that costs a response.

One guest counts instructions, another verifies what arrives and takes times. The
sink is outside of the guest, behind virtio-net, or in the guest for loopback; then
its instructions and system calls are in the figures, too.
"""

import collections
import subprocess

import lab
import svg
import table
from lab import vm

KIB, MIB = 1024, 1024 * 1024

PEERS = ("read+send", "sendfile", "splice", "SEND_ZC", "SEND_ZC registered", "MSG_ZEROCOPY")
OWN = ("IO-Lite", "IO-Lite kept")

SIZES = (KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 16 * MIB)
HEADER = 200
MANY = 64
SINKS = {"virtio-net": vm.TAP_HOST, "loopback": "127.0.0.1"}

Cell = collections.namedtuple("Cell", "mechanism fs net size header connections")

# File systems with the largest folios they make, on a disk that is as fast as memory
JOB = """\
sysctl -q -w net.ipv4.tcp_slow_start_after_idle=0 net.ipv4.tcp_autocorking=0 \
	net.core.optmem_max=1048576 net.ipv4.tcp_wmem="4096 16777216 67108864" || exit
ip route change {net} dev eth0 src {guest} initcwnd 4000 || exit
ip route change local 127.0.0.0/8 dev lo src 127.0.0.1 table local initcwnd 4000 || exit
mkdir -p /run/tmpfs /run/ext4 /run/xfs
mount -t tmpfs tmpfs /run/tmpfs || exit
for fs in {filesystems}; do
	if [ $fs != tmpfs ]; then
		truncate -s 400M /tmp/$fs.img
		mkfs.$fs -q /tmp/$fs.img && mount -o loop,noatime /tmp/$fs.img /run/$fs || exit
	fi
	{bin}/file_to_tcp make /run/$fs {sizes} || exit
done
sync
{bin}/sink 127.0.0.1 > /run/job/sink 2>&1 &
{bin}/file_to_tcp run {mode} < /run/job/cells
"""


# The network card sends when its timer says so, and the timer counts instructions.
COUNTING = ("-icount", "shift=0", "-global", "virtio-net-pci.tx=timer")


# What is measured: all sizes over virtio-net with one connection, and samples of the rest
#       file systems, network, connections, headers, sizes
FULL = ((("ext4", "tmpfs"), "virtio-net", 1, (0, HEADER), SIZES),
        (("xfs",), "virtio-net", 1, (0, HEADER), (4 * KIB, 64 * KIB, MIB)),
        (("ext4", "tmpfs"), "virtio-net", MANY, (0, HEADER), (4 * KIB, 64 * KIB, 256 * KIB)),
        (("ext4", "tmpfs"), "loopback", 1, (0, HEADER), (4 * KIB, 64 * KIB, MIB)),
        (("ext4",), "loopback", MANY, (0, HEADER), (4 * KIB, 64 * KIB)))
QUICK = ((("ext4", "tmpfs"), "virtio-net", 1, (0, HEADER), (4 * KIB, 64 * KIB)),
         (("ext4",), "virtio-net", 1, (HEADER,), (MIB,)),
         (("ext4",), "virtio-net", MANY, (HEADER,), (4 * KIB, 64 * KIB)),
         (("ext4",), "loopback", 1, (HEADER,), (64 * KIB,)))


def cells(quick):
    return [Cell(mechanism, fs, net, size, header, connections)
            for filesystems, net, connections, headers, sizes in (QUICK if quick else FULL)
            for fs in filesystems for header in headers for size in sizes
            for mechanism in PEERS + OWN]


def responses(cell, mode):
    """On each connection, in a round"""
    if mode == "verify":
        return 2
    if cell.connections > 1:
        return 4 if cell.size < 64 * KIB else 1
    return max(2, min(256, 8 * MIB // cell.size))


def run_guest(bench, todo, mode, profile=False):
    """The lines about each cell, and the guest"""
    job = JOB.format(filesystems=" ".join(dict.fromkeys(c.fs for c in todo)), bin=lab.BIN,
                     net=vm.TAP_HOST.rsplit(".", 1)[0] + ".0/24", guest=vm.TAP_GUEST,
                     sizes=" ".join(str(s) for s in sorted({c.size for c in todo})), mode=mode)
    guest = bench.guest(job, name=mode, counting=mode == "count", network="tap", memory="3G",
                        qemu=COUNTING if mode == "count" else ())
    guest.tell("cells", "".join(
        f"{c.mechanism}\t/run/{c.fs}/{c.size} {c.size} {c.header} {c.connections} "
        f"{SINKS[c.net]} {responses(c, mode)}\n" for c in todo))
    last = [0]

    def progress():
        done = guest.read("output").count("\ncell ")
        if done >= last[0] + len(todo) // 20:
            last[0] = done
            bench.say(f"{mode}: {done} of {len(todo)} cells")

    output = bench.run(guest, 1500, progress)
    bench.said()
    lines, wrong = [], None
    for line in output.splitlines():
        if line.startswith("WRONG"):
            wrong = wrong or (todo[len(lines)], line)
        elif line.startswith("cell "):
            lines.append(line.split()[1:])
    if wrong:
        raise lab.WrongBytes(f"{wrong[0]}: {wrong[1]}")
    if len(lines) != len(todo):
        raise vm.VmError(f"file-to-tcp: {len(lines)} of {len(todo)} cells were done")
    return lines, guest


def count(bench, todo):
    """The figures of each cell"""
    # What comes first after boot costs more, so it comes twice.
    lines, guest = run_guest(bench, todo[:1] + todo, "count")
    sections, profiles = bench.sections(guest), bench.profiles(guest)
    figures, shown, at = [], [], int(lines.pop(0)[0])
    for cell, line in zip(todo, lines):
        rounds = int(line[0])
        mine = sections[at:at + rounds]
        nr = responses(cell, "count") * cell.connections
        totals = [s["user"] + s["kernel"] for s in mine]
        middle = sorted(range(rounds), key=lambda i: totals[i])[rounds // 2]
        chosen = mine[middle]
        body = nr * cell.size
        figures.append({
            "insns_per_req": round(totals[middle] / nr, 1),
            "insns_user_per_req": round(chosen["user"] / nr, 1),
            "insns_kernel_per_req": round(chosen["kernel"] / nr, 1),
            # but for the one that waits for the sink's answer
            "syscalls_per_req": round((chosen["syscalls"] - 1) / nr, 4),
            "copied_per_byte": round(chosen["copied"] / body, 5),
            "summed_per_byte": round(chosen["summed"] / body, 5),
            "page_refs_per_req": round(chosen["page_refs"] / nr, 2),
            "atomics_per_req": round(chosen["atomics"] / nr, 2),
            "spread": round(lab.spread(totals), 4), "repeats": rounds,
            "copied_why": {name: round(int(value) / rounds / nr, 2) for name, value in
                           (word.split("=") for word in line[1:])},
        })
        if profiles:
            shown.append((" ".join(str(x) for x in cell), nr, profiles[at + middle]))
        at += rounds
    if shown:
        bench.write_profile(shown)
    return figures


def take_times(bench, todo):
    """Of the fastest round, as whatever else the machine does only makes rounds slower"""
    lines, _ = run_guest(bench, todo, "time")
    return [min(float(word) for word in line[1:] if "=" not in word) for line in lines]


def key(cell):
    return cell._replace(mechanism=None)


def add_rows(bench, todo, figures, times):
    # The best peer is the one with the fewest instructions; times are a second opinion.
    best = {}
    for cell, figure, time in zip(todo, figures, times):
        if cell.mechanism in PEERS:
            mine = (figure["insns_per_req"], time, cell.mechanism)
            best[key(cell)] = min(mine, best.get(key(cell), mine))
    for cell, figure, time in zip(todo, figures, times):
        cost, peer_time, peer = best[key(cell)]
        bench.add(mechanism=cell.mechanism, fs=cell.fs, net=cell.net, size_bytes=cell.size,
                  header_bytes=cell.header, connections=cell.connections, **figure,
                  best_peer=peer, ratio_to_best_peer=round(figure["insns_per_req"] / cost, 3),
                  wall_ratio_to_best_peer=round(time / peer_time, 3))


def show(bench):
    by_place = collections.defaultdict(dict)
    for row in bench.rows:
        place = (row["net"], row["connections"], row["fs"], row["header_bytes"])
        by_place[place].setdefault(row["size_bytes"], {})[row["mechanism"]] = row
    for (net, connections, fs, header), sizes in by_place.items():
        rows = []
        for size, mechanisms in sizes.items():
            peer = mechanisms["IO-Lite"]["best_peer"]
            row = [table.size(size), peer, round(mechanisms[peer]["insns_per_req"])]
            for own in OWN:
                mine = mechanisms[own]
                row += [round(mine["insns_per_req"]), mine["ratio_to_best_peer"]]
            rows.append(row + [mechanisms["IO-Lite"]["syscalls_per_req"],
                               mechanisms["IO-Lite"]["wall_ratio_to_best_peer"]])
        table.show(f"{net}, {connections} connection{'s' * (connections > 1)}, {fs}, "
                   + (f"{header} bytes of header: " if header else "no header: ")
                   + "instructions of a response",
                   ("size", "best peer", "peer", "IO-Lite", "ratio", "kept", "ratio",
                    "syscalls", "wall ratio"), rows)


def draw(bench):
    panels = []
    for fs in ("ext4", "tmpfs"):
        for header in (0, HEADER):
            rows = [r for r in bench.rows if (r["fs"], r["header_bytes"], r["net"],
                                              r["connections"]) == (fs, header, "virtio-net", 1)]
            panels.append(svg.Panel(
                f"{fs}, {'header of 200 bytes and body' if header else 'no header'}",
                {m: [(r["size_bytes"], r["insns_per_req"]) for r in rows if r["mechanism"] == m]
                 for m in PEERS + OWN}, OWN))
    svg.write(bench.path("file-to-tcp.svg"), "A file to a TCP connection",
              "Instructions that the guest executes for one response, hot cache, "
              "virtio-net, one connection. Lower is better.", panels,
              xlabel="size of the file in KiB and MiB", ylabel="instructions for a response",
              xname=lambda x: f"{int(x) >> 10} K" if x < MIB else f"{int(x) >> 20} M")


def run(bench):
    todo = cells(bench.quick)
    sink = subprocess.Popen([f"{lab.BIN}/sink", vm.TAP_HOST], stdin=subprocess.DEVNULL)
    try:
        run_guest(bench, todo, "verify")
        figures = count(bench, todo)
        times = take_times(bench, todo)
    finally:
        sink.kill()
        sink.wait()
    add_rows(bench, todo, figures, times)
    show(bench)
    draw(bench)
