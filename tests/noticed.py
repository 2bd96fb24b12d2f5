#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""noticed.py SBX-UNFENCED GUESTDIR [--sample N [SEED]] [--calls NAME,...]: would a test notice if a call were gone?

Each guest test is run once, to learn which calls it makes. Then each call that the table calls full is taken
out (SBX_UNFENCED=call-NAME), and the tests that make it are run, the quickest first, until one fails. A call
that no test misses is named, and is a failure unless it stands in KNOWN with its reason.
"""
import json
import os
import random
import re
import subprocess
import sys
import time

SBX, GUEST = os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2])
KNOWN = {"getgid": "stubs answer it by themselves"}
LIMIT = 20
# These run for long and make many calls, of which others make each as well.
TOO_LONG = ("ipc_stress", "net_stress", "side_by_side", "path_race", "fair_calls")


def option(name):
    return sys.argv[sys.argv.index(name) + 1 :] if name in sys.argv else []


def run(test, without="", stats=False):
    env = dict(os.environ, SBX_UNFENCED=without)
    argv = [SBX, "run", "--timeout", str(LIMIT), *(["--stats=json"] if stats else []), os.path.join(GUEST, test)]
    try:
        return subprocess.run(argv, env=env, cwd="/", capture_output=True, text=True, errors="replace",
                              stdin=subprocess.DEVNULL, timeout=LIMIT + 10, check=False)
    except subprocess.TimeoutExpired:
        return None


def table():
    """The calls that are full and that the sentry is asked for."""
    out = subprocess.run([SBX, "syscalls"], capture_output=True, text=True, check=True).stdout
    names = [m.group(1) for m in re.finditer(r"^ *\d+ +(\w+) +full", out, re.M)]
    native = subprocess.run([SBX, "syscalls", "--native"], capture_output=True, text=True, check=True).stdout
    return [n for n in names if not re.search(r"^%s +(always|words)" % n, native, re.M)]


def learn():
    who = {}
    for test in sorted(os.listdir(GUEST)):
        path = os.path.join(GUEST, test)
        if not os.access(path, os.X_OK) or test in ("hostile", "bomb", *TOO_LONG):
            continue
        begin = time.monotonic()
        r = run(test, stats=True)
        took = time.monotonic() - begin
        if not r or r.returncode != 0:
            print("(%s does not pass as it is: %s)" % (test, r.returncode if r else "hangs"))
            continue
        at = r.stderr.rfind('\n{"')
        text = r.stderr[at + 1 :] if at >= 0 else r.stderr[r.stderr.find("{") :]
        for name in calls_of(json.loads(text[: text.rfind("}") + 1])):
            who.setdefault(name, []).append((took, test))
    return who


def calls_of(stats):
    calls = stats.get("calls", {})
    return [c["name"] for c in calls] if isinstance(calls, list) else list(calls)


def missed(call, tests):
    """The test that fails without it; None."""
    # One that is named after it first, then by time.
    word = call.split("_")[0]
    for _, test in sorted(tests, key=lambda x: (word[:5] not in x[1], x[0])):
        r = run(test, "call-" + call)
        if not r or r.returncode not in (0, 77):
            return test
    return None


def main():
    calls, who = table(), learn()
    sample, only = option("--sample"), option("--calls")
    if sample:
        calls = random.Random(int(sample[1]) if len(sample) > 1 else 1).sample(calls, int(sample[0]))
    if only:
        calls = only[0].split(",")
    bad = []
    for call in calls:
        test = missed(call, who.get(call, []))
        if not test:
            bad.append(call)
        print("%-24s %s" % (call, test or "NOT MISSED (%d tests make it)" % len(who.get(call, []))), flush=True)
    bad = [c for c in bad if c not in KNOWN]
    print("%d calls; not missed by any test: %s" % (len(calls), " ".join(bad) or "none"))
    return int(bool(bad))


sys.exit(main())
