# SPDX-License-Identifier: Apache-2.0
"""pods.py SBX REACH: the containers of a pod in one sandbox: what they share and what they do not, each command for one of them, and every
way to end. REACH is reach.c, static."""
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time

from bundle import World, skip

CAPS = ["CAP_SYS_ADMIN", "CAP_KILL", "CAP_SYS_PTRACE", "CAP_SYS_NICE", "CAP_NET_BIND_SERVICE", "CAP_CHOWN", "CAP_DAC_OVERRIDE"]
LOOP = "trap 'exit 9' TERM; while :; do sleep 0.05; done"


def names(sandbox, kind="container", crio=False):
    if crio:
        return {"io.kubernetes.cri-o.ContainerType": kind, "io.kubernetes.cri-o.SandboxID": sandbox}
    return {"io.kubernetes.cri.container-type": kind, "io.kubernetes.cri.sandbox-id": sandbox}


class Pod:
    """Its first container, which runs, and what it takes to add others."""

    def __init__(self, world, *args, crio=False):
        self.world, self.crio = world, crio
        self.first = world.id()
        spec = world.spec(*(args or ("sh", "-c", LOOP)), hostname="the-pod")
        if not crio:
            spec["annotations"] = names(self.first, "sandbox")
        self.bundle = self.start(self.first, spec)
        self.pid = int(open(self.bundle + "/pid").read())

    def create(self, ident, spec, *options):
        bundle = self.world.bundle(spec, own=True)
        with open(bundle + "/out", "w") as out:
            r = subprocess.run([self.world.runtime, "--root", self.world.states, "--log", bundle + "/log", "create", "--bundle", bundle, "--pid-file",
                                bundle + "/pid", *options, ident], stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=60)
        return bundle, r.returncode

    def start(self, ident, spec):
        bundle, r = self.create(ident, spec)
        self.world.check("create", r == 0, open(bundle + "/out").read())
        r = self.world.oci("start", ident)
        self.world.check("start", r.returncode == 0, r.stderr)
        return bundle

    def spec(self, *args, sandbox=None):
        spec = self.world.spec(*args)
        spec.pop("hostname", None)
        spec["annotations"] = names(sandbox or self.first, crio=self.crio)
        for key in ("bounding", "effective", "permitted"):
            spec["process"]["capabilities"][key] = CAPS
        for ns in spec["linux"]["namespaces"]:
            if ns["type"] in ("network", "uts", "ipc"):
                ns["path"] = "/proc/%s/ns/%s" % (self.pid, {"network": "net"}.get(ns["type"], ns["type"]))
        return spec

    def add(self, *args):
        """A further one, started: its id, its bundle, the pid of its proxy."""
        ident = self.world.id()
        bundle = self.start(ident, self.spec(*args))
        return ident, bundle, int(open(bundle + "/pid").read())


def children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return sorted(open("/proc/%s/comm" % p).read().strip() for p in f.read().split())
    except FileNotFoundError:
        return []


def gone(pid, seconds=20):
    end = time.time() + seconds
    while time.time() < end:
        try:
            if open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[0] in "ZX":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def text_of(bundle, want, seconds=20):
    end = time.time() + seconds
    while time.time() < end:
        text = open(bundle + "/out").read()
        if want in text:
            return text
        time.sleep(0.05)
    return open(bundle + "/out").read()


def inside(world, ident, *args):
    r = world.oci("exec", ident, *args)
    return r.returncode, r.stdout.strip()


