#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a mode of the guest `hostile` in a sandbox and looks, from outside, at what came of it.

    hostile.py attack SBX GUEST MODE [ARGUMENTS]   it stood, and so did sentry and host
    hostile.py bite UNFENCED GUEST WHAT            with the fences left out that stop it, WHAT is reached
    hostile.py hunt SBX GUEST                      one sandbox finds nothing of another
    hostile.py leaks SBX GUEST                     nothing of the host shows inside

Around each there are canaries: a file, an abstract Unix socket, a TCP port and a process of the
host's. README.md tells more. Exit status 77: cannot be tried here, the last line says why.
"""
import os
import pathlib
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

# How much more a sentry may have afterwards than before; sanitizers keep what was freed.
MORE_KIB = int(os.environ.get("HOSTILE_MORE_MIB", "8")) * 1024
MORE_FDS = 64

# What is left out so that WHAT is reached: all that stops it. "sentry" is reached when it breaks.
BITES = {
    "file": ("reach", "stubfilter,emptyroot,landlock"),
    "unix": ("reach", "stubfilter,netns,landlock"),
    "tcp": ("reach", "stubfilter,netns,landlock"),
    "process": ("reach", "stubfilter,pidns,ids,userns,landlock"),
    "others": ("reach", "stubfilter,landlock"),
    "clone": ("reach", "stubfilter,landlock"),
    "kernel": ("reach", "stubfilter,landlock"),
    "lent": ("lent 1 3", "lentro"),
    "sentry": ("scribble 1 10", "framecheck"),
}


def skip(why):
    print("SKIP: " + why)
    sys.exit(77)


class Canaries:
    """What must not be reached. touched() tells what was."""

    def __init__(self):
        self.token = "canary-" + secrets.token_hex(8)
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="hostile-"))
        self.top.chmod(0o777)
        self.file = self.top / "file"
        self.file.write_text(self.token)
        self.file.chmod(0o666)
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind("\0" + self.token)
        self.unix.listen(16)
        self.tcp = socket.socket()
        self.tcp.bind(("127.0.0.1", 0))
        self.tcp.listen(16)
        self.port = self.tcp.getsockname()[1]
        self.told, tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            for sig in range(1, 32):
                if sig not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD):
                    signal.signal(sig, lambda s, f: os.write(tell, b"%d " % s))
            os.write(tell, b"r")
            while os.getppid() > 1:
                time.sleep(0.2)
            os._exit(0)
        os.close(tell)
        os.read(self.told, 1)

    def args(self):
        return [str(self.file), self.token, self.token, str(self.port), str(self.pid)]

    def touched(self, signal_within=0.3):
        """What was; a signal is told by its handler, which may need that many seconds to run."""
        what = []
        names = sorted(p.name for p in self.top.iterdir())
        if names != ["file"]:
            what.append("the directory: %s" % names)
        elif self.file.read_text() != self.token or self.file.stat().st_mode & 0o777 != 0o666:
            what.append("the file")
        for name, sock in (("the Unix socket", self.unix), ("the TCP port", self.tcp)):
            if select.select([sock], [], [], 0)[0]:
                what.append(name)
        if select.select([self.told], [], [], signal_within)[0]:
            what.append("the process: signals %s" % os.read(self.told, 100))
        if os.waitpid(self.pid, os.WNOHANG)[0]:
            what.append("the process: it is over")
        elif os.getpriority(os.PRIO_PROCESS, self.pid) != os.getpriority(os.PRIO_PROCESS, 0):
            what.append("the process: its priority")
        return what

    def close(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except OSError:
            pass
        shutil.rmtree(self.top, ignore_errors=True)


class Sandbox:
    """sbx run GUEST MODE..., until the guest says that it is over, and beyond."""

    def __init__(self, sbx, guest, mode, env=None, text=""):
        self.guest = pathlib.Path(guest).resolve()
        self.proc = subprocess.Popen(
            [sbx, "run", "--user=0:0", "--timeout=%s" % os.environ.get("HOSTILE_TIMEOUT", "500"), "--", str(self.guest)] + mode,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd="/", env=dict(os.environ, **(env or {})))
        self.lines = []
        if text:
            self.proc.stdin.write(text.encode())
            self.proc.stdin.close()

    def until(self, word):
        """Reads lines, which are printed, up to one that says so. False: it has ended before."""
        for line in self.proc.stdout:
            line = line.decode(errors="replace").rstrip()
            self.lines.append(line)
            if line not in ("begun", "over"):
                print("    " + line)
            if line == word:
                return True
        return False

    def end(self):
        if not self.proc.stdin.closed:
            self.proc.stdin.close()
        self.until(None)
        return self.proc.wait()

    def reached(self):
        return [l for l in self.lines if l.startswith("REACHED ")]

    def sentry(self):
        for d in pathlib.Path("/proc").iterdir():
            try:
                if d.name.isdigit() and (d / "comm").read_text() == "sbx-sentry\n":
                    stat = (d / "stat").read_text()
                    if int(stat[stat.rindex(")") + 2:].split()[1]) == self.proc.pid:
                        return d
            except OSError:
                pass
        return None

    def measure(self):
        """KiB that are resident (less files), and open descriptors (None where that cannot be read)."""
        d = self.sentry()
        kib = sum(int(l.split()[1]) for l in (d / "status").read_text().splitlines()
                  if l.startswith("RssAnon:"))
        try:
            return kib, len(os.listdir(d / "fd"))
        except PermissionError:
            return kib, None


def grown(before, after):
    what = []
    if after[0] > before[0] + MORE_KIB:
        what.append("the sentry has grown from %d to %d KiB" % (before[0], after[0]))
    if after[1] is not None and after[1] > before[1] + MORE_FDS:
        what.append("the sentry's descriptors were %d and are %d" % (before[1], after[1]))
    return what


# Linux asks no filter about these (since 6.14 and 6.18): but for a trampoline that a tracer of the
# host's has put there, they are SIGILL and ENXIO.
UNFILTERED = (335, 336)
# Of what always passes, these do not come back to tell.
NEVER_BACK = ("rt_sigreturn", "exit", "exit_group")


def unlisted(lines):
    """Calls that passed, by what the guest saw, and that calls-stub.txt does not name; and calls that
    pass always and were not seen to: then numbers were left out."""
    here = pathlib.Path(__file__).resolve().parent
    numbers, listed, always, seen = {}, set(), set(), set()
    for line in (here / "../../abi/syscalls.def").read_text().splitlines():
        if line.startswith("SYS") and "(" in line:
            nr, name = line[line.index("(") + 1:].split(",")[:2]
            numbers[int(nr)] = name.strip()
    for line in (here / "calls-stub.txt").read_text().splitlines():
        if not line.startswith("#"):
            where, name = line.split(": ", 1)
            listed.add((where, name.split()[0]))
            if name not in NEVER_BACK and len(name.split()) == 1:
                always.add((where, name))
    bad = []
    for line in lines:
        if line.startswith("passed by "):
            where, nrs = line[len("passed by "):].split(":")
            for nr in map(int, nrs.split()):
                call = (where, numbers.get(nr, str(nr)))
                seen.add(call)
                if call not in listed and nr not in UNFILTERED:
                    bad.append("%s passes, from %s" % (call[1], where))
    return bad + ["%s was not seen to pass, from %s" % (name, where)
                  for where, name in sorted(always - seen)]


def attack(sbx, guest, mode):
    canaries = Canaries()
    if mode == ["reach"]:
        mode += canaries.args()
    bad = []
    try:
        box = Sandbox(sbx, guest, mode)
        if box.until("begun"):
            before = box.measure()
            if not box.until("over"):
                bad.append("it ended before it was over")
            for _ in range(100):  # what has died is put away soon, not at once
                after = box.measure() if not bad else before
                if not grown(before, after):
                    break
                time.sleep(0.1)
            bad += grown(before, after)
            print("sentry: %s KiB and %s descriptors, then %s and %s" % (before + after))
        status = box.end()
        if status == 77:
            skip(box.lines[-1] if box.lines else "no reason given")
        if status:
            bad.append("status %d" % status)
        if mode[0] == "calls":
            bad += unlisted(box.lines)
        bad += box.reached() + ["touched: " + t for t in canaries.touched()]
    finally:
        canaries.close()
    return bad


def bite(sbx, guest, what):
    mode, words = BITES[what]
    mode = mode.split()
    if os.geteuid() != 0 and what == "process":
        skip("only root can leave its user namespace out and keep the others")
    canaries = Canaries()
    if mode == ["reach"]:  # that attack alone: these run unfenced
        mode += canaries.args() + [what]
    try:
        box = Sandbox(sbx, guest, mode, {"SBX_UNFENCED": words})
        box.until("over")
        status = box.end()
        if status == 77:
            skip(box.lines[-1] if box.lines else "no reason given")
        touched = canaries.touched(20 if what == "process" else 0)
    finally:
        canaries.close()
    print("without %s: status %d, %s, touched: %s" % (words, status, box.reached(), touched))
    bites = any(r.startswith("REACHED %s, by the blob" % what) for r in box.reached())
    if what == "sentry":  # it has crashed: nobody told a status
        bites = status != 0 and "stood" not in box.lines and "FAIL" not in box.lines
    if what == "others":
        bites = any(l.startswith("watchdog: FAILED: ended by signal") for l in box.lines)
    if what in ("unix", "tcp", "process"):
        bites = bites and bool(touched)
    return [] if bites else ["the attack does not bite: %s was not reached" % what]


def hunt(sbx, guest, words=""):
    token = "hidden-" + secrets.token_hex(4)
    with socket.socket() as s:  # a port that nobody has
        s.bind(("127.0.0.1", 0))
        port = str(s.getsockname()[1])
    env = {"SBX_UNFENCED": words} if words else {}
    hider = Sandbox(sbx, guest, ["hunt", "hide", token, port], env)
    if not hider.until("hidden"):
        status = hider.end()
        return skip(hider.lines[-1]) if status == 77 else ["nothing was hidden"]
    seeker = Sandbox(sbx, guest, ["hunt", "seek", token, port], env)
    seeker.until("over")
    status = seeker.end()
    other = hider.end()
    reached = sorted(set(l.split()[1].rstrip(",") for l in seeker.reached()))
    if words:
        want = {"unix", "tcp", "ipc", "signals", "file"}
        print("without %s: %s" % (words, reached))
        return ["does not bite: %s not reached" % (want - set(reached))] if want - set(reached) else []
    return ["reached: %s" % r for r in reached] + \
        (["status %d and %d" % (status, other)] if status or other else [])


def first_line(path):
    try:
        return pathlib.Path(path).read_text(errors="replace").splitlines()[0].strip()
    except (OSError, IndexError):
        return ""


def host_secrets():
    """What the host knows of itself and nobody inside needs to know."""
    words = {"hostname": socket.gethostname(), "release": os.uname().release, "version": os.uname().version, "cmdline": first_line("/proc/cmdline"),
             "boot id": first_line("/proc/sys/kernel/random/boot_id"),
             "machine id": first_line("/etc/machine-id"), "dbus id": first_line("/var/lib/dbus/machine-id"),
             "secret": os.environ["HOSTILE_SECRET"], "top": os.environ["HOSTILE_TOP"]}
    for name in ("product_uuid", "product_serial", "board_serial", "chassis_serial"):
        words[name] = first_line("/sys/class/dmi/id/" + name)
    for iface in ("eth0", "ens3", "enp1s0"):
        words[iface] = first_line("/sys/class/net/%s/address" % iface)
    with open("/proc/self/cgroup") as f:
        for line in f:
            words["cgroup " + line] = line.strip().split(":", 2)[2]
    with open("/proc/self/mountinfo") as f:
        for line in f:
            source = line.split(" - ")[1].split()[1]
            if source.startswith("/dev/"):
                words[source] = source
    # What is short, or says nothing of this host, is found by accident.
    dull = {"localhost", "None", "Not Specified", "To Be Filled By O.E.M.", "Default string"}
    return sorted(set(w for w in words.values() if len(w) > 5 and w not in dull and
                      not w.startswith("/dev/loop") and set(w) - set("0-:")))


def leaks(sbx, guest, words_left_out=""):
    top = tempfile.mkdtemp(prefix="hostile-secret-")
    os.environ["HOSTILE_SECRET"] = "secret-" + secrets.token_hex(8)
    os.environ["HOSTILE_TOP"] = top
    words = host_secrets()
    print("looked for: %s" % words)
    box = Sandbox(sbx, guest, ["leaks"], {"SBX_UNFENCED": words_left_out}, "\n".join(words) + "\n")
    status = box.end()
    os.rmdir(top)
    if status == 77:
        skip(box.lines[-1] if box.lines else "no reason given")
    if words_left_out:
        secret = os.environ["HOSTILE_SECRET"]
        return [] if any(l.startswith("LEAK text") and secret in l for l in box.lines) else \
            ["does not bite: what stands in the caller's environment was not found"]
    return ["status %d" % status] if status else []


def main():
    kind, sbx, guest, rest = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    sbx = str(pathlib.Path(sbx).resolve())
    if kind == "attack":
        bad = attack(sbx, guest, rest)
    elif kind == "bite" and rest == ["hunt"]:
        bad = hunt(sbx, guest, "stubfilter,netns,ipcns,pidns,emptyroot,ids,userns,landlock")
    elif kind == "bite" and rest == ["leaks"]:
        bad = leaks(sbx, guest, "environ")
    elif kind == "bite":
        bad = bite(sbx, guest, rest[0])
    elif kind == "hunt":
        bad = hunt(sbx, guest)
    else:
        bad = leaks(sbx, guest)
    for b in bad:
        print("FAILED: " + b)
    sys.exit(1 if bad else 0)


main()
