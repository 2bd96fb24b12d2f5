#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""quickstart.py SBX: types the commands of docs/QUICKSTART.md, and compares what comes out."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

page = pathlib.Path(__file__).resolve().parent.parent / "docs/QUICKSTART.md"
steps = []  # [command, lines that are to come]
for line in page.read_text().splitlines():
    if not line.startswith("    "):
        continue
    line = line[4:]
    if line.startswith("$ "):
        steps.append([line[2:], []])
    elif line.startswith("> ") or line == ">":
        steps[-1][0] += "\n" + line[2:]
    else:
        steps[-1][1].append(line)

bad = 0
with tempfile.TemporaryDirectory(prefix="quickstart-") as top:
    os.mkdir(top + "/bin")
    os.mkdir(top + "/work")
    os.symlink(os.path.realpath(sys.argv[1]), top + "/bin/sbx")
    env = {"PATH": top + "/bin:/usr/bin:/bin", "HOME": top + "/home", "LC_ALL": "C.UTF-8"}
    for command, want in steps:
        r = subprocess.run(["sh", "-c", command], cwd=top + "/work", env=env, stdin=subprocess.DEVNULL, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
        got = [l for l in r.stdout.splitlines() if "and not held by a cgroup" not in l and "neither user namesp" not in l]
        if r.returncode:
            got.append("[status %d]" % r.returncode)
        pattern = "\n".join(".*".join(map(re.escape, l.split("..."))) for l in want)
        if not re.fullmatch(pattern, "\n".join(got)):
            bad += 1
            print("FAILED: %s\nis to print:\n%s\nprinted:\n%s\n" % (command, "\n".join(want), "\n".join(got)))
print("%d commands, %d failed" % (len(steps), bad))
sys.exit(bad > 0 or len(steps) < 20)
