# SPDX-License-Identifier: GPL-2.0
"""The other end of guest/meter.c."""

import os
import socket
import time

from lab import vm

PORT = 9001
PAGE = 4096


class Meter:
    def __init__(self, guest, limit=60):
        end = time.monotonic() + limit
        while True:
            try:
                self.socket = socket.create_connection((vm.TAP_GUEST, PORT), 5)
                break
            except OSError as e:
                if not guest.running() or time.monotonic() > end:
                    raise vm.VmError("the guest did not come up (kernel log: "
                                     f"{guest.path('console')})") from e
                time.sleep(0.2)
        self.socket.settimeout(60)
        self.lines = self.socket.makefile("r", encoding="utf-8", errors="replace")

    def _ask(self, command):
        self.socket.sendall(command)
        said = []
        while (line := self.lines.readline()) != "==\n":
            if not line:
                raise vm.VmError("the guest went down in a measurement")
            said.append(line)
        return said

    def begin(self):
        self._ask(b"b")

    def end(self):
        self._ask(b"e")

    def state(self):
        """name -> bytes or count: of meminfo, "slab:CACHE" and "objects:CACHE" (bytes of slabs
        and of objects in use), "tcp", "iolite:COUNTER", TCP's of /proc/net/snmp, "FILE:NAME" of other files"""
        found, source, names = {}, "", ()
        for line in self._ask(b"m"):
            words = line.split()
            if words[0] == "=":
                source = words[1]
            elif source.endswith("/slabinfo"):
                if words[0] not in ("slabinfo", "#"):
                    found["objects:" + words[0]] = int(words[1]) * int(words[3])
                    found["slab:" + words[0]] = int(words[14]) * int(words[5]) * PAGE
            elif source.endswith("/sockstat"):
                if words[0] == "TCP:":
                    found["tcp"] = int(words[words.index("mem") + 1]) * PAGE
            elif source.endswith("/snmp"):
                if words[0] == "Tcp:" and words[1].isalpha():
                    names = words[1:]
                elif words[0] == "Tcp:":
                    found.update(zip(names, map(int, words[1:])))
            elif "/iolite/" in source:
                found["iolite:" + os.path.basename(source)] = int(words[0])
            elif len(words) == 3 and words[2] == "kB":
                prefix = "" if source.endswith("/meminfo") else source + ":"
                found[prefix + words[0][:-1]] = int(words[1]) * 1024
        return found

    def settled_state(self):
        """When what is in flight has arrived"""
        before, same = self.state(), 0
        for _ in range(40):
            time.sleep(0.5)
            now = self.state()
            if now["tcp"] == before["tcp"] and abs(now["MemFree"] - before["MemFree"]) < 65536:
                same += 1
            else:
                same = 0
            if same == 3:
                break
            before = now
        return now
