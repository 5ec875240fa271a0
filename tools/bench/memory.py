# SPDX-License-Identifier: GPL-2.0
"""N clients that fetch the same file of 1 MiB and do not read it: what that takes of the guest."""

import random
import resource
import socket
import time

import lab as labs
import svg
import table
from lab import vm
from meter import Meter

PICTURES = ("memory",)

MIB = 1 << 20
# stall's mechanism and where the file is -> title. tmpfs has a folio for each page.
PEERS = {("read+send", "ext4"): "read + send", ("sendfile", "ext4"): "sendfile"}
OWN = {("iolite-read", "ext4"): "IO-Lite, read", ("iolite-read", "tmpfs"): "IO-Lite, read, pages",
       ("iolite-kept", "ext4"): "IO-Lite, kept",
       ("iolite-transmit", "tmpfs"): "IO-Lite, TRANSMIT, pages",
       ("iolite-transmit-kept", "ext4"): "IO-Lite, TRANSMIT, kept"}
CLIENTS = (1, 10, 100, 500, 1000, 2000)
PORT = 9000

JOB = """\
echo 100000000 > /proc/sys/vm/iolite_max_user_pages
truncate -s 64M /tmp/disk && mkfs.ext4 -q /tmp/disk && mkdir /tmp/ext4 /tmp/tmpfs &&
mount -o loop /tmp/disk /tmp/ext4 && cp /run/job/file /tmp/{fs}/file && sync || exit
{bin}/stall {mechanism} /tmp/{fs}/file {port} &
until ss -ltn | grep -q :{port}; do sleep 0.1; done
exec {bin}/meter 9001
"""


def connect(count):
    """Clients that have room for little"""
    found = []
    for _ in range(count):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(60)
        s.connect((vm.TAP_GUEST, PORT))
        found.append(s)
    return found


def fetch(s, data, mechanism):
    # or a window as small as this would take minutes
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MIB)
    seen = bytearray()
    while chunk := s.recv(65536):
        seen += chunk
    if seen != data:
        raise labs.WrongBytes(f"{mechanism} sent {len(seen)} bytes that are not the file's")


def own_bytes(state):
    """Objects that only IO-Lite has. Its aggregates and tables come from kmalloc(), and so does
    little else that grows with the clients: all of that is counted as IO-Lite's."""
    return sum(value for name, value in state.items() if name.startswith("objects:") and
               (name.startswith(("objects:iolite", "objects:kmalloc-cg-"))
                or name == "objects:io_kiocb")) + state.get("iolite:pool_pages", 0) * 4096


def used_bytes(state):
    """Without the page cache: it holds the one copy of the file, and comes and goes"""
    return (state["MemTotal"] - state["MemFree"] - state["Cached"] - state["Buffers"]
            - state["SReclaimable"])


def measure(lab, mechanism, fs, counts, data):
    guest = lab.guest(JOB.format(bin=labs.BIN, mechanism=mechanism, fs=fs, port=PORT),
                      name=f"{mechanism}-{fs}", counting=False, network="tap", memory="3G", boot_args="slab_nomerge")
    with open(guest.path("file"), "wb") as f:
        f.write(data)
    guest.start()
    clients, found = [], {}
    try:
        meter = Meter(guest)
        fetch(connect(1)[0], data, mechanism)       # also a warm-up
        time.sleep(3)       # for what boot has left to free
        idle = meter.settled_state()
        for count in counts:
            lab.say(f"{mechanism}, {count} clients")
            clients += connect(count - len(clients))
            state = meter.settled_state()
            found[count] = {name: value - idle.get(name, 0) for name, value in state.items()}
            found[count]["own"] = own_bytes(state) - own_bytes(idle)
            found[count]["used"] = used_bytes(state) - used_bytes(idle)
        fetch(clients[0], data, mechanism)
        fetch(clients[-1], data, mechanism)
    finally:
        for s in clients:
            s.close()
        guest.stop()
    if guest.splats():
        raise vm.VmError(guest.why_not())
    return found


def run(lab):
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, resource.getrlimit(
        resource.RLIMIT_NOFILE)[1]))
    counts = (1, 100, 2000) if lab.quick else CLIENTS
    data = random.Random(2000).randbytes(MIB)
    used = {}
    for (mechanism, fs), title in {**PEERS, **OWN}.items():
        for count, grown in measure(lab, mechanism, fs, counts, data).items():
            used[title, count] = grown["used"]
            own = grown["own"] if (mechanism, fs) in OWN else 0
            lab.add(mechanism=title, fs=fs, net="virtio", size_bytes=MIB, header_bytes=0,
                    connections=count, insns_per_req=None, syscalls_per_req=None,
                    copied_per_byte=None, wall_ratio_to_best_peer=None,
                    guest_bytes=grown["used"], guest_bytes_per_client=grown["used"] / count,
                    slab_bytes=grown["Slab"], tcp_bytes=grown["tcp"], own_bytes=own,
                    own_bytes_per_client=own / count,
                    file_copied_bytes=grown.get("iolite:copied_bytes", 0), repeats=1)
            used[title, count, "own"] = own / count
    lab.said()
    rows = []
    for count in counts:
        each = [used[title, count] / 1024 for title in (*PEERS.values(), *OWN.values())]
        rows.append([str(count), *(round(v) for v in each),
                     each[-1] / min(each[:2]) if min(each[:2]) > 0 else None,
                     *(used[title, count, "own"] / 1024 for title in OWN.values())])
    table.show("memory: KiB of the guest's memory for N clients of a 1 MiB file that do not read; "
               "own: IO-Lite's, KiB a client",
               ("clients", *PEERS.values(), *OWN.values(), "kept/best peer",
                *(f"own, {title.split(', ', 1)[1]}" for title in OWN.values())), rows)
    series = {title: [(count, used[title, count]) for count in counts]
              for title in (*PEERS.values(), *OWN.values())}
    svg.write(lab.path("memory.svg"), "Memory for slow clients",
              "More in use than without clients, who read nothing.",
              [svg.Panel("1 MiB, virtio-net", series, own=tuple(OWN.values()))],
              xlabel="clients", ylabel="bytes of the guest's memory", xname=str)
