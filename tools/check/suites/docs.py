# SPDX-License-Identifier: GPL-2.0
"""The kernel documentation builds without warnings, with the kernel's own doc tools."""

import os
import re
import shutil
import subprocess
import sys

from report import BUILD, ROOT, clean_environment

sys.path.insert(0, os.path.join(ROOT, "tools/build"))
import layout  # noqa: E402

TREE = os.path.join(BUILD, "linux")
WORK = os.path.join(BUILD, "docs.check")

# Of the tree around our pages, not of our pages
OURS = re.compile(r"iolite|kernel-doc")


def elsewhere(line):
    """Whether a warning is only that the rest of the kernel's documentation is not built here"""
    if match := re.search(r"undefined label: '?([\w-]+)", line):
        return subprocess.run(["grep", "-rqiF", f".. _{match[1]}:",
                               os.path.join(TREE, "Documentation")], check=False).returncode == 0
    if match := re.search(r"(iolite/?\S*?|\S*/iolite)\.rst:\d+: WARNING: unknown document: "
                          r"'?([^']+)", line):
        page = match[2].lstrip("/")
        return any(os.path.exists(os.path.join(TREE, "Documentation", top, page + ".rst"))
                   for top in ("", "mm", "userspace-api"))
    return False


def pages():
    return sorted(path for path in layout.own_files() if path.startswith("Documentation/")
                  and path.endswith(".rst"))


def build_pages(names, log):
    """Our pages alone, in a tree that is the kernel's but for the other pages"""
    shutil.rmtree(WORK, ignore_errors=True)
    top = os.path.join(WORK, "Documentation")
    os.makedirs(top)
    for name in os.listdir(TREE):
        if name != "Documentation" and not name.startswith("out-"):
            os.symlink(os.path.join(TREE, name), os.path.join(WORK, name))
    for name in ("sphinx", "sphinx-static", "conf.py", "images"):
        os.symlink(os.path.join(TREE, "Documentation", name), os.path.join(top, name))
    for name in names:
        layout.copy(os.path.join(TREE, name), os.path.join(WORK, name))
    with open(os.path.join(top, "index.rst"), "w", encoding="utf-8") as f:
        f.write("IO-Lite\n=======\n\n.. toctree::\n\n")
        f.writelines(f"   {name[len('Documentation/'):-len('.rst')]}\n" for name in names)
    with open(log, "w", encoding="utf-8") as f:
        done = subprocess.run(["sphinx-build", "-b", "html", "-q", "-d", "../doctrees",
                               ".", "../html"], check=False, cwd=top, stdout=f, stderr=f,
                              env={**clean_environment(), "srctree": WORK, "BUILDDIR": WORK,
                                   "KERNELVERSION": "7.3", "KERNELRELEASE": "7.3"})
    with open(log, encoding="utf-8") as f:
        said = [line.strip() for line in f if OURS.search(line) and not elsewhere(line)
                and re.search("WARNING|ERROR", line)]
    return said or ([f"sphinx-build ended with status {done.returncode}"] if done.returncode
                    else [])


def run(report):
    if not report.build("tree"):
        return
    names = pages()
    if not names:
        report.fail("pages", "there is no page of documentation")
        return
    log = report.log("sphinx")
    said = build_pages(names, log)
    report.check("pages", said[0] if said else None, log)

    sources = sorted(path for path in layout.own_files() if path.endswith((".c", ".h"))
                     and not path.startswith("tools/"))
    log = report.log("kernel-doc")
    with open(log, "w", encoding="utf-8") as f:
        subprocess.run(["tools/docs/kernel-doc", "-none", *sources], check=False, cwd=TREE,
                       stdout=f, stderr=f)
    with open(log, encoding="utf-8") as f:
        said = [line.strip() for line in f if re.search("Warning|Error|warning:|error:", line)]
    report.check("kernel-doc comments", said[0] if said else None, log)
