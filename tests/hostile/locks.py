#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""locks.py SBX HOSTILE [--bites]: what a guest locks of the host's memory (locks.c), counted on the host.

Each of its processes, and the sentry, which locks segments for it, is held by the RLIMIT_MEMLOCK that sbx was started
with, which is the host's (the sentry by 8 MiB at the most); all together by --memory. With --bites each is lifted,
and then more is locked.
"""
import os
import re
import resource
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from procs import family

SBX, HOSTILE, BITES = os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2]), "--bites" in sys.argv
LOCK, MORE, MEMORY, MANY = 2 << 20, 8 << 20, 100 << 20, 40
HELD = MEMORY + MEMORY // 16 + (32 << 20)  # by the cgroup: cli/cgroup.c


def status(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
            text = f.read()
        return re.search(r"Name:\s*(.*)", text).group(1), *(int(re.search(w + r":\s*(\d+)", text).group(1)) << 10 for w in ("VmLck", "RssAnon"))
    except (OSError, AttributeError):
        return "", 0, 0


def run(lock, env, memory=MEMORY):
    """
    The most that one stub, the sentry and all together had locked. Of all together, what is there: a lock on what
    was never touched (MLOCK_ONFAULT) holds no memory.
    """
    def limits():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (lock, lock))

    p = subprocess.Popen([SBX, "run", "--user=0:0", "--timeout=200", *(["--memory=%d" % memory] if memory else []), "--", HOSTILE, "locks", str(MANY)],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=limits,
                         env={**os.environ, **env})
    most, lines = [0, 0, 0], []
    os.set_blocking(p.stdout.fileno(), False)
    end = time.monotonic() + 120
    while time.monotonic() < end and p.poll() is None and "over\n" not in lines:
        all_of_it = [status(pid) for pid in family(p.pid)]
        stubs = [lck for name, lck, _ in all_of_it if name == "sbx-stub" or name not in ("sbx-sentry", "sbx-gofer")]
        sentry = [lck for name, lck, _ in all_of_it if name == "sbx-sentry"]
        most = [max(most[0], *stubs, 0), max(most[1], *sentry, 0), max(most[2], sum(min(lck, anon) for _, lck, anon in all_of_it))]
        lines += p.stdout.readlines()
        last = sum(min(lck, anon) for _, lck, anon in all_of_it)
        time.sleep(0.02)
    p.stdin.close()
    p.kill()
    p.wait()
    print("lock %d MiB, %s: most in one process %.1f MiB, in the sentry %.1f, in all %.1f; %s" %
          (lock >> 20, env, most[0] / 2**20, most[1] / 2**20, most[2] / 2**20, [line.strip() for line in lines if "locked" in line]))
    if not any("begun" in line for line in lines):
        print("it did not run:", lines)
        sys.exit(1)
    # Where no cgroup holds it, it is looked at: there can be more until who is killed has ended.
    held = not any("not held by a cgroup" in line for line in lines)
    return most[0], most[1], most[2] if held else last


bad = []
if BITES:
    if run(MORE, {})[0] <= LOCK:
        bad.append("without the host's limit no process locks more")
    if run(MORE, {}, memory=0)[2] <= HELD:
        bad.append("without a limit of memory not more is locked in all")
else:
    one, sentry, _ = run(LOCK, {})
    if not LOCK // 2 < one <= LOCK or sentry > LOCK:
        bad.append("a process has locked %d, the sentry %d" % (one, sentry))
    one, sentry, together = run(MORE, {})
    if one > MORE or sentry > MORE or together > HELD:
        bad.append("a process has locked %d, the sentry %d, together %d" % (one, sentry, together))
for b in bad:
    print("FAILED:", b)
sys.exit(bool(bad))
