#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
death.py SBX [--moments N] [--seed N] [--json] [PART...]

Ends one process of a working sandbox, at random moments, and looks at what is left of it: no
process, mount, file or shared memory ten seconds later; the time is printed. The exit status and a
line on standard error tell what happened. Parts: front sentry gofer zygote stub first (kill -9 of
that one), clones (stubs that fork, one after the other, beside a first program that stays), cgroups
(of a front end that has made some), still (a program that makes no call), terminal (its terminal is
closed), stop (SIGSTOP and SIGCONT), oom (in a cgroup without
memory), full (no space on the host).
"""
import json
import os
import pty
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
from procs import children, family, tells

ID_BASE = 0x78000000  # cli/launch.c: two host ids for each sandbox that root starts
LEFT = 10.0           # seconds after which nothing may be left
WORK = ("i=0; while :; do echo $i >/tmp/f$i; /bin/true | cat; ls /usr >/dev/null; rm /tmp/f$i; "
        "i=$((i+1)); sleep 0.001 & done")
failures = 0


def fail(text):
    global failures
    failures += 1
    print("FAILED:", text, flush=True)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def is_probe(pid):
    """A child that the front end has only to try something: its end is told by no signal."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[35] == "0"
    except OSError:
        return False


def born(pid):
    """When, as the host counts: numbers begin again from below."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return int(f.read().rpartition(")")[2].split()[19])
    except OSError:
        return 1 << 62


def of_ids(front):
    """Processes of the two ids that root gives to a sandbox: also those that nobody has seen."""
    ids, found = {ID_BASE + 2 * front, ID_BASE + 2 * front + 1}, []
    if os.geteuid():
        return []
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{p}").st_uid in ids and alive(p):
                found.append(int(p))
        except OSError:
            pass
    return found


def things(front, own):
    """What is not a process: mounts, shared memory and files of the sandbox's."""
    ids = {ID_BASE + 2 * front, ID_BASE + 2 * front + 1}
    found = [os.path.join(own, n) for n in os.listdir(own) if n != "err"]
    for folder in ("/dev/shm", "/tmp", "/run"):
        for name in os.listdir(folder):
            try:
                if os.lstat(os.path.join(folder, name)).st_uid in ids:
                    found.append(os.path.join(folder, name))
            except OSError:
                pass
    with open("/proc/self/mounts") as f:
        found += [m for m in f if own in m or "sbx" in m]
    for top, folders, _ in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(top, n) for n in folders if n in (f"sbx-{front}", f"sbx-net-{front}", f"sbx-front-{front}")]
    return found


def has_program(pid):
    """Is it more than a stub that waits to be used? Such a one may be older than all that work."""
    try:
        with open(f"/proc/{pid}/maps") as f:
            return len(f.readlines()) > 9
    except OSError:
        return False


class Sandbox:
    def __init__(self, sbx, argv, **how):
        self.own = tempfile.mkdtemp(prefix="death.")
        os.chmod(self.own, 0o755)
        self.err = open(os.path.join(self.own, "err"), "w+b")
        self.process = subprocess.Popen([sbx, "run", *argv], cwd=self.own, stderr=self.err,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        env={**os.environ, "TMPDIR": self.own}, **how)
        self.front = self.process.pid

    def part(self, which):
        """The process of that kind, or None while there is none."""
        under = [p for p in children(self.front) if not is_probe(p)]
        sentry, gofer = (under + [0, 0])[:2]
        zygote = (children(sentry) if sentry else []) or [0]
        stubs = sorted(children(zygote[0]), key=born) if zygote[0] else []
        pid = {"front": self.front, "sentry": sentry, "gofer": gofer, "zygote": zygote[0],
               "first": next(filter(has_program, stubs), 0), "stub": random.choice(stubs or [0])}[which]
        return pid if pid > 1 else None

    def await_nothing(self, all_of_it, start):
        """Seconds from start until nothing is left."""
        while True:
            if not any(map(alive, all_of_it)):
                left = of_ids(self.front)
                if not left:
                    return time.monotonic() - start
            if time.monotonic() - start > LEFT:
                left = [p for p in all_of_it if alive(p)] + of_ids(self.front)
                fail(f"{len(set(left))} processes are left after {LEFT} s")
                for p in left:
                    os.kill(p, signal.SIGKILL)
                return LEFT
            time.sleep(0.002)

    def done(self):
        self.err.seek(0)
        text = self.err.read().decode(errors="replace")
        if found := things(self.front, self.own):
            fail(f"left: {found}")
        shutil.rmtree(self.own)
        return text


# What the front end says, and with which status it ends.
TOLD = {"sentry": (125, "the sentry was ended by signal 9"), "gofer": (125, "the gofer was ended by signal 9"),
        "zygote": (125, "the zygote was ended"), "first": (137, ""), "front": (-9, "")}


