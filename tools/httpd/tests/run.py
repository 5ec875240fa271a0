#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests a running iolite-httpd from outside; prints TAP."""

import argparse
import email
import hashlib
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

sys.dont_write_bytecode = True
import docroot  # noqa: E402
from client import Client, Closed, wait_until  # noqa: E402

SLACK = 5       # seconds that a slow guest may be late


class Skip(Exception):
    pass


TESTS = []


def test(function):
    TESTS.append(function)
    return function


def same(what, got, expected):
    if got != expected:
        raise AssertionError(f"{what}: {got!r}, expected {expected!r}")


def true(what, value):
    if not value:
        raise AssertionError(what)


def same_bytes(what, got, expected):
    if got == expected:
        return
    at = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b),
              min(len(got), len(expected)))
    raise AssertionError(f"{what}: {len(got)} bytes of {len(expected)}, different at {at}")


class Site:
    """The server under test and its files"""

    def __init__(self, args):
        url = urllib.parse.urlsplit(args.url)
        self.url = args.url.rstrip("/")
        self.address = (url.hostname, url.port or 80)
        self.root = args.docroot
        self.args = args

    def client(self, **how):
        return Client(self.address, **how)

    def files(self):
        """Targets and paths of all regular files"""
        for top, _, names in sorted(os.walk(self.root)):
            for name in sorted(names):
                path = os.path.join(top, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    yield self.target(os.path.relpath(path, self.root)), path

    def target(self, path):
        return "/" + urllib.parse.quote(os.fsencode(path))

    def read(self, name):
        with open(os.path.join(self.root, name), "rb") as f:
            return f.read()

    def file_of(self, at_least):
        """The smallest file that is large enough, as target and contents"""
        sizes = sorted((os.path.getsize(path), target, path) for target, path in self.files())
        for size, target, path in sizes:
            if size >= at_least:
                with open(path, "rb") as f:
                    return target, f.read()
        raise Skip(f"no file of {at_least} bytes")

    def counters(self):
        """As they are after this call"""
        if self.args.counters:
            name = self.args.counters
            for _ in range(2):      # one reading may have begun before
                seen = os.stat(name).st_mtime_ns
                true("the counters are written again",
                     wait_until(lambda: os.stat(name).st_mtime_ns != seen, 20))
            with open(name, encoding="ascii") as f:
                text = f.read()
        elif self.args.stats_url:
            with urllib.request.urlopen(self.args.stats_url, timeout=20) as f:
                text = f.read().decode()
        else:
            raise Skip("neither --counters nor --stats-url was given")
        # the file may hold the header of the HTTP response, too
        return {k: int(v) for k, v in re.findall(r"^(\w+) (-?\d+)$", text, re.M)}

    def serves(self):
        """Fails unless an ordinary request is answered"""
        with self.client() as c:
            target, data = self.file_of(1)
            same_bytes("a request afterwards", c.get(target).body, data)


# ---- Files ----

@test
def every_file_has_its_bytes_type_and_validators(site):
    with site.client() as c:
        for target, path in site.files():
            with open(path, "rb") as f:
                data = f.read()
            r = c.get(target)
            same(target, r.status, 200)
            same_bytes(target, r.body, data)
            true(f"{target} has a strong ETag", r.headers["etag"].startswith('"'))
            true(f"{target} has Last-Modified", "last-modified" in r.headers)
            same(f"{target} Accept-Ranges", r.headers["accept-ranges"], "bytes")
            if path.endswith(".html"):
                same("type of HTML", r.headers["content-type"], "text/html; charset=utf-8")
            if path.endswith(".bin"):
                same("type of .bin", r.headers["content-type"], "application/octet-stream")


@test
def a_second_and_a_third_time_too(site):
    with site.client() as c:
        for _ in range(2):
            for target, path in site.files():
                with open(path, "rb") as f:
                    same_bytes(target, c.get(target).body, f.read())


@test
def head_gives_the_same_header_and_no_body(site):
    with site.client() as c:
        for target, _ in site.files():
            get, head = c.get(target), c.get(target, method="HEAD")
            for r in get, head:
                r.headers.pop("date")
            same(target, (head.status, head.headers), (get.status, get.headers))


@test
def curl_fetches_all_files(site):
    if not shutil.which("curl"):
        raise Skip("curl is not installed")
    with tempfile.TemporaryDirectory() as directory:
        wanted, command = [], ["curl", "-sS", "--fail", "--max-time", "300"]
        for number, (target, path) in enumerate(site.files()):
            out = os.path.join(directory, str(number))
            command += ["-o", out, site.url + target]
            wanted.append((target, path, out))
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        same("curl's errors", (done.returncode, done.stderr), (0, ""))
        for target, path, out in wanted:
            sums = []
            for name in path, out:
                with open(name, "rb") as f:
                    sums.append(hashlib.sha256(f.read()).hexdigest())
            same(target, sums[1], sums[0])


# ---- Ranges ----

def ranges_of(size):
    middle = size // 2
    return [(f"{a}-{b}", a, b + 1) for a, b in (
        (0, 0), (0, size - 1), (1, size - 2), (middle, middle + 1), (size - 1, size - 1),
        (4095, 4096), (4096, 8191), (524287, 524288), (1, 1048577)) if a <= b < size] + [
        ("0-", 0, size), (f"{middle}-", middle, size), (f"{size - 1}-{size + 99}", size - 1, size),
        ("-1", size - 1, size), (f"-{size}", 0, size), (f"-{size + 1}", 0, size),
        ("0-99999999999999999999999", 0, size)]


@test
def single_ranges(site):
    with site.client() as c:
        for least in 1, 4097, 300_000, 3_000_000:
            target, data = site.file_of(least)
            for text, first, end in ranges_of(len(data)):
                r = c.get(target, f"Range: bytes={text}")
                same(f"{target} {text}", r.status, 206)
                same(f"{target} {text}", r.headers["content-range"],
                     f"bytes {first}-{end - 1}/{len(data)}")
                same_bytes(f"{target} {text}", r.body, data[first:end])


@test
def several_ranges_arrive_as_multipart(site):
    target, data = site.file_of(300_000)
    size = len(data)
    wanted = [(0, 1), (5, 5000), (size - 10, size), (100_000, 170_000)]
    text = ",".join(f"{a}-{b - 1}" for a, b in wanted) + f",{size + 5}-"
    with site.client() as c:
        r = c.get(target, f"Range: bytes={text}")
        same("status", r.status, 206)
        message = email.message_from_bytes(
            b"Content-Type: " + r.headers["content-type"].encode() + b"\r\n\r\n" + r.body)
        true("it is multipart/byteranges", message.get_content_type() == "multipart/byteranges")
        boundary = message.get_boundary().encode()
        parts = r.body.split(b"\r\n--" + boundary)
        same("what is before the first part", parts[0], b"")
        same("the end", parts[-1], b"--\r\n")
        same("the number of parts", len(parts) - 2, len(wanted))
        for part, (first, end) in zip(parts[1:-1], wanted):
            head, body = part[2:].split(b"\r\n\r\n", 1)
            true(f"part {first} names its range",
                 f"Content-Range: bytes {first}-{end - 1}/{size}".encode() in head)
            same_bytes(f"part {first}", body, data[first:end])
        same_bytes("the next response", c.get(target).body, data)


@test
def ranges_beyond_the_file_are_416(site):
    target, data = site.file_of(100)
    with site.client() as c:
        for text in f"{len(data)}-", f"{len(data) + 5}-{len(data) + 9}", "-0":
            r = c.get(target, f"Range: bytes={text}")
            same(text, (r.status, r.headers["content-range"]), (416, f"bytes */{len(data)}"))


@test
def ranges_that_make_no_sense_are_ignored(site):
    target, data = site.file_of(100)
    many = ",".join(f"{i}-{i}" for i in range(40))
    with site.client() as c:
        for text in ("bytes=9-3", "bytes=x", "lines=1-2", "bytes=", "bytes=0-,0-,0-",
                     f"bytes={many}"):
            r = c.get(target, f"Range: {text}")
            same(text, r.status, 200)
            same_bytes(text, r.body, data)
        same("HEAD", c.get(target, "Range: bytes=0-0", method="HEAD").status, 200)


@test
def if_range_decides_about_the_range(site):
    target, _ = site.file_of(100)
    with site.client() as c:
        h = c.get(target, method="HEAD").headers
        for value, status in ((h["etag"], 206), ('"other"', 200), ("W/" + h["etag"], 200),
                              (h["last-modified"], 206),
                              ("Sun, 06 Nov 1994 08:49:37 GMT", 200)):
            same(value, c.get(target, "Range: bytes=0-9", f"If-Range: {value}").status, status)


# ---- Conditions ----

@test
def conditions(site):
    target, data = site.file_of(100)
    with site.client() as c:
        h = c.get(target, method="HEAD").headers
        etag, modified = h["etag"], h["last-modified"]
        old, new = "Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
        for fields, status in (
                ([f"If-None-Match: {etag}"], 304),
                ([f"If-None-Match: W/{etag}"], 304),
                ([f'If-None-Match: "x", {etag}'], 304),
                (["If-None-Match: *"], 304),
                (['If-None-Match: "x"'], 200),
                ([f"If-Modified-Since: {modified}"], 304),
                ([f"If-Modified-Since: {new}"], 304),
                ([f"If-Modified-Since: {old}"], 200),
                (["If-Modified-Since: yesterday"], 200),
                (['If-None-Match: "x"', f"If-Modified-Since: {modified}"], 200),
                ([f"If-None-Match: {etag}", "Range: bytes=0-1"], 304),
                ([f"If-Match: {etag}"], 200),
                (['If-Match: "x"'], 412),
                ([f"If-Match: W/{etag}"], 412),
                ([f"If-Unmodified-Since: {old}"], 412),
                ([f"If-Unmodified-Since: {modified}"], 200)):
            r = c.get(target, *fields)
            same(str(fields), r.status, status)
            if status == 304:
                same("ETag of a 304", r.headers["etag"], etag)
            if status == 200:
                same_bytes(str(fields), r.body, data)


# ---- Directories ----

@test
def a_directory_without_slash_is_redirected(site):
    with site.client() as c:
        for target, location in (("/page", "/page/"), ("/list?a=b", "/list/?a=b"),
                                 ("//list", "/list/"), ("/li%73t", "/list/")):
            r = c.get(target)
            same(target, (r.status, r.headers["location"]), (301, location))


@test
def an_index_stands_for_its_directory(site):
    with site.client() as c:
        same_bytes("/", c.get("/").body, site.read("index.html"))
        same_bytes("/page/", c.get("/page/").body, site.read("page/index.html"))
        same_bytes("/?q", c.get("/?q").body, site.read("index.html"))


@test
def a_listing_leads_to_all_its_files(site):
    with site.client() as c:
        r = c.get("/list/")
        page = r.body.decode()
        same("status and type", (r.status, r.headers["content-type"]),
             (200, "text/html; charset=utf-8"))
        true("names are escaped", "<b>" not in page)
        links = [link for link in re.findall(r'href="([^"]*)"', page) if link != "../"]
        same("the number of links", len(links), len(docroot.ODD_NAMES) + 1)
        same("the link to a directory", "./below/" in links, True)
        for link in links:
            same(link, c.get("/list/" + link[2:]).status, 200)
        same("HEAD", c.get("/list/", method="HEAD").headers["content-length"], str(len(r.body)))
        same("a directory called index.html", c.get("/dots/").status, 200)


# ---- What must not be ----

@test
def nothing_outside_of_the_root_is_served(site):
    targets = ["/../etc/passwd", "/../../../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
               "/page/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/.%2e/etc/passwd",
               "//etc/passwd", "/%2fetc/passwd", "/escape", "/escape-dir/passwd", "/magic",
               "/escape-dir/", "/escape-dir", "/page/..%00/../etc/passwd", "/loop", "/%", "/%4",
               "/%zz", "/size-100.bin%00", "/size-100.bin%00.html", "/fifo", "/size-100.bin/",
               "/size-100.bin/index.html", "/" + "a" * 300, "/nothing", "/nothing/",
               "/" + "a/" * 2500, "http://test/../etc/passwd"]
    with site.client() as c:
        for target in targets:
            r = c.get(target)
            true(f"{target} gives {r.status}", r.status in (400, 403, 404, 414))
            true(f"{target} shows nothing", b"root:" not in r.body)
        same("a link inside", c.get("/inside.css").body, site.read("page/style.css"))
        same("dots inside", c.get("/page/../page/style.css").body, site.read("page/style.css"))
        same("absolute form", c.get("http://test/page/style.css").status, 200)


@test
def malformed_requests_get_their_status(site):
    host = "Host: test\r\n"
    for request, status in (
            ("GARBAGE\r\n\r\n", 400), ("\x16\x03\x01\x02\x00\r\n\r\n", 400),
            ("GET\r\n\r\n", 400), (f"GET page HTTP/1.1\r\n{host}\r\n", 400),
            (f"GET /page\x01 HTTP/1.1\r\n{host}\r\n", 400), ("GET / HTTP/1.1\r\n\r\n", 400),
            (f"GET / HTTP/1.1\r\n{host}{host}\r\n", 400),
            (f"GET / HTTP/1.1\r\n{host}Content-Length: x\r\n\r\n", 400),
            (f"GET / HTTP/1.1\r\n{host}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
             400), (f"GET / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
            (f"GET / HTTP/1.1\r\n{host}No colon\r\n\r\n", 400),
            (f"GET / HTTP/2.0\r\n{host}\r\n", 505), ("GET /\r\n\r\n", 505),
            (f"BREW / HTTP/1.1\r\n{host}\r\n", 501),
            (f"POST / HTTP/1.1\r\n{host}Content-Length: 3\r\n\r\nabc", 405),
            (f"PUT / HTTP/1.1\r\n{host}Content-Length: 3\r\n\r\nabc", 405),
            (f"OPTIONS * HTTP/1.1\r\n{host}\r\n", 405), (f"DELETE / HTTP/1.1\r\n{host}\r\n", 405)):
        with site.client() as c:
            c.send(request)
            r = c.response()
            same(repr(request), r.status, status)
            same(f"{request!r} closes", r.headers["connection"], "close")
            if status == 405:
                same("Allow", r.headers["allow"], "GET, HEAD")
            true(f"{request!r} is the end", c.is_closed(SLACK))


@test
def huge_requests_get_their_status(site):
    head = "GET / HTTP/1.1\r\nHost: test\r\n"
    for name, request, status in (
            ("a target of 9 kB", f"GET /{'a' * 9000} HTTP/1.1\r\nHost: test\r\n\r\n", 414),
            ("a target without end", "GET /" + "a" * 100_000, 414),
            ("a field of 20 kB", f"{head}X: {'a' * 20_000}\r\n\r\n", 431),
            ("fields without end", head + "X: y\r\n" * 50_000, 431),
            ("150 fields", head + "X: y\r\n" * 150 + "\r\n", 431),
            ("a body of 1 GB", head + "Content-Length: 1000000000\r\n\r\n" + "a" * 100_000, 413),
            ("chunks without end", head + "Transfer-Encoding: chunked\r\n\r\n"
             + "1000\r\n" + "a" * 4096 + "\r\n" + ("1000\r\n" + "a" * 4096 + "\r\n") * 20, 413)):
        with site.client() as c:
            try:
                c.send(request)
            except (BrokenPipeError, ConnectionResetError):
                pass
            same(name, c.response().status, status)


@test
def a_small_body_is_dropped(site):
    with site.client() as c:
        for body in "Content-Length: 5\r\n\r\nhello", \
                    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n":
            c.send(f"GET /page/style.css HTTP/1.1\r\nHost: test\r\n{body}")
            same_bytes(body, c.response().body, site.read("page/style.css"))
        same("the next", c.get("/").status, 200)


# ---- Connections ----

@test
def pipelined_requests_are_answered_in_order(site):
    files = [(target, path) for target, path in site.files() if os.path.getsize(path) < 70_000]
    with site.client() as c:
        batch = files * 5
        c.send("".join(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"
                       f"HEAD {target} HTTP/1.1\r\nHost: test\r\n\r\n"
                       "GET /nothing HTTP/1.1\r\nHost: test\r\n\r\n" for target, _ in batch))
        for target, path in batch:
            with open(path, "rb") as f:
                same_bytes(target, c.response().body, f.read())
            same(target, c.response("HEAD").headers["content-length"],
                 str(os.path.getsize(path)))
            same("a missing file", c.response().status, 404)


@test
def a_request_may_come_byte_by_byte(site):
    with site.client() as c:
        c.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /page/style.css HTTP/1.1\r\nHost: test\r\nX: y\r\n\r\n":
            c.send(bytes([byte]))
            time.sleep(0.002)
        same_bytes("body", c.response().body, site.read("page/style.css"))


@test
def connections_are_kept_or_closed_as_asked(site):
    for request, kept in (("GET / HTTP/1.1\r\nHost: test\r\n\r\n", True),
                          ("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", False),
                          ("GET / HTTP/1.0\r\n\r\n", False),
                          ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True)):
        with site.client() as c:
            c.send(request)
            same(request, c.response().headers["connection"], "keep-alive" if kept else "close")
            if kept:
                same("again", c.get("/").status, 200)
            else:
                true(f"{request!r} closes", c.is_closed(SLACK))


@test
def a_connection_ends_after_its_last_request(site):
    limit = site.args.max_requests
    if limit > 1000:
        raise Skip("--max-requests is large")
    with site.client() as c:
        for number in range(1, limit + 1):
            r = c.get("/page/style.css")
            same(f"connection after request {number}", r.headers["connection"],
                 "close" if number == limit else "keep-alive")
        true("it closes", c.is_closed(SLACK))


@test
def a_client_may_close_its_side_first(site):
    target, data = site.file_of(3_000_000)
    with site.client() as c:
        c.send(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
        c.socket.shutdown(socket.SHUT_WR)
        same_bytes(target, c.response().body, data)
        true("then the server closes", c.is_closed(SLACK))


# ---- Time ----

@test
def slow_requests_time_out(site):
    limit = site.args.header_timeout
    with site.client(timeout=limit + 30) as silent, site.client(timeout=limit + 30) as slow:
        start = time.monotonic()
        slow.send("GET / HTTP/1.1\r\n")
        while time.monotonic() < start + limit - 1:     # it trickles, but is not done in time
            time.sleep(0.5)
            slow.send("X: y\r\n")
        same("status", slow.response().status, 408)
        took = time.monotonic() - start
        true(f"after {took:.1f} s", limit - 1 <= took <= limit + SLACK)
        true("who says nothing is closed", silent.is_closed(SLACK))
    site.serves()


@test
def idle_connections_time_out(site):
    limit = site.args.idle_timeout
    with site.client() as c:
        c.get("/")
        start = time.monotonic()
        true("it closes", c.is_closed(limit + SLACK))
        true("but not early", time.monotonic() - start >= limit - 1)


@test
def clients_that_stall_are_cut_off_and_hurt_nobody(site):
    target, _ = site.file_of(12_000_000)
    limit = site.args.send_timeout
    clients = [site.client(timeout=30, receive_buffer=4096) for _ in range(50)]
    for c in clients:
        c.send(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
    start = time.monotonic()
    while time.monotonic() < start + 2 * limit + SLACK:
        begun = time.monotonic()
        site.serves()
        true("others are served at once", time.monotonic() - begun < SLACK)
        time.sleep(1)
    for c in clients:
        try:
            c.response()
            raise AssertionError("a stalled client got everything")
        except Closed:
            pass
        c.socket.close()


@test
def clients_that_are_slow_but_steady_get_everything(site):
    target, data = site.file_of(3_000_000)
    seconds = site.args.send_timeout + 3
    with site.client(receive_buffer=65536) as c:
        c.send(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
        status, headers = c.head()
        same("status and length", (status, headers["content-length"]), (200, str(len(data))))
        body = c.data
        c.data = b""
        while len(body) < len(data):
            body += c.take(min(len(data) // (seconds * 4), len(data) - len(body)))
            time.sleep(0.25)
        same_bytes(target, body, data)


# ---- Crowds ----

@test
def clients_that_vanish_or_reset_leave_nothing(site):
    target, _ = site.file_of(3_000_000)
    for number in range(150):
        c = site.client()
        if number % 3 != 2:
            c.send(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
        else:
            c.send("GET /ha")
        if number % 2:
            c.socket.recv(1000 if number % 3 != 2 else 0)
        if number % 5:
            c.reset()
        else:
            c.socket.close()
    site.serves()


@test
def a_thousand_connections_at_once(site):
    count = site.args.connections
    small, large = site.file_of(4096), site.file_of(60_000)
    clients = [site.client(timeout=300) for _ in range(count)]
    for turn in range(2):
        for number, c in enumerate(clients):
            c.send(f"GET {(small, large)[(number + turn) % 2][0]} HTTP/1.1\r\nHost: test\r\n\r\n")
        for number, c in enumerate(clients):
            same_bytes(f"connection {number}", c.response().body,
                       (small, large)[(number + turn) % 2][1])
    for c in clients:
        c.socket.close()


@test
def threads_fetch_large_files_side_by_side(site):
    target, data = site.file_of(3_000_000)
    problems = []

    def fetch():
        try:
            with site.client(timeout=300) as c:
                for _ in range(2):
                    same_bytes(target, c.get(target).body, data)
        except (AssertionError, OSError, Closed) as e:
            problems.append(repr(e))

    threads = [threading.Thread(target=fetch) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same("problems", problems, [])


@test
def more_connections_than_allowed_get_503(site):
    limit = site.args.max_connections
    if limit > 2500:
        raise Skip("--max-connections is large")
    clients, refused = [], 0
    try:
        for number in range(limit + 20):
            clients.append(site.client(timeout=60))
            if number < limit - 10:
                continue
            try:
                status = clients[-1].get("/page/style.css").status
            except (Closed, OSError):
                status = 503    # refused before it had asked: the answer may be lost
            true(f"connection {number} gets {status}", status in (200, 503))
            refused += status == 503
    finally:
        for c in clients:
            c.socket.close()
    true(f"{refused} of 20 too many were refused", 15 <= refused <= 30)
    true("there is room again", wait_until(lambda: served(site), 20))


def served(site):
    try:
        site.serves()
        return True
    except (Closed, OSError, AssertionError):
        return False


@test
def wrk_sees_no_error(site):
    if not shutil.which("wrk"):
        raise Skip("wrk is not installed")
    seconds = site.args.wrk_seconds
    for least, connections in (1, 200), (4096, 64), (60_000, 32), (1_000_000, 8):
        target, _ = site.file_of(least)
        done = subprocess.run(["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--timeout",
                               "30s", site.url + target], check=False, capture_output=True,
                              text=True)
        out = done.stdout
        print("# " + " ".join(re.findall(r"(\d+ requests in|Requests/sec: *\S+|"
                                         r"Transfer/sec: *\S+)", out)) + " " + target)
        same("exit status", done.returncode, 0)
        true(f"no errors: {out}", "Socket errors" not in out and "Non-2xx" not in out)
        true("there were requests", not re.search(r"\b0 requests in", out))


# ---- The proof ----

@test
def body_bytes_are_never_copied(site):
    before = site.counters()
    body = 0
    with site.client() as c:
        for _ in range(3):
            for target, path in site.files():
                r = c.get(target)
                same(target, r.status, 200)
                body += len(r.body)
            target, data = site.file_of(300_000)
            r = c.get(target, "Range: bytes=1-1000,5000-250000")
            same("a multipart answer", r.status, 206)
            body += len(data[1:1001]) + len(data[5000:250001])
    after = site.counters()
    true("the kernel has IO-Lite", any(name.startswith("iolite_") for name in after))
    change = {name: after[name] - before[name] for name in after if name in before}
    copied = {name: value for name, value in change.items()
              if name.startswith("iolite_copied_") and value
              and name not in ("iolite_copied_bytes", "iolite_copied_alloc")}
    print(f"# {body} bytes of bodies, {change['bytes_sent']} sent, "
          f"{change.get('iolite_copied_alloc')} copied for headers")
    same("bytes copied for other reasons than headers", copied, {})
    # a header that finds no room in its socket is copied again
    true(f"no more was copied for headers than they have: {change}",
         change["iolite_copied_alloc"] <= 2 * change["memory_bytes"])
    true(f"headers and bodies are all that was sent: {change}",
         body + change["memory_bytes"] <= change["bytes_sent"] + 100_000)
    true("bodies were sent by reference", change["iolite_sent_bytes"] >= body)


@test
def nothing_is_left_when_the_clients_are_gone(site):
    state = {}

    def clean():
        state.update(site.counters())
        kept = state["files_kept"]
        return (state["connections_open"] <= (1 if site.args.counters is None else 0)
                and state.get("iolite_aggregates", kept) == kept)

    true(f"what is left: {state}", wait_until(clean, 20))


# ---- Files that change; the docroot must be the one that is served ----

@test
def a_file_that_changes_is_served_anew(site):
    if not site.args.live:
        raise Skip("--live was not given")
    path = os.path.join(site.root, "live.txt")
    with site.client() as c:
        etags = set()
        for turn in range(30):
            data = f"turn {turn}\n".encode() * 500
            with open(path, "r+b" if turn % 3 == 1 else "wb") as f:
                f.write(data)
                f.truncate()
            for _ in range(3):
                r = c.get("/live.txt")
                same_bytes(f"turn {turn}", r.body, data)
            etags.add(r.headers["etag"])
            if turn == 10:      # old enough for its aggregate to be kept
                time.sleep(4)
                for _ in range(3):
                    same_bytes("settled", c.get("/live.txt").body, data)
        true("each has an ETag of its own", len(etags) >= 29)
        with open(path + ".new", "wb") as f:
            f.write(b"renamed\n")
        os.rename(path + ".new", path)
        true("a new file of the same name is found within two seconds",
             wait_until(lambda: c.get("/live.txt").body == b"renamed\n", 3))
        os.unlink(path)
        true("a removed one is gone",
             wait_until(lambda: c.get("/live.txt").status == 404, 3))


@test
def a_file_that_shrinks_while_it_is_sent_ends_the_connection(site):
    if not site.args.live:
        raise Skip("--live was not given")
    path = os.path.join(site.root, "shrink.bin")
    with open(path, "wb") as f:
        f.write(b"x" * 20_000_000)
    with site.client(receive_buffer=4096) as c:
        c.send("GET /shrink.bin HTTP/1.1\r\nHost: test\r\n\r\n")
        same("status", c.head()[0], 200)
        os.truncate(path, 100)
        try:
            c.take(20_000_000 - len(c.data))
            raise AssertionError("more bytes arrived than the file has")
        except Closed:
            pass
    with site.client() as c:
        same_bytes("the next one", c.get("/shrink.bin").body, b"x" * 100)
    os.unlink(path)


# ---- The process; it must run on this machine ----

@test
def few_file_pages_are_enough(site):
    limit = "/proc/sys/vm/iolite_max_user_pages"
    if not site.args.pid or not os.access(limit, os.W_OK):
        raise Skip("--pid was not given, or no right to write " + limit)
    target, data = site.file_of(3_000_000)
    results = []

    def fetch():
        try:
            with site.client(timeout=300) as c:
                r = c.get(target)
                same_bytes(target, r.body, data)
                results.append(r.status)
        except (AssertionError, OSError, Closed) as e:
            results.append(repr(e))

    with open(limit, encoding="ascii") as f:
        old = f.read()
    try:
        with open(limit, "w", encoding="ascii") as f:
            f.write("40")
        threads = [threading.Thread(target=fetch) for _ in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        with open(limit, "w", encoding="ascii") as f:
            f.write(old)
    same("what is sent is held by nobody", results, [200] * 6)


@test
def the_access_log_has_a_line_for_each_response(site):
    if not site.args.access_log:
        raise Skip("--access-log was not given")

    def lines_of(marker):
        with open(site.args.access_log, encoding="ascii") as f:
            return [line for line in f if marker in line]

    marker = f"/nothing-{time.time_ns()}"
    with site.client() as c:
        r = c.get(marker + '"\\')
        same("status", r.status, 404)
        c.get("/page/?" + marker)
        c.get("/page/?" + marker, method="HEAD")
    true("three lines come within some seconds",
         wait_until(lambda: len(lines_of(marker)) == 3, SLACK))
    want = (rf'"GET {marker}\\x22\\x5C HTTP/1.1" 404 {len(r.body)}', rf'"GET /page/\?{marker} '
            rf'HTTP/1.1" 200 {len(site.read("page/index.html"))}',
            rf'"HEAD /page/\?{marker} HTTP/1.1" 200 -')
    before = r"[\d.:a-f]+ - - \[\d\d/\w{3}/\d{4}:[\d:]{8} [+-]\d{4}\] "
    for line, expected in zip(lines_of(marker), want):
        true(f"{line!r} has the format", re.fullmatch(before + expected + "\n", line))


@test
def sighup_opens_the_access_log_anew(site):
    if not site.args.access_log or not site.args.pid:
        raise Skip("--access-log and --pid were not given")
    os.rename(site.args.access_log, site.args.access_log + ".1")
    os.kill(site.args.pid, signal.SIGHUP)
    true("there is a new log", wait_until(lambda: os.path.exists(site.args.access_log), SLACK))
    site.serves()
    true("and it is used", wait_until(lambda: os.path.getsize(site.args.access_log) > 0, SLACK))


@test
def sigterm_lets_responses_end_and_then_the_server(site):
    if not site.args.pid:
        raise Skip("--pid was not given")
    target, data = site.file_of(12_000_000)
    with site.client(receive_buffer=65536) as busy, site.client() as idle:
        idle.get("/")
        busy.send(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
        busy.more()
        os.kill(site.args.pid, signal.SIGTERM)
        true("the idle connection is closed", idle.is_closed(SLACK))
        try:
            site.client(timeout=2).get("/")
            raise AssertionError("a new connection was accepted")
        except (OSError, Closed):
            pass
        same_bytes("what was being sent", busy.response().body, data)
    # a process that nobody waited for yet has no command line any more
    true("the server ends", wait_until(lambda: not command_line(site.args.pid), SLACK))


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read()
    except (FileNotFoundError, ProcessLookupError):    # gone before, or while it is read
        return b""


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--make-docroot", metavar="DIR", help="make the directory to serve, and end")
    p.add_argument("--url", help="of the server")
    p.add_argument("--docroot", help="this side's copy of what it serves")
    p.add_argument("--counters", metavar="FILE", help="that is written anew again and again")
    p.add_argument("--stats-url", metavar="URL", help="of the server's --stats-port")
    p.add_argument("--live", action="store_true", help="--docroot itself is served: change it")
    p.add_argument("--access-log", metavar="FILE", help="of the server")
    p.add_argument("--pid", type=int, help="of the server, which is ended at last")
    p.add_argument("--connections", type=int, default=1000)
    p.add_argument("--wrk-seconds", type=int, default=5)
    p.add_argument("--only", metavar="WORD", help="tests with this in their name")
    for name, value in (("header-timeout", 15), ("idle-timeout", 60), ("send-timeout", 30),
                        ("max-requests", 10000), ("max-connections", 4096)):
        p.add_argument("--" + name, type=int, default=value,
                       help=f"what the server was started with ({value})")
    return p.parse_args()


def main():
    args = arguments()
    if args.make_docroot:
        docroot.make(args.make_docroot)
        return 0
    if not args.url or not args.docroot:
        print("run.py: --url and --docroot are needed", file=sys.stderr)
        return 2
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    site = Site(args)
    chosen = [t for t in TESTS if not args.only or args.only in t.__name__]
    failed = 0
    print(f"1..{len(chosen)}")
    for number, function in enumerate(chosen, 1):
        name = function.__name__.replace("_", " ")
        try:
            function(site)
            print(f"ok {number} - {name}", flush=True)
        except Skip as why:
            print(f"ok {number} - {name} # SKIP {why}", flush=True)
        except (AssertionError, OSError, Closed, KeyError, ValueError) as e:
            why = " ".join(str(e).split()) or type(e).__name__
            print(f"# {why[:1000]}\nnot ok {number} - {name}", flush=True)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
