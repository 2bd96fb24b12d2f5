#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""long.py SBX MODE [--count N] [--seconds S] [--seed N]: what only shows after a while.

row       N sandboxes one after the other leave no process, file, mount, control group or descriptor
together  N at once: none is told to go on before all are up, and nothing is left of them
busy      a sandbox that works for S seconds: its sentry's memory and descriptors are back afterwards
hour      the same with builds, servers under load and stress-ng, in an order that the printed seed gives
"""
import argparse
import ctypes
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

from procs import child, children

PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWNS = 0x20000
MS_REC, MS_PRIVATE = 1 << 14, 1 << 18
PAGE = os.sysconf("SC_PAGE_SIZE")
GROWTH = 24 << 20  # what an allocator keeps for the next time
failures = 0

WORK = r"""
import os, socket, subprocess, sys, tempfile, threading, time

def files(d):
    for i in range(50):
        with open("%s/%d" % (d, i), "wb") as f:
            f.write(os.urandom(1 << 14))
    for i in range(50):
        os.rename("%s/%d" % (d, i), "%s/r%d" % (d, i))
    for n in os.listdir(d):
        os.unlink(d + "/" + n)

def sockets():
    s = socket.create_server(("127.0.0.1", 0))
    def serve():
        for _ in range(10):
            c, _ = s.accept()
            c.sendall(c.recv(1 << 16))
            c.close()
    t = threading.Thread(target=serve)
    t.start()
    for _ in range(10):
        with socket.create_connection(s.getsockname()) as c:
            c.sendall(b"x" * 5000)
            while c.recv(1 << 16):
                pass
    t.join()
    s.close()

def processes():
    for _ in range(5):
        subprocess.run(["/bin/sh", "-c", "echo a | cat | tr a b >/dev/null; exec /bin/true"], check=True)

def memory():
    b = bytearray(32 << 20)
    b[::4096] = b"1" * len(b[::4096])

print("up", flush=True)
for line in sys.stdin:
    end = time.monotonic() + float(line)
    while time.monotonic() < end:
        with tempfile.TemporaryDirectory() as d:
            files(d)
        sockets()
        processes()
        memory()
    print("done", flush=True)
"""

# What it is told of: the seed, and the stressors. A line of input is for how many seconds; the answer is what it did.
HOUR = r"""
import os, random, shutil, subprocess, sys, tempfile, time

seed, stressors = int(sys.argv[1]), sys.argv[2].split(",")
r = random.Random(seed)
did, wrong = {"builds": 0, "servers": 0, "stressors": 0}, []

def run(argv, d, wait=120, good=(0,)):
    p = subprocess.run(argv, cwd=d, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       errors="replace", timeout=wait)
    if p.returncode not in good:
        wrong.append("%s: %d %s" % (" ".join(argv[:3]), p.returncode, p.stdout[-300:]))
    return p.stdout

def builds(d):
    n = r.randrange(4, 12)
    for i in range(n):
        with open("%s/f%d.c" % (d, i), "w") as f:
            f.write("#include <stdio.h>\nint f%d(int x) { return printf(\"%%d\\n\", x) + %d; }\n" % (i, i))
    with open(d + "/main.c", "w") as f:
        f.write("".join("int f%d(int);\n" % i for i in range(n)))
        f.write("int main(void) { return 0 " + "".join("+ 0 * f%d(%d)" % (i, i) for i in range(n)) + "; }\n")
    with open(d + "/Makefile", "w") as f:
        f.write("p: main.o %s\n\t$(CC) -o $@ $^\n" % " ".join("f%d.o" % i for i in range(n)))
    run(["make", "-s", "-j2"], d)
    if sorted(run(["./p"], d).split()) != sorted(map(str, range(n))):
        wrong.append("what was built says something else")

