# SPDX-License-Identifier: GPL-2.0
"""This project's server and nginx in the same guest, wrk outside."""

import bisect
import http.client
import itertools
import os
import random
import shutil
import subprocess
import sys

import lab as labs
import svg
import table
from lab import vm
from meter import Meter

sys.path.insert(0, os.path.join(vm.ROOT, "tools", "run"))
import docroot  # noqa: E402

PICTURES = ("web",)

KIB = 1024
OWN, PEER = "iolite-httpd", "nginx"
PORTS = {OWN: 80, PEER: 8000}
SIZES = (1, 4, 16, 64, 256, 1024)       # KiB
QUICK_SIZES = (1, 64, 1024)
# Files that were written in the guest are in large folios of the page cache, those that
# were read from a disk mostly in single pages.
WRITTEN, READ = "ext4", "ext4, read from disk"
DIRECTORIES = {WRITTEN: "written", READ: "read"}
CONNECTIONS = 64
WARM_SECONDS, MOST_REPEATS, STABLE = 1, 6, 0.02
# At a second address of the guest, connections begin with a window of 70 KB, as large sites
# have them (Linux has 10 segments: 14 KB).
OPEN_GUEST, OPEN_HOST, OPEN_NET = "10.98.0.2", "10.98.0.1", "10.98.0.0/24"
OPEN_SEGMENTS = 48
LOAD = os.path.join(vm.ROOT, "tools/bench/load.lua")

NGINX_CONF = """\
daemon off;
worker_processes 1;
pid /run/nginx.pid;
error_log /run/job/nginx-errors;
events { worker_connections 4096; multi_accept on; }
http {
	access_log off;
	client_body_temp_path /run/nginx-1;
	proxy_temp_path /run/nginx-2;
	fastcgi_temp_path /run/nginx-3;
	uwsgi_temp_path /run/nginx-4;
	scgi_temp_path /run/nginx-5;
	sendfile on;
	tcp_nopush on;
	keepalive_timeout 300;
	keepalive_requests 1000000000;
	open_file_cache max=10000 inactive=300s;
	open_file_cache_valid 300s;
	default_type application/octet-stream;
	server { listen 8000 reuseport backlog=4096; root /run/www; }
}
"""

# - An emulated processor takes milliseconds for what a processor does in microseconds. TCP
#   takes that for distance, paces, and makes packets of a few segments, how many depends on
#   what else this machine does. tcp_tso_rtt_log lets it make the packets of a local network.
# - What TCP remembers of a client from one server's turn must not be for the other's.
JOB = """\
sysctl -q -w net.ipv4.tcp_tso_rtt_log=24 net.ipv4.tcp_no_metrics_save=1 || exit
ip address add {open_guest}/24 dev eth0 &&
ip route change {open_net} dev eth0 src {open_guest} initcwnd {open_segments} || exit
mkdir -p /run/www/read /run/www/written
truncate -s 512M /tmp/disk && mkfs.ext4 -q /tmp/disk &&
mount -o loop /tmp/disk /run/www/written && mount -t ext4 -o ro,noatime /dev/vda /run/www/read &&
cp -r /run/www/read/. /run/www/written/ && sync &&
find /run/www/read -type f -exec cat {{}} + > /dev/null || exit
build/httpd/iolite-httpd --root /run/www --port 80 --threads 1 --max-requests 1000000000 \
	--file-valid 300 \
	2> /run/job/server &
{nginx} -c /run/job/nginx.conf &
until [ -s /run/nginx.pid ] && worker=$(pgrep -P $(cat /run/nginx.pid)); do
	sleep 0.1
	kill -0 %2 || exit
done
exec {bin}/meter 9001 /proc/$(pidof iolite-httpd)/status /proc/$worker/status
"""


