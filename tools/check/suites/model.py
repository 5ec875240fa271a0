# SPDX-License-Identifier: GPL-2.0
"""The model of sealing and copy on write: every interleaving is right, faulty orders are not."""

import concurrent.futures
import os
import re
import shutil
import subprocess

from report import BUILD, ROOT

MODEL = os.path.join(ROOT, "tools/model/seal.pml")
WORK = os.path.join(BUILD, "model.check")
LIMIT = 300


def variants():
    """(scenario, fault) as the model's head lists them, each scenario first without a fault"""
    with open(MODEL, encoding="utf-8") as f:
        lines = re.findall(r"^ \*\t([A-Z_]*)\s+([A-Z_]{4,})\t", f.read(), re.M)
    scenario = ""
    for name, fault in lines:
        if name:
            scenario = name
            yield scenario, ""
        yield scenario, fault


def explore(report, scenario, fault):
    """What spin said of one variant: (problem or None, number of states, log)"""
    name = f"{scenario}-{fault}" if fault else scenario
    log = report.log(name)
    work = os.path.join(WORK, name)
    os.makedirs(work)
    defines = ["-D" + scenario] + (["-D" + fault] if fault else [])
    with open(log, "w", encoding="utf-8") as f:
        for command in (["spin", *defines, "-a", MODEL],
                        # Optimising takes longer than it saves.
                        ["gcc", "-O0", "-w", "-DSAFETY", "-o", "pan", "pan.c"],
                        ["./pan", "-m1000000"]):
            try:
                status = subprocess.run(command, check=False, cwd=work, stdout=f, stderr=f,
                                        timeout=LIMIT).returncode
            except subprocess.TimeoutExpired:
                return f"{command[0]} was not done after {LIMIT} s", 0, log
            if status:
                return f"{command[0]} ended with status {status}", 0, log
    with open(log, encoding="utf-8") as f:
        said = f.read()
    match = re.search(r"errors: (\d+)\n\s+(\d+) states, stored", said)
    if not match or "max search depth too small" in said:
        return "the search was not complete", 0, log
    if fault:
        broken = re.search(r"pan:1: assertion violated", said)
        return None if broken else "no counterexample was found", int(match[2]), log
    return None if match[1] == "0" else "an assertion fails", int(match[2]), log


def run(report):
    shutil.rmtree(WORK, ignore_errors=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [(s, f, pool.submit(explore, report, s, f)) for s, f in variants()]
        for scenario, fault, future in found:
            problem, states, log = future.result()
            report.check(f"{scenario} with {fault} fails" if fault else scenario, problem, log)
            if not fault and not problem:
                print(f"   verified in all of {states} states")