def servers(d):
    port = str(r.randrange(10000, 20000))
    s = subprocess.Popen(["redis-server", "--port", port, "--save", "", "--dir", d], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL)
    for _ in range(200):
        if subprocess.run(["redis-cli", "-p", port, "ping"], capture_output=True).stdout == b"PONG\n":
            break
        time.sleep(0.05)
    run(["redis-benchmark", "-p", port, "-q", "-n", "2000", "-c", "20", "-t", "set,get,lpush"], d)
    r.choice((s.terminate, s.kill))()
    s.wait()

def stress(d):
    name = r.choice(stressors)
    run(["stress-ng", "--" + name, str(r.randrange(1, 3)), "--timeout", "2s", "--temp-path", ".", "--oomable"], d, 180, (0, 3, 4, 7))

kinds = {"builds": builds, "servers": servers, "stressors": stress}
if not shutil.which("make") or not shutil.which("gcc"):
    del kinds["builds"]
if not shutil.which("redis-server"):
    del kinds["servers"]
print("up", flush=True)
for line in sys.stdin:
    end = time.monotonic() + float(line)
    while time.monotonic() < end:
        name = r.choice(("builds", "servers", "stressors", "stressors"))
        with tempfile.TemporaryDirectory() as d:
            if name in kinds:
                try:
                    kinds[name](d)
                except subprocess.TimeoutExpired as e:
                    wrong.append("hangs: %s" % " ".join(e.cmd[:3]))
                did[name] += 1
    for w in wrong:
        print("wrong:", w.replace("\n", " | "), flush=True)
    wrong.clear()
    print("done", " ".join("%d %s" % (did[k], k) for k in did), flush=True)
"""


def fail(text):
    global failures
    failures += 1
    print("FAIL:", text, flush=True)


def groups():
    top = pathlib.Path("/sys/fs/cgroup")
    return {str(p) for p in top.rglob("*sbx*") if p.is_dir()}


def reap():
    """What a front end left to be reaped by who is above it: us. What still runs stays a child."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def ours():
    reap()
    return children(os.getpid())


def world(tmp):
    """What a sandbox could leave. Control groups are not in it: those of others come and go."""
    return {"files": sorted(os.listdir(tmp)),
            "descriptors": sorted(os.listdir("/proc/self/fd")),
            "mounts": pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").count("\n"),
            "children": ours()}


def settle(look, want, seconds=5):
    end = time.monotonic() + seconds
    while (got := look()) != want and time.monotonic() < end:
        time.sleep(0.05)
    return got


