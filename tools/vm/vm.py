#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boots a kernel in QEMU, runs one job in the guest, and says how both went.

The guest's root is the host's file tree, read-only, over 9p, so a job runs the
programs of the host and of this checkout as they are. Host and guest share one
writable directory, the job directory:

    job.sh      what the guest runs (written here)
    network     the guest's address and gateway (written here)
    output      what the job printed
    status      its exit status; missing if the guest did not get that far
    console     the kernel's log
    kmemleak    what the leak scanner found, where it was asked for
"""

import argparse
import ctypes
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.join(ROOT, "build")

TAP_HOST, TAP_GUEST = "10.99.0.1", "10.99.0.2"

# One line of these in the kernel's log fails whatever was running.
SPLAT = re.compile(
    r"WARNING:|\bBUG:|kernel BUG at|UBSAN:|Oops:|Kernel panic|general protection fault"
    r"|KASAN: (?!.*initialized)|possible circular locking|inconsistent lock state"
    r"|suspicious RCU usage|self-detected stall|detected (?:expedited )?stalls on"
    r"|INFO: task .* blocked|unreferenced object|new suspected memory leaks"
    # a test that broke a page on purpose, and whoever has mapped it is told
    r"|refcount_t:|(?<!due to hardware memory )corruption|Bad page|nobody cared|scheduling while atomic"
    r"|INFO: trying to register non-static key")

# Before this line no initcall has run, and nothing of IO-Lite.
INITCALLS = "smpboot: CPU0:"


class VmError(Exception):
    """What went wrong, in one sentence for the user."""


def kernel_image(kernel):
    """The bzImage of "prod", "debug" or "off", or of a path"""
    if kernel in ("prod", "debug", "off"):
        kernel = os.path.join(BUILD, "linux", "out-" + kernel, "arch/x86/boot/bzImage")
    if not os.path.exists(kernel):
        raise VmError(f"there is no kernel at {kernel}: run \"make kernel\" first")
    return kernel


def _libc_unshare(flags):
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.unshare(flags) == 0


def private_network():
    """Moves this process to a network of its own with a tap device for a guest.

    A tap device has no limit on connections and, unlike QEMU's user network,
    offers checksum and segmentation offloads. False where that is not allowed.
    """
    newuser, newnet = 0x10000000, 0x40000000
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        if not _libc_unshare(newnet):
            return False
    else:
        if not _libc_unshare(newuser | newnet):
            return False
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"),
                           ("gid_map", f"0 {gid} 1")):
            with open("/proc/self/" + name, "w", encoding="ascii") as f:
                f.write(text)
    for command in ("link set lo up", "tuntap add tap0 mode tap vnet_hdr",
                    f"address add {TAP_HOST}/24 dev tap0", "link set tap0 up"):
        done = subprocess.run(["ip", *command.split()], check=False, capture_output=True)
        if done.returncode:
            return False
    return True


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Guest:
    """One boot. start(), then wait() or, for a job that goes on, ask() and stop()."""

    def __init__(self, kernel, directory, job, *, network=None, forwards=(), disks=(),
                 memory="2G", kmemleak=False, boot_args="", cpus=2, cpu="max", qemu=()):
        self.image = kernel_image(kernel)
        self.dir = os.path.abspath(directory)
        self.network = network
        self.forwards = forwards
        self.disks = disks
        self.memory = memory
        self.boot_args = boot_args
        self.cpus = cpus
        self.cpu = cpu
        self.options = qemu
        self.qemu = None
        self.timed_out = False
        self.boots = 1
        self.booted = False
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        self._write("job.sh", job)
        if network == "user":
            self._write("network", "10.0.2.15/24 10.0.2.2\n")
        elif network == "tap":
            self._write("network", f"{TAP_GUEST}/24\n")
        if kmemleak:
            self._write("want-kmemleak", "")

    def path(self, name):
        return os.path.join(self.dir, name)

    def _write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)

    def read(self, name):
        """A file of the job directory, or an empty string"""
        try:
            with open(self.path(name), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def tell(self, name, text=""):
        """Leaves a word for the job, whole or not at all"""
        self._write(name + ".new", text)
        os.rename(self.path(name + ".new"), self.path(name))

    def _command(self):
        accel = os.environ.get("ACCEL") or "tcg"
        if accel not in ("tcg", "kvm"):
            raise VmError(f"ACCEL={accel} is neither tcg nor kvm")
        if accel == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
            raise VmError("ACCEL=kvm needs /dev/kvm, readable and writable: leave ACCEL out")
        append = (f"root=root rootfstype=9p ro init={ROOT}/tools/vm/init.sh"
                  " rootflags=trans=virtio,version=9p2000.L,cache=loose,msize=262144"
                  " console=ttyS0 panic=-1 oops=panic"
                  f" {self.boot_args} iolite_checkout={ROOT} ")
        # q35 has its interrupt routing in a table; "pc" computes it in ACPI bytecode,
        # which takes the debug kernel longer than the interpreter's time limit.
        command = ["qemu-system-x86_64", "-machine", "q35", "-nodefaults", "-no-user-config",
                   "-display", "none", "-no-reboot", "-smp", str(self.cpus), "-m", self.memory,
                   "-serial", f"file:{self.path('console')}",
                   "-kernel", self.image, "-append", append,
                   "-device", "virtio-rng-pci",
                   "-virtfs", "local,path=/,mount_tag=root,security_model=none,"
                              "readonly=on,multidevs=remap",
                   "-virtfs", f"local,path={self.dir},mount_tag=job,security_model=none"]
        if accel == "tcg":
            threads = "multi" if self.cpus > 1 else "single"
            command += ["-accel", f"tcg,thread={threads}", "-cpu", self.cpu]
        else:
            command += ["-accel", "kvm", "-cpu", "host"]
        for number, disk in enumerate(self.disks):
            command += ["-drive", f"file={disk},format=raw,if=none,id=disk{number},readonly=on",
                        "-device", f"virtio-blk-pci,drive=disk{number}"]
        if self.network == "user":
            rules = "".join(f",hostfwd=tcp:127.0.0.1:{h}-:{g}" for h, g in self.forwards)
            command += ["-netdev", "user,id=net" + rules, "-device", "virtio-net-pci,netdev=net"]
        elif self.network == "tap":
            command += ["-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no,vhost=off",
                        "-device", "virtio-net-pci,netdev=net"]
        return command + list(self.options)

    def start(self):
        with open(self.path("qemu"), "w", encoding="utf-8") as log:
            self.qemu = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL,
                                         stdout=log, stderr=log, start_new_session=True,
                                         preexec_fn=_die_with_parent)

    def running(self):
        return self.qemu is not None and self.qemu.poll() is None

    def _boot_again(self):
        """Does so if the kernel reported something before it did anything that is tested.

        Under emulation an interrupt may come where none does on a processor; KASAN has
        been seen to stumble over that in one of fifty boots.
        """
        early, found, _ = self.read("console").partition(INITCALLS)
        self.booted = bool(found)
        said = [line for line in early.splitlines() if SPLAT.search(line)]
        if not said or self.boots == 3:
            return
        self.stop()
        os.rename(self.path("console"), self.path(f"console.boot{self.boots}"))
        print(f"   boot {self.boots} reported \"{said[0].strip()}\" before any initcall,"
              f" booting again (kernel log: {self.path(f'console.boot{self.boots}')})", flush=True)
        self.boots += 1
        self.booted = False
        self.start()

    def wait(self, limit, each_second=None):
        """Until the guest is off, for at most @limit seconds. The job's exit status or None."""
        end = time.monotonic() + limit
        while self.running():
            if time.monotonic() > end:
                self.timed_out = True
                self.stop()
                break
            try:
                self.qemu.wait(1)
            except subprocess.TimeoutExpired:
                pass
            if not self.booted:
                self._boot_again()
            if each_second:
                each_second()
        return self.status()

    def stop(self):
        """Pulls the plug"""
        if self.running():
            self.qemu.kill()
            self.qemu.wait()

    def status(self):
        text = self.read("status").strip()
        return int(text) if text else None

    def splats(self):
        """The lines of the kernel's log that must not be there, and leaks"""
        found = [line for line in self.read("console").splitlines() if SPLAT.search(line)]
        return found + [line for line in self.read("kmemleak").splitlines()
                        if "unreferenced object" in line]

    def why_not(self):
        """Why the guest did not do its job well, in one sentence; None if it did"""
        if self.timed_out:
            return f"the guest did not finish in time (kernel log: {self.path('console')})"
        if self.splats():
            return (f"the kernel reported \"{self.splats()[0].strip()}\""
                    f" (kernel log: {self.path('console')})")
        if self.status() is None:
            said = self.read("qemu").strip().splitlines()
            if said and not self.read("console"):
                return "QEMU did not start: " + said[-1]
            return f"the guest went down (kernel log: {self.path('console')})"
        return None