def find_nginx():
    """Debian's. It is not installed: that would start it on this machine."""
    for path in ("/usr/sbin/nginx", os.path.join(labs.OUT, "nginx/usr/sbin/nginx")):
        if os.access(path, os.X_OK):
            return path
    place = os.path.join(labs.OUT, "nginx")
    os.makedirs(place, exist_ok=True)
    done = subprocess.run("apt-get download nginx && dpkg-deb -x nginx_*.deb . && rm nginx_*.deb",
                          shell=True, cwd=place, check=False, capture_output=True, text=True)
    if done.returncode or not os.access(path, os.X_OK):
        raise vm.VmError("Debian's nginx cannot be had (apt-get download nginx): is there a "
                         "network? " + (done.stderr.strip().splitlines() or [""])[-1])
    return path


# ---- Files ----

def make_files(directory):
    """One of each size; and a mix with a heavy tail: the body lognormal, the tail Pareto's"""
    numbers = random.Random(1999)
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(os.path.join(directory, "mix"))
    names = {f"{k}k": k * KIB for k in SIZES}
    for i in range(200):
        size = (numbers.lognormvariate(9.0, 1.2) if numbers.random() < 0.93
                else 133_000 * numbers.paretovariate(1.1))
        names[f"mix/{i:03}"] = min(int(size) + 1, 4 << 20)
    for name, size in names.items():
        with open(os.path.join(directory, name), "wb") as f:
            f.write(numbers.randbytes(size))
    return names


def write_mix(path, fs, names):
    """Which file each request is for: some are asked for much more than others (Zipf's law)"""
    numbers = random.Random(2026)
    mix = sorted(name for name in names if name.startswith("mix/"))
    numbers.shuffle(mix)
    sums = list(itertools.accumulate(1 / (i + 1) for i in range(len(mix))))
    with open(path, "w", encoding="ascii") as f:
        for _ in range(5000):
            name = mix[bisect.bisect(sums, numbers.random() * sums[-1])]
            f.write(f"/{DIRECTORIES[fs]}/{name}\n")


def check_bytes(directory, names):
    """Every file from both servers. Bytes of a response's header, by server and name."""
    headers = {}
    for server, port in PORTS.items():
        connection = http.client.HTTPConnection(vm.TAP_GUEST, port, timeout=60)
        for top in DIRECTORIES.values():
            for name in names:
                connection.request("GET", f"/{top}/{name}")
                response = connection.getresponse()
                with open(os.path.join(directory, name), "rb") as f:
                    if response.status != 200 or response.read() != f.read():
                        raise labs.WrongBytes(f"{server} sent other bytes than those of {name}")
                headers[server, name] = 19 + sum(len(n) + len(v) + 4
                                                 for n, v in response.getheaders())
    return headers


# ---- Load ----

def load(server, cell, seconds):
    """What wrk saw: requests, bytes and seconds"""
    options = ["-H", "Connection: close"] if cell.close else []
    if cell.target.startswith("@"):
        url, arguments = "/", [cell.target[1:]]
    else:
        url, arguments = cell.target, []
    done = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "-s", LOAD, *options,
                           f"http://{cell.address}:{PORTS[server]}{url}", "--", *arguments],
                          check=False, capture_output=True, text=True)
    said = [line.split() for line in done.stdout.splitlines() if line.startswith("load ")]
    if done.returncode or not said:
        raise vm.VmError(f"web: wrk failed: {(done.stderr or done.stdout).strip()}")
    requests, seen, microseconds, errors = (int(word) for word in said[0][1:])
    if errors or not requests:
        raise vm.VmError(f"web: {errors} of wrk's requests to {server} failed")
    return requests, seen, microseconds / 1e6


class Cell:
    """One comparison"""

    def __init__(self, fs, size, close, mix_path, window=False):
        self.fs, self.size, self.close, self.window = fs, size, close, window
        self.address = OPEN_GUEST if window else vm.TAP_GUEST
        self.name = f"{size}k" if size else "mix"
        self.target = f"/{DIRECTORIES[fs]}/{self.name}" if size else "@" + mix_path
        self.title = (f"{fs}, {self.name}, {'a connection a request' if close else 'persistent'}"
                      f"{', large window' if window else ''}")
        self.seconds = 4 if size >= 256 else 2
        self.insns, self.speed = {}, {}
        self.totals = {}        # of each turn


