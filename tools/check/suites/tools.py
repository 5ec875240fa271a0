# SPDX-License-Identifier: GPL-2.0
"""The scripts themselves, and what they say to wrong use."""

import os
import socket
import subprocess
import tempfile

from report import ROOT, clean_environment


def tracked(*patterns):
    done = subprocess.run(["git", "-C", ROOT, "ls-files", *patterns], check=True,
                          capture_output=True, text=True)
    return done.stdout.split()


def make(*args, **environment):
    done = subprocess.run(["make", "--no-print-directory", "-C", ROOT, *args], check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
                          env={**clean_environment(), **environment})
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    return done.returncode, done.stdout, said


def one_sentence(*args, says, **environment):
    """The problem, or None if make refuses these arguments in one sentence that says so"""
    status, out, said = make(*args, **environment)
    if not status:
        return "make succeeded"
    if len(said) != 1 or not said[0].startswith("iolite: ") or out.strip():
        return "expected one sentence, seen: " + " / ".join(out.splitlines() + said)
    if says not in said[0]:
        return f"expected \"{says}\", seen: {said[0]}"
    return None


def wrong_use(report):
    report.check("a missing DOCROOT", one_sentence("run", "DOCROOT=/nonexistent",
                                                   says="is no directory"))
    report.check("a PORT that is none", one_sentence("run", "PORT=http", says="is no port"))
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        report.check("a port in use", one_sentence("run", f"PORT={s.getsockname()[1]}",
                                                   says="is in use"))
    with tempfile.TemporaryDirectory() as other:
        report.check("KERNEL_SRC without a kernel", one_sentence(
            "tree", f"KERNEL_SRC={other}", says="is not a kernel tree"))
        for name, text in (("Kbuild", ""), ("Makefile", "VERSION = 6\nPATCHLEVEL = 12\n")):
            with open(os.path.join(other, name), "w", encoding="ascii") as f:
                f.write(text)
        report.check("KERNEL_SRC of another version", one_sentence(
            "tree", f"KERNEL_SRC={other}", says="is Linux 6.12 and the patches are for 7.3"))
    report.check("help by default", None if "make run" in make()[1] else "make prints no help")


def fetch_fails(report, name, says, setup=None):
    """One sentence of fetch.sh with an empty cache, in a network of its own that leads nowhere"""
    with tempfile.TemporaryDirectory() as cache:
        fetch = os.path.join(ROOT, "tools/build/fetch.sh")
        script = f"{setup.format(cache=cache)} && exec {fetch}" if setup else f"exec {fetch}"
        done = subprocess.run(["unshare", "-mn" if os.getuid() == 0 else "-rmn", "sh", "-c", script],
                              check=False, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=300,
                              env={**clean_environment(), "XDG_CACHE_HOME": cache})
    if "unshare: " in done.stderr:
        report.skip(name, "needs user namespaces")
        return
    said = [line for line in done.stderr.splitlines() if not line.startswith("== ")]
    good = done.returncode and len(said) == 1 and says in said[0]
    report.check(name, None if good else "expected one sentence, seen: " + done.stderr)


def run(report):
    for path in tracked("*.sh", ".ci/run"):
        with open(os.path.join(ROOT, path), encoding="utf-8") as f:
            sourced = [] if f.readline().startswith("#!") else ["-s", "bash"]
        report.command(f"shellcheck {path}", ["shellcheck", "-S", "warning", *sourced, path], 120,
                       cwd=ROOT)
    for path in tracked("*.py"):
        try:
            with open(os.path.join(ROOT, path), encoding="utf-8") as f:
                compile(f.read(), path, "exec")
            report.ok(f"compile {path}")
        except SyntaxError as e:
            report.fail(f"compile {path}", str(e))
    wrong_use(report)
    fetch_fails(report, "no network", "is there a network?")
    fetch_fails(report, "too little disk", "make room and try again",
                "mount -t tmpfs -o size=100M tmpfs {cache}")
