#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
bombs.py SBX BOMB [--full | --bite] [NAME...]

Sets off bombs (bomb.c) in one sandbox, one after the other. Each has to end by the errno that Linux
has for it; meanwhile another sandbox starts, and a process of the host's goes on; afterwards the
sentry has about the memory, the descriptors and the processes that it had before. At the end nothing
of the sandbox is left.

Limits are lowered so that it is quick (docs/limits.md); with --full only those on bytes are, and
not below what a machine of 4 GiB has. With --bite they are taken away, and each bomb must go on
beyond where they were: so the limits are what stops them.
"""
import os
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
from procs import children, family, tells

LOW = {"memory": 300 << 20, "kernel": 200 << 20, "file-bytes": 100 << 20, "inodes": 20000, "tasks": 500,
       "open-files": 5000, "locks": 1000, "mounts": 100, "epoll-items": 3000}
FULL = {"memory": 3 << 30, "kernel": 2 << 30, "file-bytes": 1 << 30}

# Bombs, by what is fought over. What is behind a colon: the limit that stops it, for --bite.
TASKS = "fork:tasks breed thread:tasks sigqueue:tasks timer:tasks timerfd:open-files itimer"
MEMORY = "memory:memory memory-many:memory shared:memory unmapped:memory tables:memory mapping space environment"
FILES = ("file:file-bytes shm:file-bytes fallocate:file-bytes small-files:file-bytes inode:inodes link:inodes "
         "deep:inodes symlink path inotify watch events xattr:kernel lock:locks mount:mounts deep-left")
FDS = ("pipe:open-files descriptor descriptors:open-files host-descriptors host-opens:open-files "
       "socket:open-files datagram:open-files flight:open-files flight-wide:open-files epoll:epoll-items "
       "epoll-items:epoll-items pty output")
GROUPS = {"tasks": TASKS, "memory": MEMORY, "files": FILES, "fds": FDS}

BEAT = 0.1          # of the host's canary
STILL = 30.0        # it may stand still for so long: many times what a busy machine needs
NEIGHBOUR = 30.0    # a second sandbox has started and ended
SETTLE = 15.0       # until everything is given back
ROOM = 48 << 20     # bytes that the sentry may keep: caches, the allocator's reserve
FDS_ROOM = 160      # descriptors: ready channels, handles of files
BOMB_TIME = 240

failures = 0


def fail(text):
    global failures
    failures += 1
    print("FAILED:", text, flush=True)


def status(pid, name):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(rf"^{name}:\s*(\d+)", f.read(), re.M).group(1))


class Canary(threading.Thread):
    """A process of the host's that beats; the longest time between two beats is kept."""

    def __init__(self):
        super().__init__(daemon=True)
        self.process = subprocess.Popen(["sh", "-c", f"while :; do echo; sleep {BEAT}; done"],
                                        stdout=subprocess.PIPE)
        self.longest = 0.0
        self.start()

    def run(self):
        last = time.monotonic()
        while self.process.stdout.readline():
            now = time.monotonic()
            self.longest = max(self.longest, now - last)
            last = now

    def end(self):
        self.process.kill()
        self.process.wait()
        if self.longest > STILL:
            fail(f"a process of the host's stood still for {self.longest:.1f} s")


