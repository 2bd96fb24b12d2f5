# SPDX-License-Identifier: Apache-2.0
"""One run of a command: its output, the walls and the cpu time of its whole tree."""
import ctypes
import glob
import os
import subprocess
import time
from dataclasses import dataclass, field

PR_SET_CHILD_SUBREAPER = 36


def be_subreaper():
    """What a tree leaves behind becomes a child of this process, and is seen."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def cgroup_of(kind, controller):
    """This process's directory in the cgroup tree of that kind and controller, or None."""
    with open("/proc/self/mounts") as mounts:
        fields = [line.split() for line in mounts]
    roots = [f[1] for f in fields
             if f[2] == kind and (not controller or controller in f[3].split(","))]
    with open("/proc/self/cgroup") as cgroups:
        paths = [line.strip().split(":", 2)[2] for line in cgroups
                 if controller in line.split(":")[1].split(",")]
    return roots[0] + paths[0].rstrip("/") if roots and paths else None


class Cgroup:
    """A group of its own for a tree, where one can be made; it counts cpu time that nobody reaped.

    Memory is counted where the group has that controller: in v2, else in v1 beside it.
    """

    count = 0

    def __init__(self):
        Cgroup.count += 1
        self.path = self.make(cgroup_of("cgroup2", ""))
        self.v1 = self.make(cgroup_of("cgroup", "memory"))

    @staticmethod
    def make(parent):
        path = f"{parent}/sbx-bench-{os.getpid()}-{Cgroup.count}"
        try:
            os.mkdir(path)
            open(path + "/cgroup.procs", "w").close()
        except OSError:
            return None
        return path

    def enter(self):
        """Called in the child, before it executes anything."""
        for path in filter(None, (self.path, self.v1)):
            with open(path + "/cgroup.procs", "w") as procs:
                procs.write("0")

    def cpu_us(self):
        if not self.path:
            return None
        with open(self.path + "/cpu.stat") as stat:
            fields = dict(line.split() for line in stat)
        return int(fields["usage_usec"])

    def memory(self):
        """Bytes, or None where nobody counts them."""
        for path in (f"{self.path}/memory.current", f"{self.v1}/memory.usage_in_bytes"):
            try:
                with open(path) as current:
                    return int(current.read())
            except OSError:
                pass
        return None

    def remove(self):
        """A process that dies counts as a member for some milliseconds more."""
        for path in filter(None, (self.path, self.v1)):
            for _ in range(100):
                try:
                    os.rmdir(path)
                    break
                except OSError:
                    time.sleep(0.01)


def parents():
    """Of each process its parent."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat:
                    found[int(name)] = int(stat.read().rpartition(")")[2].split()[1])
            except OSError:
                pass
    return found


def descendants(root):
    """The processes beneath one, which has what they leave behind if it is their subreaper."""
    parent, beneath = parents(), {root}
    while more := {pid for pid, its in parent.items() if its in beneath and pid not in beneath}:
        beneath |= more
    return sorted(beneath - {root})


def pss(pids):
    """The sum of proportional set sizes in KiB, or None when one may not be read."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        except PermissionError:
            return None
        except OSError:
            pass  # it has ended
    return total


def tasks(pids):
    return [path for pid in pids for path in glob.glob(f"/proc/{pid}/task/*")]


def run_ns(pids):
    """The time that these have run, where there is no cgroup to ask."""
    total = 0
    for path in tasks(pids):
        try:
            with open(path + "/schedstat") as stat:
                total += int(stat.read().split()[0])
        except (OSError, IndexError):
            pass
    return total


@dataclass
class Run:
    """What one run of a command said. figures: [(name, value, unit)], walls in us, cpu in s."""

    status: int = 0
    figures: list = field(default_factory=list)
    walls: list = field(default_factory=list)
    cpu: float = 0.0
    error: str = ""
    left_out: str = ""  # why there is nothing to say, without anything having failed


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
    try:
        out, err = child.communicate()
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()
    with os.fdopen(report) as lines:
        run = Run(status=child.returncode, figures=parse_figures(out))
        parse_tree(run, lines.read())
    by_group = group.cpu_us()
    if by_group is not None:
        run.cpu = max(run.cpu, by_group / 1e6)
    group.remove()
    if run.status != 0 and not run.error:
        last = [line.strip() for line in err.splitlines() if line.strip()][-2:]
        run.error = ": ".join([f"status {run.status}", *last])
    return run
