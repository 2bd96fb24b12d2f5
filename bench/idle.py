# SPDX-License-Identifier: Apache-2.0
"""Rows of programs that wait: what they cost meanwhile, and a hundred of them at once."""
import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass

from measure import Cgroup, Run, descendants, pss, run_ns
from rows import Row


class Waiting:
    """A program under a side that says "ready", and then waits."""

    def __init__(self, side, program, cwd, group):
        self.child = subprocess.Popen(
            side.command(program), cwd=cwd, env=side.environ(), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=group.enter)
        self.before = b""  # what it said before "ready"

    def ready(self, limit):
        end = time.monotonic() + limit
        while b"ready\n" not in self.before:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.child.stdout], [], [], left)[0]:
                raise TimeoutError("was not ready in time")
            got = os.read(self.child.stdout.fileno(), 4096)
            if not got:
                error = self.child.stderr.read().decode(errors="replace").strip()
                raise ChildProcessError((error.splitlines() or ["ended before it was ready"])[-1])
            self.before += got

    def go(self):
        self.child.stdin.close()

    def wait(self, limit):
        return self.child.wait(limit)

    def end(self):
        """Ends the program, and whatever it left."""
        if self.child.poll() is None:
            self.child.terminate()
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        for stream in (self.child.stdin, self.child.stdout, self.child.stderr):
            stream.close()


def end_all(waiting, group):
    """Ends all at once, then what they left behind, which has become ours."""
    for one in waiting:
        if one.child.poll() is None:
            one.child.terminate()
    for one in waiting:
        one.end()
    end = time.monotonic() + 10
    while (left := descendants(os.getpid())) and time.monotonic() < end:
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            pass
        time.sleep(0.01)
    for pid in left:
        if pid > 1:
            os.kill(pid, signal.SIGKILL)
    group.remove()


@dataclass
class Idle(Row):
    """A sleeping program, or a server that nobody asks, for ten seconds."""

    how: str

    def once(self, place, side):
        run, group = Run(), Cgroup()
        one = Waiting(side, ["./idle", self.how], place.cwd, group)
        try:
            one.ready(place.limit)
            time.sleep(0.3 if place.quick else 1)
            pids = descendants(os.getpid())
            self.measure(run, pids, group, 1.0 if place.quick else 10.0)
        except (TimeoutError, ChildProcessError) as error:
            run.error = str(error)
        run.cpu = (group.cpu_us() or 0) / 1e6
        end_all([one], group)
        return run

    def measure(self, run, pids, group, seconds):
        before = self.used_ms(group)
        time.sleep(seconds)
        used = self.used_ms(group) - before
        run.figures.append((self.name, used / seconds * 10, "ms"))

    @staticmethod
    def used_ms(group):
        us = group.cpu_us()
        return us / 1e3 if us is not None else run_ns(descendants(os.getpid())) / 1e6


class IdleMemory(Idle):
    """By proportional set sizes, and by the cgroup where it counts memory."""

    def measure(self, run, pids, group, seconds):
        total = pss(pids)
        if total is None:
            run.left_out = "the memory of its processes may not be read"
            return
        run.figures.append((self.name, total / 1024, "MiB"))
        if group.memory() is not None:
            run.figures.append((self.name + "-cgroup", group.memory() / (1 << 20), "MiB"))


@dataclass
class Crowd(Row):
    """Many that wait, then all work at once."""

    def once(self, place, side):
        count = 20 if place.quick else 100
        run, group = Run(), Cgroup()
        start = time.monotonic()
        crowd = [Waiting(side, ["./idle", "work"], place.cwd, group) for _ in range(count)]
        try:
            for one in crowd:
                one.ready(place.limit)
            ready = time.monotonic()
            total = pss(descendants(os.getpid()))
            begin = time.monotonic()
            for one in crowd:
                one.go()
            bad = [status for status in (one.wait(place.limit) for one in crowd) if status != 0]
            if bad:
                raise ChildProcessError(f"{len(bad)} of {count} ended with status {bad[0]}")
            worked = time.monotonic() - begin
            run.figures.append((f"{self.name}-start", (ready - start) * 1e3 / count, "ms"))
            run.figures.append((f"{self.name}-work", worked * 1e3 / count, "ms"))
            if total is not None:
                run.figures.append((f"{self.name}-memory", total / 1024 / count, "MiB"))
        except (TimeoutError, ChildProcessError, subprocess.TimeoutExpired) as error:
            run.error = str(error)
        run.cpu = (group.cpu_us() or 0) / 1e6
        end_all(crowd, group)
        return run


def idle_rows():
    return [
        IdleMemory("idle", "idle-memory", "sleep"),
        Idle("idle", "idle-cpu-sleeping", "sleep"),
        Idle("idle", "idle-cpu-server", "server"),
        Crowd("idle", "crowd"),
    ]