def kill_one(sbx, which):
    """Seconds until nothing is left, or None when there was nobody to kill at that moment."""
    box = Sandbox(sbx, ["/bin/sh", "-c", "echo up; " + WORK])
    if which == "first":
        box.process.stdout.readline()  # before, it may be one that waits to be used
    time.sleep(random.uniform(0, 0.5) ** 2 * 4)  # the start is short: more of the moments fall there
    victim = box.part(which)
    all_of_it = [box.front] + family(box.front)
    start = time.monotonic()
    if victim is None:
        os.kill(box.front, signal.SIGKILL)
    else:
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:  # one of the short-lived stubs
            victim = None
    if which == "stub" or victim is None:
        time.sleep(0.05)  # the others go on, or not: the program decides
        box.process.kill()
        start = time.monotonic()
    try:
        code = box.process.wait(LEFT + 5)
    except subprocess.TimeoutExpired:
        fail(f"{which}: the sandbox goes on without it")
        box.process.kill()
        code = box.process.wait()
    took = box.await_nothing(all_of_it, start)
    text = box.done()
    if victim is None:
        return None
    if which in TOLD:
        status, line = TOLD[which]
        early = f"the {which} was ended while it started"
        if code != status or (line not in text and early not in text):
            fail(f"{which}: status {code}, wanted {status}; it said: {text.strip() or 'nothing'}")
    return took


def kills(sbx, which, moments):
    times, tries = [], 0
    while len(times) < moments and tries < 3 * moments + 20:
        tries += 1
        if (took := kill_one(sbx, which)) is not None:
            times.append(took)
    if len(times) < moments:
        fail(f"{which}: only {len(times)} of {moments} moments were hit")
    return times


def cgroups(sbx, _, moments):
    """A front end that has made control groups, for a limit and for the network's second fence: they go, too."""
    times, made = [], 0
    for _ in range(moments):
        box = Sandbox(sbx, ["--memory=500M", "--allow-net=127.0.0.1:1", "/bin/sh", "-c", "echo up; " + WORK])
        if moments > 1 and random.random() < 0.7:  # else while it starts
            box.process.stdout.readline()
        time.sleep(random.uniform(0, 0.3) ** 2)
        made += any("cgroup" in f for f in things(box.front, box.own))
        all_of_it = [box.front] + family(box.front)
        start = time.monotonic()
        os.kill(box.front, signal.SIGKILL)
        box.process.wait()
        times.append(box.await_nothing(all_of_it, start))
        while things(box.front, box.own) and time.monotonic() - start < LEFT:
            time.sleep(0.01)
        box.done()
    if not made:
        print("cgroups: none can be made here")
    return times


