# SPDX-License-Identifier: GPL-2.0
"""The series applies in order, builds at each step, and costs nothing where it is not wanted."""

import os
import re
import shutil
import subprocess
import sys

from report import BUILD, ROOT, clean_environment

sys.path.insert(0, os.path.join(ROOT, "tools/build"))
import layout  # noqa: E402

WORK = os.path.join(BUILD, "series.check")
TREE = os.path.join(WORK, "linux")
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "iolite")


def environment():
    return {**clean_environment(), "CCACHE_DIR": os.path.join(CACHE, "ccache"),
            "PATH": "/usr/lib/ccache:" + os.environ["PATH"]}


def make(log, *args):
    """True if the kernel's make could do that in the scratch tree"""
    command = ["make", "-C", TREE, "-j" + (os.environ.get("JOBS") or str(os.cpu_count())),
               "-k", *args]
    with open(log, "a", encoding="utf-8") as f:
        return subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=f,
                              stderr=f, env=environment()).returncode == 0


def configure(log, out, *more):
    """The production configuration, with options changed"""
    if not make(log, f"O={out}", "tinyconfig"):
        return False
    with open(os.path.join(ROOT, "tools/vm/configs/prod.config"), encoding="utf-8") as f:
        text = f.read() + "\n".join(more) + "\n"
    with open(os.path.join(TREE, out, ".config"), "a", encoding="utf-8") as f:
        f.write(text)
    return make(log, f"O={out}", "olddefconfig")


def copy_tree(pristine):
    """A tree to apply patches to. Links, if it can be: patch writes new files."""
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    for how in ("-al", "-a"):
        if subprocess.run(["cp", how, pristine, TREE], check=False,
                          stderr=subprocess.DEVNULL).returncode == 0:
            return
        shutil.rmtree(TREE, ignore_errors=True)


def objects(paths):
    """The objects of C files that this configuration compiles"""
    return sorted(path[:-2] + ".o" for path in paths if path.endswith(".c")
                  and not path.startswith(("tools/", "Documentation/", "samples/")))


def disassembly(out, name):
    """The code of an object, without what numbering alone changes; None if not compiled"""
    path = os.path.join(TREE, out, name)
    if not os.path.exists(path):
        return None
    text = subprocess.run(["objdump", "-dr", "--no-show-raw-insn", path], check=True,
                          capture_output=True, text=True).stdout
    return re.sub(r"\.\d+\b", "", text.split("\n", 3)[3])


def compiled(out, names):
    """Those of them that the configuration would link into the kernel"""
    with open(os.path.join(TREE, out, ".config"), encoding="utf-8") as f:
        config = set(re.findall(r"^CONFIG_(\w+)=y", f.read(), re.M))
    found = []
    for name in names:
        directory, base = os.path.split(name)
        try:
            with open(os.path.join(TREE, directory, "Makefile"), encoding="utf-8") as f:
                text = f.read().replace("\\\n", " ")
        except FileNotFoundError:
            continue
        for line in text.splitlines():
            if re.search(rf"(^|[\s=]){re.escape(base)}(\s|$)", line):
                options = re.findall(r"\$\(CONFIG_(\w+)\)", line.split("=")[0])
                if all(option in config for option in options):
                    found.append(name)
                    break
    return found


def same_code(report, log, names):
    """I7: without CONFIG_IOLITE every touched object is what it was"""
    different, missing, same = [], [], 0
    for name in names:
        before, after = disassembly("before", name), disassembly("after", name)
        if before is None or after is None:
            missing.append(name)
        elif before != after:
            different.append(name)
        else:
            same += 1
    problem = None
    if different:
        problem = "other code with CONFIG_IOLITE=n in " + " ".join(different)
    elif missing or not same:
        problem = "not compiled: " + " ".join(missing or ["anything"])
    report.check("CONFIG_IOLITE=n leaves the code as it was", problem, log)


def run(report):
    report.command("applies", ["make", "--no-print-directory", "-C", ROOT, "series"], 600)
    series = os.path.join(BUILD, "series")
    mails = sorted(os.path.join(series, name) for name in os.listdir(series)
                   if not name.startswith("0000-")) if os.path.isdir(series) else []
    if report.failed or not mails:
        return
    pristine = subprocess.run([os.path.join(ROOT, "tools/build/fetch.sh")], check=True,
                              capture_output=True, text=True).stdout.strip()
    copy_tree(pristine)
    touched = set().union(*(layout.touched(mail) for mail in mails))
    log = report.log("before")
    open(log, "w", encoding="utf-8").close()
    if not configure(log, "before"):
        report.fail("pristine tree", "cannot be configured", log)
        return
    existing = [name for name in compiled("before", objects(touched))
                if os.path.exists(os.path.join(pristine, name[:-2] + ".c"))]
    report.check("pristine tree builds", None if make(log, "O=before", *existing)
                 else "it does not", log)

    for mail in mails:
        layout.apply(mail, TREE)
        name = os.path.basename(mail)[:-len(".patch")]
        log = report.log(name)
        open(log, "w", encoding="utf-8").close()
        good = configure(log, "step")
        names = compiled("step", objects(layout.touched(mail)))
        good = good and (not names or make(log, "O=step", *names))
        report.check(f"builds with {name}", None if good else "what it touches does not", log)

    log = report.log("after")
    open(log, "w", encoding="utf-8").close()
    if configure(log, "after", "CONFIG_IOLITE=n") and make(log, "O=after", *existing):
        same_code(report, log, existing)
    else:
        report.fail("CONFIG_IOLITE=n builds", "it does not", log)
    shutil.rmtree(WORK)
