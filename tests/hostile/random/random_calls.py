#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""random_calls.py SBX GUEST SECONDS SEED...: random system calls inside, for SECONDS in all.

Each seed gets its share of the time in a sandbox of its own; `new` is a seed of the clock's. A seed
passes when the guest ends by itself, its kernel works all the while, neither sbx nor a sanitizer has
anything to say, and the sentry's descriptors, threads and memory are back where they were.
The first line of a failure is the command that does it again.
"""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
from procs import children

MEMORY_KB = 24 << 10  # what the kernel may keep: caches, files of the host changed by root inside
DESCRIPTORS = 12      # spare stubs
CACHED = 200          # files of the host that it keeps open for the next who asks
SLOW = 60             # seconds more than asked for: a sanitizer on a busy machine


def open_files(pid):
    """How many descriptors it has of each kind; files of the host are of one, `cached`."""
    kinds = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        kind = os.readlink(f"/proc/{pid}/fd/{fd}").split(":[")[0]
        if kind.startswith("/") and not kind.startswith("/memfd:") and not kind.endswith("/mem"):
            kind = "cached"
        kinds[kind] = kinds.get(kind, 0) + 1
    return kinds


def figures(pid):
    with open(f"/proc/{pid}/status") as f:
        status = dict(line.split(":", 1) for line in f)
    kinds = open_files(pid)
    return {
        "memory": int(status["VmRSS"].split()[0]),
        "descriptors": sum(kinds.values()) - kinds.get("cached", 0),
        "cached": kinds.get("cached", 0),
        "threads": int(status["Threads"]),
    }


def settle(pid, before, sanitized):
    """The figures when they are low enough, or after five seconds."""
    for _ in range(50):
        after = figures(pid)
        grown = []
        if after["descriptors"] > before["descriptors"] + DESCRIPTORS:
            grown.append("descriptors")
        if after["cached"] > before["cached"] + CACHED:
            grown.append("cached")
        if after["memory"] > before["memory"] + MEMORY_KB * (12 if sanitized else 1):
            grown.append("memory")
        if after["threads"] > before["threads"] + 8:
            grown.append("threads")
        if not grown:
            break
        time.sleep(0.1)
    return after, grown


def is_sanitized(sbx):
    with open(sbx, "rb") as f:
        text = f.read()
    return b"libasan.so" in text or b"libtsan.so" in text


def line(p, deadline):
    """The next line that it prints; the guest's own deadline ends it, so that this returns."""
    text = p.stdout.readline().decode(errors="replace").rstrip("\n")
    if not text:
        raise RuntimeError("the sandbox ended early")
    return text


def run(sbx, guest, seed, seconds):
    sanitized = is_sanitized(sbx)
    env = dict(os.environ, ASAN_OPTIONS="quarantine_size_mb=2")
    command = [sbx, "run", "--user=root", f"--timeout={int(seconds + SLOW)}", guest, str(seed),
               str(max(1, int(seconds)))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=env) as p:
        said, wrong = [], []
        try:
            said.append(line(p, 10))
            sentry = children(p.pid)[0]
            time.sleep(0.1)
            before = figures(sentry)
            p.stdin.write(b"\n")
            p.stdin.flush()
            while said[-1] != "done":
                said.append(line(p, seconds + SLOW))
            after, grown = settle(sentry, before, sanitized)
            for what in grown:
                wrong.append(f"{what} of the sentry: {before[what]} before, {after[what]} after")
            said.append(f"sentry: {before} -> {after}")
            if "descriptors" in grown:
                wrong.append(str(open_files(sentry)))
            p.stdin.write(b"\n")
            p.stdin.flush()
        except (RuntimeError, OSError, IndexError) as e:
            wrong.append(str(e))
        errors = p.communicate()[1].decode(errors="replace")
    if p.returncode != 0:
        wrong.append(f"status {p.returncode}")
    if errors:
        wrong.append(f"standard error:\n{errors}")
    if wrong:
        print("FAILED:", " ".join(command))
        print("\n".join(said + wrong))
    else:
        print("; ".join(said[1:-2] + said[-1:]))
    sys.stdout.flush()
    return not wrong


def main():
    sbx, guest, seconds, seeds = sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4:]
    failed = 0
    for seed in seeds:
        if seed == "new":
            seed = time.time_ns() % 1000000007
            print(f"new seed {seed}")
        failed += not run(sbx, guest, seed, seconds / len(seeds))
    return 1 if failed else 0


sys.exit(main())
