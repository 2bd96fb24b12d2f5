# SPDX-License-Identifier: Apache-2.0
"""The sides: what a program is run under, each a command that stands before the program's own."""
import os
import shlex
import shutil
from dataclasses import dataclass, field


KEPT = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG"]


@dataclass
class Side:
    name: str
    argv: list
    env: dict = field(default_factory=dict)
    missing: str = ""  # why it is left out

    def command(self, program):
        return self.argv + program

    def environ(self):
        """As little as sbx lets in, so that no side has settings that another one has not."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return {**kept, **self.env}


def bwrap(cwd):
    """All namespaces that bubblewrap has, the host read-only but for the directory of the rows."""
    argv = ["bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--dev", "/dev",
            "--proc", "/proc", "--tmpfs", "/tmp", "--bind", cwd, cwd, "--chdir", cwd]
    return Side("bwrap", argv, missing="" if shutil.which("bwrap") else "there is no bwrap")


def runsc(path):
    argv = [path or "", "--platform=systrap", "--network=none", "--ignore-cgroups", "do"]
    if path is None:
        return Side("runsc", argv, missing="--runsc PATH was not given")
    return Side("runsc", argv, missing="" if shutil.which(path) else f"there is no {path}")


def all_sides(args, cwd):
    """Of the host, of ours, of others; in the order of the columns."""
    run = [args.sbx, "run", "--"]
    sides = [
        Side("native", []),
        Side("sbx", run),
        Side("sbx-nosync", run, env={"SBX_WITHOUT": "sync"}),
        bwrap(cwd),
        runsc(args.runsc),
    ]
    for text in args.side:
        name, _, command = text.partition("=")
        sides.append(Side(name, shlex.split(command)))
    return sides


def chosen(args, cwd):
    """The sides of this run; what was asked for and is not there is named in a line."""
    sides = all_sides(args, cwd)
    if args.sides:
        names = args.sides.split(",")
        unknown = set(names) - {side.name for side in sides}
        if unknown:
            raise SystemExit(f"there is no side {', '.join(sorted(unknown))}")
        sides = [side for side in sides if side.name in names]
    elif args.quick:
        # What is given by an option is wanted in any case.
        slow = ["sbx-nosync"] if args.runsc else ["sbx-nosync", "runsc"]
        sides = [side for side in sides if side.name not in slow]
    for side in sides:
        if side.missing:
            print(f"left out: {side.name}: {side.missing}")
    return [side for side in sides if not side.missing]