def shared(world):
    pod = Pod(world)
    one, bundle, pid = pod.add("sh", "-c", "echo up; touch /only-here; " + LOOP)
    world.check("it is up", "up" in text_of(bundle, "up"))
    world.check("one sentry serves both", "sbx-sentry" in children(pod.pid) and children(pid) == ["sbx-gofer-rw"], (children(pod.pid), children(pid)))
    world.check("its own /", inside(world, one, "ls", "/only-here")[0] == 0 and inside(world, pod.first, "ls", "/only-here")[0] != 0)
    world.check("its own pid 1", inside(world, one, "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline")[1].startswith("sh -c echo up"))
    world.check("the name is the pod's", inside(world, one, "hostname") == (0, "the-pod"))
    ear = subprocess.Popen([world.runtime, "--root", world.states, "exec", one, "sh", "-c", "echo from-one | nc -l -p 7171"], stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL)
    heard = ""
    for _ in range(100):
        heard = inside(world, pod.first, "sh", "-c", "nc 127.0.0.1 7171 </dev/null")[1]
        if heard:
            break
        time.sleep(0.05)
    world.check("loopback is the pod's", heard == "from-one", heard)
    ear.wait(20)
    world.check("terminals are its own", inside(world, one, "ls", "/dev/pts") == (0, "ptmx"))


def reach(world):
    shutil.copy(sys.argv[2], world.tree + "/bin/reach")
    pod = Pod(world)
    there, bundle, _ = pod.add("reach", "there")
    world.check("it waits", "there" in text_of(bundle, "there"))
    for _ in range(2):
        ident = world.id()
        b = world.bundle(pod.spec("reach", "from"), own=True)
        r = world.oci("run", "--bundle", b, ident)
        world.check("nothing reaches across", r.returncode == 0 and r.stdout == "apart\n", r)
    world.check("the rest lives", world.state(there)["status"] == "running" and world.state(pod.first)["status"] == "running")