def still(sbx, _, moments):
    """Processes that make no call, and so never hear that nobody answers them."""
    times = []
    for which in ("front", "sentry", "gofer", "zygote"):
        for _ in range(max(1, moments // 4)):
            box = Sandbox(sbx, ["/bin/sh", "-c", "(while :; do :; done) & echo up; while :; do :; done"])
            box.process.stdout.readline()
            time.sleep(random.uniform(0, 0.2))
            all_of_it, victim = [box.front] + family(box.front), box.part(which)
            start = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            try:
                box.process.wait(LEFT)
            except subprocess.TimeoutExpired:
                fail(f"{which}: the sandbox goes on without it")
                box.process.kill()
                box.process.wait()
            times.append(box.await_nothing(all_of_it, start))
            box.done()
    return times


def terminal(sbx, _, moments):
    """The terminal is closed: SIGHUP to all, and the end of every read and write."""
    times = []
    for _ in range(moments):
        own = tempfile.mkdtemp(prefix="death.")
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(own)
            os.execv(sbx, [sbx, "run", "/bin/sh", "-c", WORK])
        time.sleep(random.uniform(0.05, 0.5))
        all_of_it = [pid] + family(pid)
        start = time.monotonic()
        os.close(fd)
        while os.waitpid(pid, os.WNOHANG)[0] == 0 and time.monotonic() - start < LEFT:
            time.sleep(0.002)
        box = Sandbox.__new__(Sandbox)
        box.front = pid
        times.append(box.await_nothing(all_of_it, start))
        if found := things(pid, own):
            fail(f"left: {found}")
        shutil.rmtree(own)
    return times


def stop(sbx, _, moments):
    """The front end is stopped for a while: then all goes on."""
    for _ in range(max(1, moments // 5)):
        box = Sandbox(sbx, ["/bin/sh", "-c", "i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done; "
                            "exit 7"])
        time.sleep(random.uniform(0, 0.3))
        for sig in (signal.SIGSTOP, signal.SIGCONT):
            os.kill(box.front, sig)
            time.sleep(0.3)
        if (code := box.process.wait(120)) != 7:
            fail(f"stop: status {code}")
        box.await_nothing([], time.monotonic())
        box.done()
    return []


def oom(sbx, _, __):
    """A cgroup around it all has no memory left: the host kills a process of the guest's."""
    group = f"/sys/fs/cgroup/memory/sbx-death-{os.getpid()}"
    limit = "memory.limit_in_bytes"
    if not os.path.isdir("/sys/fs/cgroup/memory"):
        group, limit = f"/sys/fs/cgroup/sbx-death-{os.getpid()}", "memory.max"
    try:
        os.mkdir(group)
        with open(os.path.join(group, limit), "w") as f:
            f.write("100M")
    except OSError as e:
        print(f"oom: left out, no memory cgroup can be made here ({e.strerror})")
        return []
    eat = "import sys; b = bytearray(1)\nwhile True: b += bytes(1 << 20)"
    outer = (f"echo $$ >{group}/cgroup.procs && exec {sbx} run /bin/sh -c '/usr/bin/python3 -c \""
             + eat.replace("\n", "\n") + "\"; echo $? >&2; exit 9'")
    r = subprocess.run(["sh", "-c", outer], capture_output=True, text=True, timeout=120)
    if r.returncode != 9 or "137" not in r.stderr:
        fail(f"oom: status {r.returncode}: {r.stderr}")
    for _ in range(200):
        try:
            os.rmdir(group)
            return []
        except OSError:
            time.sleep(0.05)
    fail("oom: processes are left in the cgroup")
    return []


def full(sbx, _, __):
    """No space on the host. Files that are written live in memory: only what goes to the host fails."""
    with open("/dev/full", "w") as out:
        r = subprocess.run([sbx, "run", "/bin/sh", "-c", "/bin/cat /etc/passwd || exit 5"], stdout=out,
                           stderr=subprocess.PIPE, text=True)
    if r.returncode != 5 or "No space left" not in r.stderr:
        fail(f"full: writing to a full file: status {r.returncode}: {r.stderr}")
    script = ("mount -t tmpfs -o size=16k none $0 && cd $0 && { cat /dev/zero >fill 2>/dev/null; "
              "TMPDIR=$0 $1 run /bin/sh -c 'echo hello >new && cat new && rm fill && echo $TMPDIR'; }")
    own = tempfile.mkdtemp(prefix="death.")
    os.chmod(own, 0o755)
    r = subprocess.run(["unshare", "-m", "sh", "-c", script, own, sbx], capture_output=True, text=True)
    if "unshare" in r.stderr or "mount:" in r.stderr:
        print(f"full: no mount here: {r.stderr.strip()}")
    elif r.returncode or "hello" not in r.stdout:
        fail(f"full: in a full directory: status {r.returncode}: {r.stdout} {r.stderr}")
    shutil.rmtree(own)
    return []


WORKERS = ("worker() { while :; do /bin/true; /bin/true | cat; (:); done; }; "
           "while :; do worker & worker & worker & wait; done")


def clones(sbx, _, moments):
    """Stubs end in the middle of forks, at the maker's side or the child's: the sandbox outlives them."""
    box = Sandbox(sbx, ["/bin/sh", "-c", "echo up; " + WORKERS])
    box.process.stdout.readline()
    hit, until = 0, time.monotonic() + 60 + moments
    while hit < 3 * moments and box.process.poll() is None and time.monotonic() < until:
        time.sleep(random.uniform(0, 0.03))
        victim, first = box.part("stub"), box.part("first")
        if victim and first and victim != first:
            try:
                os.kill(victim, signal.SIGKILL)
                hit += 1
            except ProcessLookupError:
                pass
    all_of_it = [box.front] + family(box.front)
    start = time.monotonic()
    early = box.process.poll()
    box.process.kill()
    box.process.wait()
    took = box.await_nothing(all_of_it, start)
    text = box.done()
    if early is not None:
        fail(f"clones: after {hit} stubs the sandbox has ended with {early}: {text.strip()}")
    elif hit < moments:
        fail(f"clones: only {hit} of {moments} moments were hit")
    return [took]


PARTS = {**{p: lambda sbx, which, n: kills(sbx, which, n)
            for p in ("front", "sentry", "gofer", "zygote", "stub", "first")},
         "clones": clones, "cgroups": cgroups, "still": still, "terminal": terminal, "stop": stop,
         "oom": oom, "full": full}


def main():
    args, moments, seed, as_json = sys.argv[1:], 20, random.randrange(1 << 32), False
    words = []
    while args:
        a = args.pop(0)
        if a == "--moments":
            moments = int(args.pop(0))
        elif a == "--seed":
            seed = int(args.pop(0))
        elif a == "--json":
            as_json = True
        else:
            words.append(a)
    sbx, *parts = words
    sbx = os.path.realpath(sbx)
    if not tells():
        print("no lists of children in /proc here")
        return 77
    random.seed(seed)
    print(f"seed {seed}")
    results = {}
    for part in parts or PARTS:
        times = PARTS[part](sbx, part, moments)
        if times:
            results[part] = {"median": statistics.median(times), "max": max(times), "n": len(times)}
            print(f"{part}: {len(times)} times; until nothing is left: median "
                  f"{statistics.median(times) * 1000:.0f} ms, longest {max(times) * 1000:.0f} ms",
                  flush=True)
        else:
            print(f"{part}: done", flush=True)
    if as_json:
        print(json.dumps(results))
    return failures > 0


sys.exit(main())
