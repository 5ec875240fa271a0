# SPDX-License-Identifier: GPL-2.0
"""A guest that serves a directory."""

import http.client
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "vm"))
import vm  # noqa: E402

PORT = 80

# The counters are those of the server, then the kernel's as iolite_*.
JOB = """\
mkdir /run/www && mount -t ext4 -o ro,noatime /dev/vda /run/www || exit
build/httpd/iolite-httpd --root /run/www --port {port} --stats-port 8081 {options} \
	> /run/job/server 2>&1 &
server=$!
counters()
{{
	exec 3<> /dev/tcp/127.0.0.1/8081 || return
	printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3
	cat <&3 > /run/job/counters.new
	exec 3>&-
	mv /run/job/counters.new /run/job/counters
}}
while kill -0 $server 2> /dev/null; do
	counters 2> /dev/null
	if [ -e /run/job/stop ]; then
		kill -TERM $server
		break
	fi
	sleep 1
done
wait $server
"""


class Server:
    def __init__(self, kernel, directory, image, *, port, tap=False, options=""):
        self.guest = vm.Guest(kernel, directory, JOB.format(port=PORT, options=options),
                              network="tap" if tap else "user", disks=[image],
                              forwards=[] if tap else [(port, PORT)],
                              boot_args="kunit.enable=0", kmemleak=kernel == "debug")
        self.address = (vm.TAP_GUEST, PORT) if tap else ("127.0.0.1", port)

    @property
    def url(self):
        host, port = self.address
        return f"http://{host}" + ("" if port == 80 else f":{port}")

    def start(self, limit=120):
        """Boots, and waits until a request is answered"""
        self.guest.start()
        end = time.monotonic() + limit
        while not self._answers():
            if not self.guest.running() or time.monotonic() > end:
                self.guest.timed_out = self.guest.running()
                self.guest.stop()
                said = self.guest.read("server").strip() or self.guest.read("output").strip()
                raise vm.VmError(f"the server did not come up{': ' + said if said else ''}"
                                 f" (kernel log: {self.guest.path('console')})")
            time.sleep(0.3)

    def _answers(self):
        connection = http.client.HTTPConnection(*self.address, timeout=5)
        try:
            connection.request("HEAD", "/")
            connection.getresponse()
            return True
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def counters(self):
        pairs = (line.split() for line in self.guest.read("counters").splitlines())
        return {p[0]: int(p[1]) for p in pairs if len(p) == 2 and p[1].lstrip("-").isdigit()}

    def _counted_at(self):
        try:
            return os.stat(self.guest.path("counters")).st_mtime_ns
        except FileNotFoundError:
            return 0

    def fresh_counters(self):
        """Counters taken after this call"""
        for _ in range(2):      # the first may be of a reading that had begun before
            seen = self._counted_at()
            end = time.monotonic() + 20
            while self._counted_at() == seen and time.monotonic() < end:
                time.sleep(0.1)
        return self.counters()

    def finish(self, limit=60):
        """Lets the server end what it does. What went wrong, or None."""
        self.guest.tell("stop")
        status = self.guest.wait(limit)
        return self.guest.why_not() or (f"the server ended with status {status}: "
                                        + self.guest.read("server").strip() if status else None)


def summary(counters):
    """One line for people"""
    copied = {name[len("iolite_copied_"):]: value for name, value in counters.items()
              if name.startswith("iolite_copied_") and value}
    total = copied.pop("bytes", 0)
    reasons = ", ".join(f"{reason} {size(value)}" for reason, value in copied.items())
    return (f"{counters.get('requests', 0)} requests, {size(counters.get('bytes_sent', 0))} sent, "
            f"{size(total)} copied" + (f" ({reasons})" if reasons else ""))


def size(number):
    for unit in ("B", "kB", "MB", "GB"):
        if number < 10000 or unit == "GB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return ""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