def row(sbx, count, env, tmp):
    before, old_groups = world(tmp), groups()
    begin = time.monotonic()
    for i in range(count):
        p = subprocess.run([sbx, "run", "/bin/true"], env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if p.returncode or p.stdout or p.stderr:
            fail("the %d. sandbox: %d %s %s" % (i, p.returncode, p.stdout[:200], p.stderr[:200]))
            break
        reap()
    took = time.monotonic() - begin
    after = settle(lambda: world(tmp), before)
    for what, was in before.items():
        if after[what] != was:
            fail("%s were %s, are %s" % (what, was, after[what]))
    left = settle(lambda: {g for g in groups() - old_groups if not any(pathlib.Path(g).glob("cgroup.procs"))}, set())
    if left:
        fail("control groups are left: %s" % sorted(left)[:5])
    print("%d sandboxes one after the other, %.1f ms each" % (count, took * 1000 / count))


def together(sbx, count, env, tmp):
    """Each says it is up and waits for a line; nobody gets one before all are up."""
    before = world(tmp)
    begin = time.monotonic()
    boxes = [subprocess.Popen([sbx, "run", "/bin/sh", "-c", "echo up; read x; echo got $x"], env=env, text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
             for _ in range(count)]
    up = [b.stdout.readline() for b in boxes]
    if up != ["up\n"] * count:
        fail("not all are up: %s" % [u for u in up if u != "up\n"][:3])
    print("%d sandboxes at once are up after %.1f s" % (count, time.monotonic() - begin))
    for i, b in enumerate(boxes):
        out = b.communicate("%d\n" % i)[0]
        if out != "got %d\n" % i or b.returncode:
            fail("the %d. sandbox says %r, %s" % (i, out[:200], b.returncode))
    after = settle(lambda: world(tmp), before)
    if after != before:
        fail("was %s, is %s" % (before, after))


def sizes(pid):
    with open("/proc/%d/statm" % pid, encoding="ascii") as f:
        words = f.read().split()
    # Shared pages are the guest's memory, which is mapped as well.
    return (int(words[1]) - int(words[2])) * PAGE, len(os.listdir("/proc/%d/fd" % pid))


def native_too(stress, line):
    """Whether what is wrong inside is a stressor that fails outside as well."""
    words = line.split()
    if words[1] != "stress-ng":
        return False
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o1777)
        status = stress.native(words[2].lstrip("-"), 2, d)[0]
    return status not in stress.HARMLESS


def hour(sbx, seconds, seed, env):
    sys.path.insert(0, str(pathlib.Path(__file__).parent / "stress"))
    import stress  # pylint: disable=import-outside-toplevel
    if not shutil.which("stress-ng"):
        print("SKIP: no stress-ng")
        sys.exit(77)
    names = [n for n in stress.stressors() if n not in stress.NOT_RUN and n not in stress.DIFFERS]
    print("seed %d" % seed, flush=True)
    user = ["--user", "%d:%d" % (stress.USER, stress.USER)] if os.geteuid() == 0 else []
    busy(sbx, seconds, env, [*user, "--memory", "2G", "--tmpfs", "/scratch", "--cwd", "/scratch", "--env", "TMPDIR=/scratch",
                             "--", "/usr/bin/python3", "-c", HOUR, str(seed), ",".join(names)],
         lambda line: native_too(stress, line))


def busy(sbx, seconds, env, argv, forgiven=lambda line: False):
    p = subprocess.Popen([sbx, "run", *argv], env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    p.stdout.readline()
    pid = child(p.pid, "sbx-sentry")

    def work(s):
        p.stdin.write("%f\n" % s)
        p.stdin.flush()
        while not (line := p.stdout.readline()).startswith("done"):
            if not line:
                fail("it has ended")
                break
            if not forgiven(line):
                fail(line.strip())
        if len(line) > 5:
            print(line.strip(), flush=True)
        time.sleep(1)
        return sizes(pid)

    try:
        first = work(max(5, seconds / 20))
        last = work(seconds)
    except PermissionError as e:
        print("SKIP: who may not look into the sentry's /proc cannot measure it: %s" % e)
        p.kill()
        sys.exit(77)
    p.stdin.close()
    if p.wait() != 0:
        fail("it ended with %d" % p.returncode)
    print("after the first twentieth: %.1f MiB, %d descriptors; after %d s: %.1f MiB, %d descriptors" %
          (first[0] / 2**20, first[1], seconds, last[0] / 2**20, last[1]))
    if last[0] > first[0] + GROWTH:
        fail("the sentry's memory grows")
    if last[1] > first[1] + 4:
        fail("the sentry's descriptors are not back")


def main():
    a = argparse.ArgumentParser()
    a.add_argument("sbx")
    a.add_argument("mode", choices=("row", "together", "busy", "hour"))
    a.add_argument("--count", type=int)
    a.add_argument("--seconds", type=float, help="1800, an hour for hour")
    a.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    o = a.parse_args()
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # what is orphaned is ours, and seen
    if libc.unshare(CLONE_NEWNS) == 0:  # what others mount meanwhile is not seen
        libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None)
    with tempfile.TemporaryDirectory() as tmp:
        env = {**os.environ, "TMPDIR": tmp}
        if o.mode == "row":
            row(o.sbx, o.count or 10000, env, tmp)
        elif o.mode == "together":
            together(o.sbx, o.count or 200, env, tmp)
        elif o.mode == "busy":
            busy(o.sbx, o.seconds or 1800, env, ["--", shutil.which("python3"), "-c", WORK])
        else:
            hour(o.sbx, o.seconds or 3600, o.seed, env)
    print("%d failures" % failures if failures else "ok")
    sys.exit(failures != 0)


main()