class House:
    """The sandbox in which bombs are set off."""

    def __init__(self, sbx, bomb, limits, env=()):
        given = [a for e in env for a in ("--env", e)]
        self.process = subprocess.Popen(
            [sbx, "run", *given, bomb, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, bufsize=1,
            env={**os.environ, "SBX_LIMITS": ",".join(f"{k}={v}" for k, v in limits.items())})
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit("the sandbox does not start")
        # The sentry was made first.
        self.sentry = children(self.process.pid)[0]

    def figures(self):
        return (status(self.sentry, "RssAnon") << 10, len(os.listdir(f"/proc/{self.sentry}/fd")),
                len(family(self.sentry)))

    def set_off(self, name):
        """Lines that it printed, and its status; -1 when the sandbox has ended."""
        lines = []
        timer = threading.Timer(BOMB_TIME, self.process.kill)
        timer.start()
        try:
            self.process.stdin.write(name + "\n")
            for line in self.process.stdout:
                if line.startswith("status "):
                    return lines, int(line.split()[1])
                lines.append(line.strip())
        except BrokenPipeError:
            pass
        finally:
            timer.cancel()
        return lines, -1

    def settled(self, before):
        until = time.monotonic() + SETTLE
        while True:
            rss, fds, procs = now = self.figures()
            if rss <= before[0] + ROOM and fds <= before[1] + FDS_ROOM and procs <= before[2] + 4:
                return now, True
            if time.monotonic() > until:
                return now, False
            time.sleep(0.1)

    def end(self):
        all_of_it = family(self.process.pid)
        self.process.stdin.close()
        code = self.process.wait(60)
        until = time.monotonic() + 10
        while left := [p for p in all_of_it if os.path.exists(f"/proc/{p}")]:
            if time.monotonic() > until:
                fail(f"{len(left)} of {len(all_of_it)} processes are left")
                break
            time.sleep(0.05)
        return code


def neighbour(sbx, out):
    start = time.monotonic()
    try:
        r = subprocess.run([sbx, "run", "/bin/true"], stdin=subprocess.DEVNULL, timeout=NEIGHBOUR,
                           capture_output=True)
        out.append((r.returncode, time.monotonic() - start))
    except subprocess.TimeoutExpired:
        out.append((None, NEIGHBOUR))


def set_off(house, sbx, name):
    before, out = house.figures(), []
    other = threading.Timer(0.05, neighbour, (sbx, out))
    start = time.monotonic()
    other.start()
    lines, code = house.set_off(name)
    took = time.monotonic() - start
    other.join()
    if code < 0:
        fail(f"{name}: the sandbox has ended")
        return False
    after, good = house.settled(before)
    print(f"{'; '.join(lines)} ({took:.1f} s; another sandbox: {out[0][1]:.2f} s; "
          f"sentry {before[0] >> 20} -> {after[0] >> 20} MiB)", flush=True)
    if code:
        fail(f"{name}: status {code}")
    if out[0][0] != 0:
        fail(f"{name}: meanwhile another sandbox ended with {out[0][0]}")
    if not good:
        fail(f"{name}: memory, descriptors, processes of the sentry were {before}, are {after}")
    return True


def bite(sbx, bomb, names):
    """Without its limit each goes twice as far, and says that it met none."""
    for name, limit in names:
        if not limit:
            continue
        limits = {**LOW, "kernel": "none", "memory": "none", "file-bytes": "none", "open-files": "none"}
        limits = {**limits, limit: "none"}
        if name == "xattr":
            limits["inodes"] = "none"
        low = LOW[limit]
        house = House(sbx, bomb, limits, (f"BOMB_CAP={2 * low if low < 1 << 20 else 4000}",
                                          f"BOMB_BYTES={2 * LOW['memory']}"))
        lines, code = house.set_off(name)
        house.end()
        print(f"without {limit}: {'; '.join(lines)}, status {code}", flush=True)
        if code != 3:
            fail(f"{name} ends without its limit too")


def main():
    args = sys.argv[1:]
    modes = {a for a in args if a.startswith("--")}
    sbx, bomb, *chosen = [a for a in args if not a.startswith("--")]
    known = [tuple((w + ":").split(":")[:2]) for g in GROUPS.values() for w in g.split()]
    wanted = [n for c in chosen for n in
              ([w.split(":")[0] for w in GROUPS[c].split()] if c in GROUPS else [c])]
    names = [k for k in known if not wanted or k[0] in wanted]
    if not tells():
        print("no lists of children in /proc here")
        return 77
    if "--bite" in modes:
        bite(sbx, bomb, names)
        return failures > 0
    canary = Canary()
    limits = FULL if "--full" in modes else LOW
    house = House(sbx, bomb, limits)
    for warm in ("path", "fallocate"):
        house.set_off(warm)
    for name, _ in names:
        if not set_off(house, sbx, name):
            house = House(sbx, bomb, limits)
    code = house.end()
    if code:
        fail(f"the sandbox ended with {code}")
    canary.end()
    print(f"the host's process stood still for {canary.longest:.2f} s at most")
    return failures > 0


sys.exit(main())
