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

# They know how many opcodes and registrations there are, and the size of tables of them.
NUMBERS = {f"io_uring/{name}.o" for name in ("io_uring", "memmap", "opdef", "query", "register")}

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
    """The objects of the kernel's C files among these"""
    return sorted(path[:-2] + ".o" for path in paths if path.endswith(".c")
                  and not path.startswith(("tools/", "Documentation/", "samples/")))


def functions(out, name):
    """The instructions of each function of an object, without what only its place determines"""
    text = subprocess.run(["objdump", "-drw", "--no-show-raw-insn", os.path.join(TREE, out, name)],
                          check=True, capture_output=True, text=True).stdout
    found, body = {}, []
    for line in text.splitlines():
        line = re.sub(r"\.\d+\b", "", line)            # the compiler's own numbering
        if match := re.match(r"[0-9a-f]+ <(.+)>:$", line):
            body = found.setdefault(match[1], [])
        elif line.startswith(" "):
            line = re.sub(r"^\s*[0-9a-f]+:\t", "", line)
            line = re.sub(r"\b[0-9a-f]+ <", "<", line)
            line = re.sub(r"\t[0-9a-f]+: R_", "\tR_", line)
            body.append(re.sub(r"(\tR_\S+\t\.[\w.]+)[+-]0x[0-9a-f]+", r"\1", line).rstrip())
    return found


def same_instruction(before, after, lines_added):
    """Equal, or with the number of a line of the source that moved"""
    if before == after:
        return True
    number = r"(mov\s+)\$0x([0-9a-f]+)(,%\w+)$"
    b, a = re.match(number, before), re.match(number, after)
    return bool(a and b and a[1] == b[1] and a[3] == b[3]
                and 0 < int(a[2], 16) - int(b[2], 16) <= lines_added)


def changed_functions(name, lines_added):
    before, after = functions("before", name), functions("after", name)
    changed = [f for f in before if f in after and (
        len(before[f]) != len(after[f])
        or not all(same_instruction(b, a, lines_added) for b, a in zip(before[f], after[f])))]
    return changed + sorted(set(before) ^ set(after))


def linked(makefile, name, config):
    """Whether a directory's Makefile asks for an object, by itself or as a part of another"""
    for line in makefile:
        if not re.search(rf"(^|[\s=]){re.escape(name)}(\s|$)", line):
            continue
        target = line.split("=")[0]
        if not all(option in config for option in re.findall(r"\$\(CONFIG_(\w+)\)", target)):
            continue
        whole = re.match(r"([\w-]+?)-(?:y|objs|\$\(CONFIG_\w+\))\s*[:+]?$", target)
        if not whole or whole[1] == "obj" or linked(makefile, whole[1] + ".o", config):
            return True
    return False


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
        if linked(text.splitlines(), base, config):
            found.append(name)
    return found


def lines(top, name):
    with open(os.path.join(top, name[:-2] + ".c"), encoding="utf-8") as f:
        return sum(1 for _ in f)


def same_code(report, pristine, names):
    """I7: without CONFIG_IOLITE every function of a touched object is what it was"""
    for name in names:
        if name in NUMBERS:
            continue
        changed = changed_functions(name, lines(TREE, name) - lines(pristine, name))
        report.check(f"CONFIG_IOLITE=n leaves {name} as it was", "other code in "
                     + " ".join(changed) if changed else None)


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
        # what is configured stays, until there is more to configure
        changes = any(os.path.basename(path).startswith("Kconfig")
                      for path in layout.touched(mail))
        good = configure(log, "step") if mail == mails[0] or changes else True
        names = compiled("step", objects(layout.touched(mail)))
        good = good and (not names or make(log, "O=step", *names))
        report.check(f"builds with {name}", None if good else "what it touches does not", log)

    log = report.log("after")
    open(log, "w", encoding="utf-8").close()
    if configure(log, "after", "CONFIG_IOLITE=n") and make(log, "O=after", *existing):
        same_code(report, pristine, existing)
    else:
        report.fail("CONFIG_IOLITE=n builds", "it does not", log)
    if not report.failed:
        shutil.rmtree(WORK)
