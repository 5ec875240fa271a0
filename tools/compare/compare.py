#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""make compare: existing test programs on the patched kernel and on a pristine one.

Every result of the patched kernel that is worse than the pristine kernel's is looked
at again on both; what stays worse fails the command.
"""

import json
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import programs  # noqa: E402
import results  # noqa: E402
from results import DOWN, FAIL, PASS, RANK, SKIP, TIMEOUT, vm  # noqa: E402

DIRECTORY = os.path.join(vm.BUILD, "compare")
INSTALLED = os.path.join(DIRECTORY, "kselftest")
HERE = os.path.dirname(os.path.realpath(__file__))

WIDE = bool(os.environ.get("WIDE"))
IMAGE = "arch/x86/boot/bzImage"
PATCHED = os.path.join(vm.BUILD, "linux", "out-wide" if WIDE else "out-prod", IMAGE)
KERNELS = {
    "pristine": os.path.join(vm.BUILD, "pristine",
                             "out-pristine-wide" if WIDE else "out-pristine", IMAGE),
    "patched": PATCHED,
    # patched, and every file that is worked on is held in aggregates meanwhile
    "active": PATCHED,
}
PARTS = {
    "fsx": ("pristine", "patched", "active"),
    "stress": ("pristine", "patched", "active"),
    "selftests": ("pristine", "patched"),
}
BASE = "pristine"
AGAIN = 2           # times that a program with a worse result is run again
GRACE = 90          # seconds over its limit after which a program has hung the guest
BOOT = 900          # seconds for a boot under a load, and to make the file systems


class Boot:
    """One guest, which runs programs until they are all done or it is down"""

    def __init__(self, kernel, directory, part, todo):
        job = "\n".join((f"first={todo[0][0]} last={todo[-1][0] + 1}",
                         f"bin={DIRECTORY}/bin",
                         f"selftests={INSTALLED if part == 'selftests' else ''}",
                         f"holder={1 if kernel == 'active' else ''}", ""))
        with open(os.path.join(HERE, "job.sh"), encoding="utf-8") as f:
            job += f.read()
        self.guest = vm.Guest(KERNELS[kernel], directory, job, memory="4G",
                              boot_args="kunit.enable=0 no_timer_check")
        self.todo = todo
        self.hung = None
        self.begun = {}
        for number, program in todo:
            self.guest.tell(f"{number}.name",
                            f"{program.name.replace(' ', '%')} {program.limit}\n")
            self.guest.tell(f"{number}.run", program.command + "\n")

    def look(self):
        """Pulls the plug where a program can no longer be ended"""
        for number, program in self.todo:
            if not self.guest.read(f"{number}.status"):
                runs = bool(self.guest.read(f"{number}.begun"))
                since = self.begun.setdefault((number, runs), time.monotonic())
                if time.monotonic() > since + (program.limit + GRACE if runs else BOOT):
                    self.hung = number
                    self.guest.stop()
                return

    def run(self):
        self.guest.start()
        try:
            self.guest.wait(24 * 3600, self.look)
        finally:
            self.guest.stop()


def run_programs(kernel, part, label, todo):
    """Result name -> result"""
    found = {}
    todo = list(enumerate(todo))
    attempt = 0
    while todo:
        attempt += 1
        boot = Boot(kernel, os.path.join(DIRECTORY, part, f"{label}-{attempt}"), part, todo)
        boot.run()
        guest = boot.guest
        done = 0
        for number, program in todo:
            status = guest.read(f"{number}.status").strip()
            if not status:
                break
            found.update(results.OF_PART[part](program.name, int(status),
                                               guest.read(f"{number}.out")))
            done += 1
        for name, line in results.splats(guest.read("console")).items():
            found[name] = FAIL
            print(f"{kernel}: {name}: \"{line}\"", flush=True)
        if kernel == "active" and done == len(todo):
            status = guest.read("holder.status").strip()
            found["holder: every snapshot is as it was"] = PASS if status == "0" else FAIL
            print("active: " + guest.read("holder.out").strip(), flush=True)
        if done < len(todo):
            number, program = todo[done]
            if not done and not guest.read(f"{number}.begun"):
                raise vm.VmError(f"the guest did not begin: {guest.why_not()}")
            found[program.name] = TIMEOUT if boot.hung == number else DOWN
            print(f"{kernel}: {program.name}: {found[program.name]} ({guest.path('console')})",
                  flush=True)
            done += 1
        todo = todo[done:]
    return found


def program_of(result, todo):
    """The program that a result is of: the longest name that it begins with"""
    fitting = [p for p in todo if result == p.name or result.startswith(p.name + ": ")]
    return max(fitting, key=lambda p: len(p.name), default=None)


def counts(found):
    text = [f"{sum(r == kind for r in found.values())} {word}"
            for kind, word in ((PASS, "passed"), (SKIP, "skipped"), (FAIL, "failed"),
                               (TIMEOUT, "not in time"), (DOWN, "brought the kernel down"))]
    return f"{len(found)} results: " + ", ".join(t for t in text if not t.startswith("0 "))


def worst(values):
    return max(values, key=lambda r: RANK.get(r, 2))


def worse(name, base, other):
    """True if a result of the other kernel is worse; none at all counts as a failure,
    if only the base has one, and complaints of the kernel have a result only if any"""
    if name not in base:
        return RANK[other[name]] >= RANK[FAIL]
    if name not in other:
        return ": kernel log" not in name
    return RANK[other[name]] > RANK[base[name]]


def compare(part, kernel, todo, base, other):
    """Prints the differences of one kernel from the base; the number of new failures"""
    differ = sorted(n for n in base.keys() | other.keys()
                    if base.get(n, PASS if program_of(n, todo) is None else None) != other.get(n))
    suspects = [n for n in differ if worse(n, base, other)]
    again = [p for p in todo if any(program_of(n, todo) is p for n in suspects)]
    bases, others = [base], [other]
    if again:
        print(f"== {part}: {len(again)} programs again, {AGAIN} times on each kernel", flush=True)
        for turn in range(AGAIN):
            bases.append(run_programs(BASE, part, f"{BASE}-{kernel}-again-{turn}", again))
            others.append(run_programs(kernel, part, f"{kernel}-again-{turn}", again))

    new = 0
    for name in differ:
        seen = [r.get(name, "none") for r in bases]
        now = [r.get(name, "none") for r in others]
        word = "differs"
        if name in suspects:
            mine = {name: worst(now[1:])} if now[1:] and worst(now[1:]) != "none" else {}
            theirs = {name: worst(seen)} if worst(seen) != "none" else {}
            # What a program does wrong once may be its own fault; a warning is the kernel's.
            if program_of(name, todo) is None or name.endswith(": kernel log"):
                mine = {name: now[0]}
            real = (name in mine or name in theirs) and worse(name, theirs, mine)
            word = "NEW FAILURE" if real else "unsteady"
            new += real
        print(f"{word} {part}/{name}: {BASE} {', '.join(seen)}; {kernel} {', '.join(now)}",
              flush=True)
    same = len(base.keys() | other.keys()) - len(differ)
    print(f"== {part}, {kernel} against {BASE}: {same} results the same, {len(differ)} differ, "
          f"{new} new failures", flush=True)
    return new


def run_part(part, only):
    todo = list(programs.selftests(INSTALLED) if part == "selftests" else
                getattr(programs, part)())
    todo = [p for p in todo if not only or any(p.name.startswith(o) for o in only)]
    found = {}
    for kernel in PARTS[part]:
        begun = time.monotonic()
        print(f"== {part}: {len(todo)} programs on the {kernel} kernel", flush=True)
        found[kernel] = run_programs(kernel, part, kernel, todo)
        print(f"{kernel}: {counts(found[kernel])}, {time.monotonic() - begun:.0f} s", flush=True)
    with open(os.path.join(DIRECTORY, part + ".json"), "w", encoding="utf-8") as f:
        json.dump(found, f, indent=1, sort_keys=True)
    return sum(compare(part, kernel, todo, found[BASE], found[kernel])
               for kernel in PARTS[part][1:])


def main():
    part = os.environ.get("COMPARE")
    if part and part not in PARTS:
        print("parts: " + " ".join(PARTS))
        return 0 if part == "list" else f"iolite: COMPARE={part} is no part: give one of those"
    only = os.environ.get("ONLY", "").split()
    subprocess.run([os.path.join(HERE, "selftests.sh")], check=True)
    new = sum(run_part(p, only) for p in ([part] if part else PARTS))
    print(f"{new} new failures" if new else "no new failure")
    return 1 if new else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (vm.VmError, subprocess.CalledProcessError) as e:
        sys.exit(f"iolite: {e}")
    except KeyboardInterrupt:
        sys.exit(130)
