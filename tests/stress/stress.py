#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""stress.py SBX [--part N/M | --part today/M] [--only NAME,...] [--seconds S] [--table]: stress-ng, natively and inside.

Each stressor of the classes below runs alone for a second with one worker, natively as an ordinary user
and then inside as the same. What fails inside and not natively is a failure (run twice before it is
called one); what finds something missing inside is listed. --part: every M-th of them, from N on; today:
another part each day. --table prints a line for each.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

CLASSES = ("os", "filesystem", "memory", "network", "pipe", "scheduler", "signal", "interrupt", "vm")
USER = 54321

# Not run at all, with the reason.
NOT_RUN = {
    "oom-pipe": "wants the machine's memory to end",
    "bigheap": "wants all memory of the machine",
    "bad-altstack": "kills with what the host logs",
    "dev": "opens devices of the host",
    "watchdog": "a device of the host",
    "rtc": "a device of the host",
    "cpu-online": "the host's processors",
}

# What differs, and why; docs/suites.md has the same list.
DIFFERS = {
    "ptrace": "ptrace comes with nesting",
    "vm-segv": "the same: its child stops itself for a tracer that cannot be",
}

STATUS = {0: "ok", 1: "error", 2: "FAILED", 3: "no resource", 4: "not there", 5: "killed", 6: "exited", 7: "untrue"}
HARMLESS = (0, 3, 4, 7)


def stressors():
    names = set()
    for c in CLASSES:
        r = subprocess.run(["stress-ng", "--class", c + "?"], capture_output=True, text=True, check=False)
        m = re.search(r"stressors?:(.*)", r.stdout + r.stderr, re.S)
        names |= set(m.group(1).split()) if m else set()
    return sorted(names)


def run(argv, limit, where):
    begin = time.monotonic()
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, errors="replace", cwd=where, start_new_session=True)
    try:
        out = p.communicate(timeout=limit)[0]
        status = p.returncode
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, 9)
        out = p.communicate()[0]
        status = "hangs"
    return status, out, time.monotonic() - begin


def command(name, seconds):
    return ["stress-ng", "--" + name, "1", "--timeout", "%ds" % seconds, "--temp-path", ".", "--oomable",
            "--no-rand-seed"]


def native(name, seconds, where):
    argv = command(name, seconds)
    if os.geteuid() == 0:
        argv = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups", *argv]
    return run(argv, seconds + 30, where)


def inside(sbx, name, seconds, where):
    user = ["--user", "%d:%d" % (USER, USER)] if os.geteuid() == 0 else []
    return run([sbx, "run", *user, "--timeout", "%ds" % (seconds + 60), "--memory", "1G", "--tmpfs", "/scratch",
                "--cwd", "/scratch", "--", *command(name, seconds)], seconds + 90, where)


def word(status):
    return STATUS.get(status, str(status))


def telling(out):
    lines = [re.sub(r"^stress-ng: ?", "", line) for line in out.splitlines()]
    lines = [x for x in lines if "fail" in x or "error" in x or "skip" in x or "errno" in x]
    return lines[0][:140] if lines else ""


def one(sbx, name, args, top):
    """0, or 1 when it fails inside alone."""
    where = os.path.join(top, name)
    os.mkdir(where)
    os.chmod(where, 0o1777)
    if name in DIFFERS:
        if args.table:
            print("%-16s differs: %s" % (name, DIFFERS[name]))
        return 0
    n, out, _ = native(name, args.seconds, where)
    shutil.rmtree(where, ignore_errors=True)
    os.makedirs(where, exist_ok=True)
    if n != 0:
        if args.table:
            print("%-16s native: %s" % (name, word(n)), flush=True)
        return 0
    for _ in range(2):
        i, out, took = inside(sbx, name, args.seconds, where)
        if i in HARMLESS:
            break
    bad = i not in HARMLESS
    if args.table or i != 0:
        print("%-16s inside: %s (%.0f s) %s" % (name, word(i), took, telling(out) if i else ""), flush=True)
    if bad:
        print("\n".join("    " + x for x in out.splitlines()[-12:]), flush=True)
    return int(bad)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("sbx")
    a.add_argument("--part", default="0/1")
    a.add_argument("--only", default="")
    a.add_argument("--seconds", type=int, default=1)
    a.add_argument("--table", action="store_true")
    args = a.parse_args()
    if not shutil.which("stress-ng"):
        print("SKIP: no stress-ng")
        return 77
    sbx = os.path.realpath(args.sbx)
    part, parts = args.part.split("/")
    part = int(time.time() // 86400) if part == "today" else int(part)
    names = [n for n in stressors() if n not in NOT_RUN]
    chosen = [n for k, n in enumerate(names) if k % int(parts) == part % int(parts)]
    if args.only:
        chosen = args.only.split(",")
    top = tempfile.mkdtemp(prefix="stress-", dir="/tmp")
    os.chmod(top, 0o755)
    try:
        failed = sum(one(sbx, n, args, top) for n in chosen)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    print("%d of %d stressors (part %d of %s); %d fail inside alone" % (
        len(chosen), len(names), part % int(parts), parts, failed))
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
