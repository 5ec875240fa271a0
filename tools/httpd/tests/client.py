# SPDX-License-Identifier: MIT
"""An HTTP client that can also misbehave."""

import socket
import struct
import time


class Closed(Exception):
    """The server closed the connection before the response was complete"""


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body


class Client:
    """One connection. Bytes in, bytes out; response() parses one answer."""

    def __init__(self, address, timeout=60, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        self.data = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def get(self, target, *fields, method="GET"):
        """Sends a request and returns its response"""
        self.send("".join([f"{method} {target} HTTP/1.1\r\nHost: test\r\n",
                           *(f"{field}\r\n" for field in fields), "\r\n"]))
        return self.response(method)

    def more(self):
        try:
            data = self.socket.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed
        self.data += data

    def take(self, count):
        pieces, have = [self.data], len(self.data)
        while have < count:
            try:
                data = self.socket.recv(1 << 18)
            except ConnectionResetError:
                data = b""
            if not data:
                raise Closed
            pieces.append(data)
            have += len(data)
        data = b"".join(pieces)
        self.data = data[count:]
        return data[:count]

    def head(self):
        """Status and header fields of the next response"""
        while b"\r\n\r\n" not in self.data:
            self.more()
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        version, status, _ = lines[0].split(" ", 2)
        if version != "HTTP/1.1":
            raise AssertionError(f"a status line begins with {version}")
        headers = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            if name.lower() in headers:
                raise AssertionError(f"{name} is there twice")
            headers[name.lower()] = value.strip()
        return int(status), headers

    def response(self, method="GET"):
        status, headers = self.head()
        body = b""
        if method != "HEAD" and status != 304:
            body = self.take(int(headers["content-length"]))
        return Response(status, headers, body)

    def is_closed(self, within):
        """True if the server closes within so many seconds, sending nothing more"""
        self.socket.settimeout(within)
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    def reset(self):
        """Leaves as a crashed client does: with RST"""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def wait_until(true, seconds, step=0.2):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(step)
    return True
