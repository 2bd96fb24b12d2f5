# SPDX-License-Identifier: Apache-2.0
"""The processes of a sandbox, as the host's /proc tells of them. What has ended meanwhile has no children and no name."""
import os


def children(pid):
    """Of all its threads."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
                found += [int(p) for p in f.read().split()]
    except OSError:
        pass
    return found


def family(pid):
    """Its children, and theirs."""
    return [q for p in children(pid) for q in [p] + family(p)]


def comm(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as f:
            return f.read().rstrip("\n")
    except OSError:
        return ""


def child(pid, name):
    """The child of that name; 0: there is none."""
    return next((p for p in children(pid) if comm(p) == name), 0)


def tells():
    """Whether this kernel lists children at all."""
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")
