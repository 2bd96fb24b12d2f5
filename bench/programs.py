# SPDX-License-Identifier: Apache-2.0
"""Rows of whole programs, timed from inside by subjects/spawner.c, so that the start of the sandbox
is not in them. Each names the fixture that it works on; with --quick these are a fifth as large.
"""
import glob
import os
import shutil
from dataclasses import dataclass, field

from measure import run_tree
from rows import Row

# The interpreter that all sides see, and pip, which may be a module or a wheel that Debian has.
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else shutil.which("python3")
MODULES = [path for place in ("python3/dist-packages", "python3*/site-packages")
           for path in glob.glob(f"/usr/lib/{place}/*")]
PIP = glob.glob("/usr/share/python-wheels/pip-*.whl")

FRESH = "rm -rf work/out && mkdir work/out"


def has_module(name):
    return any(os.path.basename(path) == name for path in MODULES)


@dataclass
class Program(Row):
    command: list
    fixtures: list = field(default_factory=list)
    needs: list = field(default_factory=list)  # programs, or modules of Python as "python:NAME"
    times: int = 1  # in one run, the median counts
    prepare: str = ""

    def missing(self):
        for need in self.needs + [self.command[0]]:
            kind, _, name = need.rpartition(":")
            if not (has_module(name) if kind else shutil.which(need)):
                return f"there is no {name}"
        return ""

    def once(self, place, side):
        times = 1 if place.quick else self.times
        options = ["-n", str(times)] + (["-p", self.prepare] if self.prepare else [])
        size = 1 if place.quick else 5
        command = [word.replace("SIZE", str(size)) for word in self.command]
        program = ["./spawner", *options, self.name, *command]
        return run_tree(place.tree, side, program, place.cwd, limit=place.limit)


@dataclass
class Script(Program):
    """A program that times itself and prints its figure."""

    def once(self, place, side):
        size = 1 if place.quick else 5
        program = [word.replace("SIZE", str(size)) for word in self.command]
        return run_tree(place.tree, side, program, place.cwd, limit=place.limit)


def python(name, code, needs=(), times=5):
    return Program("programs", name, [PYTHON, "-c", code], [], list(needs), times)


NUMPY = """
import os
os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy, time
r = numpy.random.default_rng(1)
a = r.random((400, 400)); v = r.random(300000)
def once(what):
    start = time.monotonic(); what(); return time.monotonic() - start
def row(name, what):
    print(name, 1e3 * sorted(once(what) for _ in range(11))[5], "ms")
row("numpy-product", lambda: a @ a)
row("numpy-sort", lambda: numpy.sort(v))
"""

SHELL = "i=0; while [ $i -lt $((60 * SIZE)) ]; do /bin/true; i=$((i + 1)); done"

# The server is ready when it answers, and is told to end; the clients are timed.
REDIS = """
dir=/tmp; [ "$(stat -f -c %T /tmp)" = tmpfs ] || dir=/dev/shm
socket=$dir/redis-$$.sock
redis-server --port 6399 --bind 127.0.0.1 --unixsocket $socket --save '' --dir $dir >/dev/null &
until redis-cli -s $socket ping >/dev/null 2>&1; do sleep 0.05; done
./spawner redis-unix redis-benchmark -s $socket -q -c 20 -n $((4000 * SIZE)) -t set,get
./spawner redis-tcp redis-benchmark -p 6399 -q -c 20 -n $((4000 * SIZE)) -t set,get
redis-cli -s $socket shutdown nosave
wait
"""


def pip():
    if has_module("pip"):
        return [PYTHON, "-m", "pip"]
    return [PYTHON, f"{PIP[0]}/pip"] if PIP else ["pip"]


def program_rows():
    def one(name, command, fixtures, needs=(), times=1, prepare=""):
        if isinstance(command, str):
            command = ["sh", "-c", command]
        return Program("programs", name, command, fixtures, list(needs), times, prepare)

    out = "work/out"
    install = ("install -q --no-index --no-deps --no-cache-dir --target work/out "
               "work/thing-1.0-py3-none-any.whl")
    npm = ("cd work/out && npm install --offline --no-audit --no-fund --cache ./cache "
           "../thing-1.0.0.tgz")
    return [
        python("python-pass", "pass"),
        python("python-numpy", "import numpy", ["python:numpy"], 3),
        python("python-pandas", "import pandas", ["python:pandas"]),
        one("node", ["node", "-e", "0"], [], times=5),
        one("shell-true-300", SHELL, []),
        one("git-status", ["git", "-C", "work/repo", "status", "--short"], ["repo"], times=3),
        # Not with hard links: one of the peers gives them another inode number, and git ends.
        one("git-clone", ["git", "clone", "-q", "--no-hardlinks", "work/repo", f"{out}/repo"],
            ["repo"], prepare=FRESH),
        one("gcc", ["gcc", "-O1", "-c", "work/c/f0.c", "-o", f"{out}/f0.o"], ["c"], times=3,
            prepare=FRESH),
        one("make-50", ["make", "-s", "-j2", "-C", "work/c"], ["c"], ["gcc"],
            prepare="make -s -C work/c clean"),
        one("npm-install", npm, ["tarball"], ["npm"], prepare=FRESH),
        one("pip-install", [*pip(), *install.split()], ["wheel"], prepare=FRESH),
        one("tar-5000", ["tar", "-cf", f"{out}/tree.tar", "-C", "work", "tree"], ["tree"],
            prepare=FRESH),
        one("untar-5000", ["tar", "-xf", "work/tree.tar", "-C", out], ["tree"], prepare=FRESH),
        one("find-20000", ["find", "work/many", "-name", "*.none"], ["many"], times=3),
        one("sqlite-100000-in-one", "sqlite3 $MEM/one-$$.db <work/one.sql; rm $MEM/one-$$.db",
            ["sql"], ["sqlite3"]),
        one("sqlite-1000-each", "sqlite3 $MEM/each-$$.db <work/each.sql; rm $MEM/each-$$.db",
            ["sql"], ["sqlite3"]),
        Script("programs", "redis", ["sh", "-c", REDIS], [],
               ["redis-server", "redis-benchmark", "redis-cli"]),
        Script("compute", "numpy", [PYTHON, "-c", NUMPY], [], ["python:numpy"]),
    ]