def cells(lab, mix_path):
    sizes = QUICK_SIZES if lab.quick else SIZES
    found = [Cell(WRITTEN, size, close, mix_path) for close in (False, True)
             for size in (*sizes, 0)]
    found += [Cell(READ, size, False, mix_path) for size in QUICK_SIZES[1:]]
    return found + [Cell(WRITTEN, size, True, mix_path, window=True)
                    for size in (*QUICK_SIZES[1:], 0)]


def whole_requests(headers, server, cell, requests, seen):
    """Those that wrk was amid of at its end count by their bytes"""
    if not cell.size:
        return requests
    return seen / (headers[server, cell.name] + cell.size * KIB)


def insns(counted):
    return counted["user"] + counted["kernel"]


def count_once(lab, guest, meter, headers, server, cell):
    """What was counted, the requests, the number of the section"""
    before = meter.state()
    meter.begin()
    requests, seen, _ = load(server, cell, cell.seconds)
    meter.end()
    after = meter.state()
    sections = lab.sections(guest)
    counted = {**sections[-1], **{name: after[name] - before[name]
                                  for name in ("InSegs", "OutSegs")}}
    return (counted, whole_requests(headers, server, cell, requests, seen), len(sections) - 1)


def count(lab, guest, meter, headers, cell):
    """For each server a list of counts. They take turns, so that what else this machine does,
    and with it how many packets the clients' acknowledgements are, meets both alike."""
    found = {OWN: [], PEER: []}
    for server in found:
        load(server, cell, WARM_SECONDS)
    least = 2 if lab.quick else 3
    while True:
        for server, counts in found.items():
            counts.append(count_once(lab, guest, meter, headers, server, cell))
        unstable = max(labs.spread([insns(c) / n for c, n, _ in counts])
                       for counts in found.values()) > STABLE
        if len(found[OWN]) >= (least if not unstable else MOST_REPEATS):
            return found


def boot(lab, files, image, job, counting):
    guest = lab.guest(job, name="counted" if counting else "timed", counting=counting,
                      network="tap", disks=[image], memory="3G")
    guest.tell("nginx.conf", NGINX_CONF)
    guest.start()
    try:
        meter = Meter(guest)
        return guest, meter, check_bytes(*files)
    except BaseException:
        guest.stop()
        raise


def run(lab):
    nginx = find_nginx()
    directory, image = lab.path("web/files"), lab.path("web/files.img")
    names = make_files(directory)
    docroot.make_image(directory, image)
    mix_path = lab.path("web/mix")
    write_mix(mix_path, WRITTEN, names)
    subprocess.run(["ip", "address", "add", OPEN_HOST + "/24", "dev", "tap0"], check=True)
    job = JOB.format(nginx=nginx, bin=labs.BIN, open_guest=OPEN_GUEST, open_net=OPEN_NET,
                     open_segments=OPEN_SEGMENTS)
    todo = cells(lab, mix_path)
    files = directory, names
    measured = run_counted(lab, files, image, job, todo)
    run_timed(lab, files, image, job, todo)
    for cell in todo:
        for server in (OWN, PEER):
            speed = cell.speed[server]
            lab.add(mechanism=server, fs=cell.fs, net="virtio", mix=not cell.size,
                    size_bytes=cell.size * KIB or None, header_bytes=None,
                    connections=CONNECTIONS, persistent=not cell.close,
                    initial_segments=OPEN_SEGMENTS if cell.window else 10,
                    **measured[cell, server],
                    requests_per_second=speed["requests"], bytes_per_second=speed["bytes"],
                    rss_bytes=speed["rss"], tcp_bytes=speed["tcp"],
                    wall_ratio_to_best_peer=cell.speed[PEER]["requests"] / speed["requests"])
    lab.said()
    show(todo)
    draw(lab, todo)


