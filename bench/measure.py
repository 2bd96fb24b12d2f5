# SPDX-License-Identifier: Apache-2.0
"""One run of a command: its output, the walls and the cpu time of its whole tree."""
import ctypes
import os
import subprocess
import time
from dataclasses import dataclass, field

PR_SET_CHILD_SUBREAPER = 36


def be_subreaper():
    """What a tree leaves behind becomes a child of this process, and is seen."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def cgroup_parent():
    """The directory of this process in a cgroup v2 tree, or None."""
    try:
        with open("/proc/self/mounts") as mounts:
            roots = [line.split()[1] for line in mounts if line.split()[2] == "cgroup2"]
        with open("/proc/self/cgroup") as cgroups:
            paths = [line.strip()[3:] for line in cgroups if line.startswith("0::")]
    except OSError:
        return None
    return roots[0] + paths[0].rstrip("/") if roots and paths else None


class Cgroup:
    """A group of its own for a tree, where one can be made; it counts cpu time that nobody reaped.

    A group without memory (a hybrid hierarchy has it elsewhere) tells none.
    """

    count = 0

    def __init__(self):
        Cgroup.count += 1
        parent = cgroup_parent()
        self.path = parent and f"{parent}/sbx-bench-{os.getpid()}-{Cgroup.count}"
        try:
            os.mkdir(self.path)
            open(self.path + "/cgroup.procs", "w").close()
        except (OSError, TypeError):
            self.path = None

    def enter(self):
        """Called in the child, before it executes anything."""
        if self.path:
            with open(self.path + "/cgroup.procs", "w") as procs:
                procs.write("0")

    def cpu_us(self):
        if not self.path:
            return None
        with open(self.path + "/cpu.stat") as stat:
            fields = dict(line.split() for line in stat)
        return int(fields["usage_usec"])

    def memory(self):
        try:
            with open(self.path + "/memory.current") as current:
                return int(current.read())
        except (OSError, TypeError):
            return None

    def remove(self):
        """A process that dies counts as a member for some milliseconds more."""
        for _ in range(100):
            try:
                os.rmdir(self.path)
                return
            except (FileNotFoundError, TypeError):
                return
            except OSError:
                time.sleep(0.01)


@dataclass
class Run:
    """What one run of a command said. figures: [(name, value, unit)], walls in us, cpu in s."""

    status: int = 0
    figures: list = field(default_factory=list)
    walls: list = field(default_factory=list)
    cpu: float = 0.0
    error: str = ""


def parse_figures(text):
    figures = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3:
            try:
                figures.append((words[0], float(words[1]), words[2]))
            except ValueError:
                pass
    return figures


def parse_tree(run, text):
    for line in text.splitlines():
        word, _, value = line.partition(" ")
        if word == "wall":
            run.walls.append(float(value))
        elif word == "cpu":
            run.cpu = float(value) / 1e6
        elif word == "late":
            run.error = "took too long"
            run.status = run.status or 124


def run_tree(tree, side, program, cwd, waves=1, at_once=1, limit=60):
    """Runs a program under a side by bench/tree.c, which see."""
    report, inside = os.pipe()
    group = Cgroup()
    argv = [tree, "-n", str(waves), "-j", str(at_once), "-t", str(limit), "-r", str(inside), "--"]
    child = subprocess.Popen(
        argv + side.command(program), cwd=cwd, env=side.environ(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
        pass_fds=[inside], preexec_fn=group.enter)
    os.close(inside)
    out, err = child.communicate()
    with os.fdopen(report) as lines:
        run = Run(status=child.returncode, figures=parse_figures(out))
        parse_tree(run, lines.read())
    by_group = group.cpu_us()
    if by_group is not None:
        run.cpu = max(run.cpu, by_group / 1e6)
    group.remove()
    if run.status != 0 and not run.error:
        last = [line for line in err.splitlines() if line.strip()][-1:]
        run.error = f"status {run.status}" + (f": {last[0]}" if last else "")
    return run