def commands(world):
    pod = Pod(world)
    one, bundle, pid = pod.add("sh", "-c", "n=0; while :; do n=$((n+1)); echo $n > /count; sleep 0.02; done")
    other, _, _ = pod.add("sh", "-c", LOOP)

    def count():
        return int(inside(world, pod.first, "true")[1] or 0) or int((open(bundle + "/rootfs/count").read().strip() or "0"))
    world.check("exec's status", inside(world, one, "sh", "-c", "exit 5")[0] == 5)
    r = world.oci("exec", one, "nonsense")
    world.check("exec of nothing", r.returncode == 255 and "executable file not found" in r.stderr, r)
    d = world.bundle(pod.spec(), own=True)
    r = subprocess.run([world.runtime, "--root", world.states, "exec", "--detach", "--pid-file", d + "/pid", one, "sleep", "100"],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
    world.check("exec --detach", r.returncode == 0 and "sleep 100" in inside(world, one, "ps")[1], r)
    execs = int(open(d + "/pid").read())
    os.kill(execs, signal.SIGKILL)
    world.check("its end", gone(execs))
    time.sleep(0.3)
    world.check("and of its process", "sleep 100" not in inside(world, one, "ps")[1])
    time.sleep(0.2)
    r = world.oci("pause", one)
    world.check("pause", r.returncode == 0 and world.state(one)["status"] == "paused", r)
    before = count()
    world.check("the others go on", inside(world, other, "echo", "hi") == (0, "hi") and inside(world, pod.first, "echo", "hi") == (0, "hi"))
    time.sleep(0.3)
    world.check("it does not", count() == before, (before, count()))
    world.check("resume", world.oci("resume", one).returncode == 0)
    world.check("it goes on", any(time.sleep(0.1) or count() > before for _ in range(100)))
    r = world.oci("update", "--pids-limit", "4", one)
    world.check("update", r.returncode == 0, r)
    many = "for i in 1 2 3 4 5 6; do sleep 2 & done; wait; echo all"
    world.check("its limit of tasks", inside(world, one, "sh", "-c", many)[1] != "all")
    world.check("is not the others'", inside(world, other, "sh", "-c", many.replace("sleep 2", "sleep 0.1"))[1] == "all")
    world.check("ps", str(pid) in world.oci("ps", one).stdout and json.loads(world.oci("ps", "-f", "json", one).stdout)[0] == pid)
    r = world.oci("events", "--stats", one)
    world.check("events", r.returncode == 0 and json.loads(r.stdout)["id"] == one, r)
    world.check("kill", world.oci("kill", other, "TERM").returncode == 0 and world.wait(other, "stopped"))
    world.check("kill --all", world.oci("kill", "--all", one, "KILL").returncode == 0 and world.wait(one, "stopped"))
    world.check("kill --all of what has ended", world.oci("kill", "--all", one, "KILL").returncode == 0)
    world.check("delete", world.oci("delete", one).returncode == 0 and world.oci("delete", other).returncode == 0)
    world.check("the first lives", inside(world, pod.first, "echo", "hi") == (0, "hi"))
    again, b, _ = pod.add("sh", "-c", "echo again; exit 3")
    world.check("another in its place", "again" in text_of(b, "again") and world.wait(again, "stopped"))
    r = world.oci("run", "--bundle", world.bundle(pod.spec("sh", "-c", "echo out; exit 7"), own=True), world.id())
    world.check("run", (r.returncode, r.stdout) == (7, "out\n"), r)
    terminal(world, pod)


def terminal(world, pod):
    spec = pod.spec("sh", "-c", "tty; stty size; read x; echo got $x; ls /dev/console")
    spec["process"]["terminal"] = True
    b = world.bundle(spec, own=True)
    master, slave = pty.openpty()
    p = subprocess.Popen([world.runtime, "--root", world.states, "run", "--bundle", b, world.id()], stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    os.write(master, b"word\n")
    out = b""
    try:
        while True:
            piece = os.read(master, 4096)
            if not piece:
                break
            out += piece
    except OSError:
        pass
    world.check("a terminal", p.wait(20) == 0 and b"/dev/pts/0" in out and b"got word" in out and b"/dev/console" in out, out)


def ends(world):
    # The end of the program takes what it left behind, also what makes no process, which it could not any more.
    pod = Pod(world)
    one, bundle, pid = pod.add("sh", "-c", "(n=0; while :; do n=$((n+1)); echo $n > /beat; done) & sleep 0.3; exit 4")

    def beats(b, seconds=10):
        seen, end = set(), time.monotonic() + seconds
        while len(seen) < 2 and time.monotonic() < end:
            seen.update(open(b + "/rootfs/beat").read().split())  # nothing while it is being written
            time.sleep(0.02)
        return len(seen) > 1
    world.check("it ends", world.wait(one, "stopped") and gone(pid))
    world.check("and what it left", not beats(bundle, 0.4))
    # Its proxy's does, and nothing of the others'.
    one, bundle, pid = pod.add("sh", "-c", "(n=0; while :; do n=$((n+1)); echo $n > /beat; done) & " + LOOP)
    other, ob, _ = pod.add("sh", "-c", "n=0; while :; do n=$((n+1)); echo $n > /beat; sleep 0.02; done")
    time.sleep(0.3)
    world.check("they run", beats(bundle) and beats(ob))
    os.kill(pid, signal.SIGKILL)
    world.check("killed", world.wait(one, "stopped"))
    world.check("it is over", not beats(bundle, 0.4) and children(pid) == [])
    world.check("the other is not", beats(ob) and world.state(other)["status"] == "running" and inside(world, pod.first, "echo", "hi") == (0, "hi"))
    world.check("delete", world.oci("delete", one).returncode == 0)
    # Errors of create leave nothing.
    for args, want in ((["nonsense"], "executable file not found"), (["/etc"], "is a directory")):
        ident = world.id()
        b, r = pod.create(ident, pod.spec(*args))
        world.check("create of %s" % args[0], r == 1 and want in open(b + "/out").read() and world.state(ident)["status"] == "none",
                    (r, open(b + "/out").read()))
    spec = pod.spec("true")
    spec["mounts"].append({"destination": "/etc/passwd/x", "type": "tmpfs", "source": "tmpfs"})
    b, r = pod.create(world.id(), spec)
    world.check("create with a wrong mount", r == 1 and "error mounting" in open(b + "/out").read(), open(b + "/out").read())
    # One that was created, and never started.
    ident = world.id()
    b, r = pod.create(ident, pod.spec("sh", "-c", "echo never"))
    world.check("created", r == 0 and world.state(ident)["status"] == "created")
    world.check("delete of a created one", world.oci("delete", ident).returncode == 0 and open(b + "/out").read() == "")
    # Many that come and go: the sentry keeps nothing of them.
    sentry = [int(p) for p in open("/proc/%d/task/%d/children" % (pod.pid, pod.pid)).read().split()
              if open("/proc/%s/comm" % p).read().strip() == "sbx-sentry"][0]
    fds = []
    for i in range(12):
        r = world.oci("run", "--bundle", world.bundle(pod.spec("sh", "-c", "echo %d" % i)), world.id())
        world.check("one of many", r.stdout == "%d\n" % i, r)
        time.sleep(0.05)
        fds.append(len(os.listdir("/proc/%d/fd" % sentry)))
    world.check("descriptors of the sentry", min(fds[-4:]) <= max(fds[:4]) + 3, fds)
    # The first one's end is everybody's.
    last, lb, lpid = pod.add("sh", "-c", "while :; do sleep 0.05; done")
    os.kill(pod.pid, signal.SIGKILL)
    world.check("all end with the first", gone(pod.pid) and gone(lpid) and world.wait(last, "stopped") and world.wait(other, "stopped"))
    pod = Pod(world, "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done")
    last, lb, lpid = pod.add("sh", "-c", "while :; do sleep 0.05; done")
    world.oci("kill", pod.first, "TERM")
    world.check("also where it ends by itself", world.wait(pod.first, "stopped") and gone(lpid) and world.wait(last, "stopped"))
    b, r = pod.create(world.id(), dict(pod.spec("true"), linux=world.spec("true")["linux"]))
    world.check("a pod that has ended: a sandbox of its own, and a warning", r == 0 and "sandbox of its own" in open(b + "/log").read(),
                (r, open(b + "/out").read(), open(b + "/log").read()))


def crio(world):
    """As podman has it: the first one names nobody."""
    pod = Pod(world, crio=True)
    one, _, pid = pod.add("sh", "-c", LOOP)
    two = world.id()
    pod.start(two, pod.spec("sh", "-c", LOOP, sandbox=pod.first))
    world.check("by CRI-O's annotations", children(pid) == ["sbx-gofer-rw"], children(pid))


def same_pids(world):
    """shareProcessNamespace: the first one's numbers."""
    pod = Pod(world)

    def joined(*args):
        spec = pod.spec(*args)
        for ns in spec["linux"]["namespaces"]:
            if ns["type"] == "pid":
                ns["path"] = "/proc/%d/ns/pid" % pod.pid
        return spec
    ident = world.id()
    bundle = pod.start(ident, joined("sh", "-c", "echo I am $$; sleep 100 & " + LOOP))
    text = text_of(bundle, "I am")
    world.check("it is not pid 1", "I am 1\n" not in text and "I am" in text, text)
    world.check("it sees the first", inside(world, ident, "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline")[1].startswith("sh -c trap"))
    world.check("and is seen", "sleep 100" in inside(world, pod.first, "ps")[1])
    world.check("its own /", inside(world, ident, "touch", "/mine")[0] == 0 and inside(world, pod.first, "ls", "/mine")[0] != 0)
    world.check("kill --all", world.oci("kill", "--all", ident, "KILL").returncode == 0 and world.wait(ident, "stopped"))
    world.check("ends it alone", "sleep 100" not in inside(world, pod.first, "ps")[1] and inside(world, pod.first, "echo", "hi") == (0, "hi"))
    ident = world.id()
    pod.start(ident, joined("sh", "-c", LOOP))
    world.check("its program's end", world.oci("kill", ident, "TERM").returncode == 0 and world.wait(ident, "stopped"))


def main():
    if os.geteuid() != 0:
        skip("this test is started as root")
    world = World(sys.argv[1])
    sys.exit(world.run_cases((shared, reach, commands, ends, crio, same_pids), sys.argv[3:], world))


if __name__ == "__main__":
    main()