def run_counted(lab, files, image, job, todo):
    """Fields of a row for each (cell, server)"""
    guest, meter, headers = boot(lab, files, image, job, True)
    done = []
    try:
        for cell in todo:
            lab.say(cell.title)
            done += [(cell, server, counts)
                     for server, counts in count(lab, guest, meter, headers, cell).items()]
    finally:
        guest.stop()
    profiles = lab.profiles(guest)
    fields, profile = {}, []
    for cell, server, repeats in done:
        total = [insns(counted) / number for counted, number, _ in repeats]

        def per_request(name, repeats=repeats):
            return labs.median([counted[name] / number for counted, number, _ in repeats])
        cell.insns[server] = labs.median(total)
        cell.totals[server] = total
        fields[cell, server] = {
            "insns_per_req": cell.insns[server], "insns_user_per_req": per_request("user"),
            "insns_kernel_per_req": per_request("kernel"),
            "syscalls_per_req": per_request("syscalls"),
            "copied_per_byte": per_request("copied") / (cell.size * KIB) if cell.size else None,
            "copied_per_req": per_request("copied"),
            "page_refs_per_req": per_request("page_refs"),
            "segments_in_per_req": per_request("InSegs"),
            "segments_out_per_req": per_request("OutSegs"),
            "insns_least": min(total), "insns_most": max(total),
            "spread": labs.spread(total), "repeats": len(total)}
        if lab.profile:
            _, number, section = repeats[-1]
            profile.append((f"{server}: {cell.title}", number, profiles[section]))
    if lab.profile:
        lab.write_profile(profile)
    return fields


def run_timed(lab, files, image, job, todo):
    """The second opinion: how fast, on an emulated machine, and what memory the servers take"""
    guest, meter, _ = boot(lab, files, image, job, False)
    try:
        for cell in todo:
            lab.say(cell.title + ", in time")
            for server in (OWN, PEER):
                requests, seen, seconds = load(server, cell, cell.seconds)
                state = meter.state()
                rss = [value for name, value in state.items() if name.endswith("/status:VmRSS")]
                cell.speed[server] = {"requests": requests / seconds, "bytes": seen / seconds,
                                      "rss": rss[0 if server == OWN else 1], "tcp": state["tcp"]}
        guest.tell("stop")
    finally:
        guest.stop()
    if guest.splats():
        raise vm.VmError(guest.why_not())


def ratios(cell):
    """nginx's instructions by iolite-httpd's, turn by turn"""
    return [peer / own for peer, own in zip(cell.totals[PEER], cell.totals[OWN])]


def show(todo):
    rows = []
    for cell in todo:
        own, peer, turns = cell.insns[OWN], cell.insns[PEER], ratios(cell)
        rows.append([cell.title, round(peer), round(own), own / peer, peer / own,
                     f"{min(turns):.2f} to {max(turns):.2f}",
                     round(cell.speed[PEER]["requests"]), round(cell.speed[OWN]["requests"])])
    table.show("web: guest instructions of a request; requests per instruction against nginx; "
               "requests per second (second opinion)",
               ("response", PEER, "IO-Lite", "ratio", "requests/insn", "in turns",
                "nginx/s", "IO-Lite/s"), rows)


def draw(lab, todo):
    panels = []
    for fs, close, title in ((WRITTEN, False, "persistent connections"),
                             (WRITTEN, True, "a connection for each request"),
                             (READ, False, "persistent, single pages (read from disk)")):
        series = {server: [(cell.size * KIB, cell.insns[server]) for cell in todo
                           if cell.size and not cell.window and
                           (cell.fs, cell.close) == (fs, close)]
                  for server in (PEER, OWN)}
        panels.append(svg.Panel(title, series, own=(OWN,)))
    svg.write(lab.path("web.svg"), "Web servers",
              f"Guest instructions of a request; {CONNECTIONS} clients, one worker, ext4, "
              "virtio-net.", panels, xlabel="size of the file", ylabel="instructions",
              xname=table.size)