class Follower:
    """Prints what was added to a file since the last look"""

    def __init__(self, path):
        self.path = path
        self.at = 0

    def __call__(self):
        try:
            with open(self.path, "rb") as f:
                f.seek(self.at)
                data = f.read()
        except FileNotFoundError:
            return
        self.at += len(data)
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def main():
    parser = argparse.ArgumentParser(description="Boot a guest, run a command in it, and return "
                                                 "the command's exit status.")
    parser.add_argument("--kernel", default="prod", help="prod (default), debug, or a bzImage")
    parser.add_argument("--dir", default=os.path.join(BUILD, "vm"),
                        help="job directory, emptied first (default: build/vm)")
    parser.add_argument("--network", choices=("user", "tap"), help="none by default")
    parser.add_argument("--forward", action="append", default=[], metavar="HOST:GUEST",
                        help="TCP port of 127.0.0.1 to pass on (with --network user)")
    parser.add_argument("--disk", action="append", default=[], help="image of a read-only disk")
    parser.add_argument("--memory", default="2G")
    parser.add_argument("--limit", type=int, default=300, help="seconds until it is stopped")
    parser.add_argument("--boot-args", default="", help="for the kernel's command line")
    parser.add_argument("--kmemleak", action="store_true", help="look for leaks at the end")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()

    network = args.network
    if network == "tap" and not private_network():
        raise VmError("a tap device needs root or user namespaces: use --network user")
    guest = Guest(args.kernel, args.dir, "exec " + shlex.join(args.command) + "\n",
                  network=network, forwards=[f.split(":") for f in args.forward],
                  disks=args.disk, memory=args.memory, kmemleak=args.kmemleak,
                  boot_args=args.boot_args)
    follow = Follower(guest.path("output"))
    guest.start()
    try:
        status = guest.wait(args.limit, follow)
    finally:
        guest.stop()
    follow()
    why = guest.why_not()
    if why:
        raise VmError(why)
    return status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VmError as e:
        sys.exit(f"vm: {e}")
    except KeyboardInterrupt:
        sys.exit(130)
