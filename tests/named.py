#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""named.py SBX: run --name, ps, exec, kill, inspect."""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

SBX = os.path.realpath(sys.argv[1])
TOP = tempfile.mkdtemp(prefix="named-")
ENV = dict(os.environ, XDG_RUNTIME_DIR=TOP, LC_ALL="C.UTF-8")
bad = []


def check(what, ok, more=""):
    if not ok:
        bad.append(what)
        print("FAILED: %s %s" % (what, more))


def sbx(*args, **more):
    r = subprocess.run([SBX, *args], capture_output=True, text=True, env=ENV, cwd="/usr", timeout=60,
                       **({"stdin": subprocess.DEVNULL} if "input" not in more else {}), **more)
    r.stderr = "".join(line for line in r.stderr.splitlines(True) if "neither user namespaces" not in line)
    return r


class Named:
    def __init__(self, name, script, *options):
        self.p = subprocess.Popen([SBX, "run", "--name", name, *options, "--", "sh", "-c", "echo up; " + script], env=ENV, cwd="/usr",
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        check("%s begins" % name, self.p.stdout.readline() == "up\n")

    def end(self):
        out, err = self.p.communicate(timeout=30)
        return self.p.returncode, out, err


def main():
    box = Named("box", "trap 'echo term; exit 5' TERM; while :; do sleep 0.05; done", "-m", "1G", "--user=0:0")
    other = Named("other.1", "sleep 100")
    check("ps", [line.split()[0] for line in sbx("ps").stdout.splitlines()] == ["NAME", "box", "other.1"], sbx("ps").stdout)
    r = sbx("exec", "box", "sh", "-c", "echo out; echo err >&2; exit 7")
    check("exec", (r.returncode, r.stdout, r.stderr) == (7, "out\n", "err\n"), r)
    r = sbx("exec", "-w", "/tmp", "-e", "A=b c", "box", "sh", "-c", "cat; pwd; echo $A; id -u; ulimit -n", input="in\n")
    check("exec -w -e", r.stdout == "in\n/tmp\nb c\n0\n1024\n", r)
    check("one kernel", sbx("exec", "box", "sh", "-c", "echo kept >/tmp/f; exit 0").returncode == 0 and
          sbx("exec", "box", "cat", "/tmp/f").stdout == "kept\n" and sbx("exec", "other.1", "cat", "/tmp/f").returncode == 1)
    check("the program is seen", "trap" in sbx("exec", "box", "cat", "/proc/2/cmdline").stdout)
    check("a session of its own", sbx("exec", "box", "python3", "-c", "import os; print(os.getsid(0) == os.getpid(), os.getppid())").stdout
          == "True 1\n")
    check("killed", sbx("exec", "box", "sh", "-c", "kill -9 $$").returncode == 137)
    r = sbx("exec", "box", "no-such-program")
    check("not there", r.returncode == 127 and r.stderr == "sbx: no-such-program: No such file or directory\n", r)
    check("not a program", sbx("exec", "box", "/etc/passwd").returncode == 126)
    check("no directory", sbx("exec", "-w", "/nowhere", "box", "true").returncode == 127)
    p = subprocess.Popen([SBX, "exec", "box", "sh", "-c", "trap 'echo got; exit 3' TERM; echo on; while :; do sleep 0.05; done"],
                         env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    p.stdout.readline()
    p.send_signal(signal.SIGTERM)
    check("signals go on", p.communicate(timeout=20)[0] == "got\n" and p.returncode == 3)
    out = []
    many = [threading.Thread(target=lambda i=i: out.append(sbx("exec", "box", "sh", "-c", "sleep 0.1; echo %d" % i).stdout)) for i in range(20)]
    for t in many:
        t.start()
    for t in many:
        t.join()
    check("twenty at once", sorted(out) == sorted("%d\n" % i for i in range(20)), out)
    policy = json.loads(sbx("inspect", "--json", "box").stdout)
    check("inspect --json", policy["limits"]["memory"] == 1 << 30 and policy["uid"] == 0 and
          {"path": "/usr", "kind": "in memory", "source": "/usr"} in policy["shown"], policy)
    check("inspect", "memory       1073741824\n" in sbx("inspect", "box").stdout)
    hostile()
    check("it still answers", sbx("exec", "box", "true").returncode == 0)
    r = sbx("run", "--name", "box", "true")
    check("the name is taken", r.returncode == 125 and "there is a sandbox of that name" in r.stderr, r)
    check("kill", sbx("kill", "box").returncode == 0 and box.end()[:2] == (5, "term\n"))
    check("kill -9", sbx("kill", "-9", "other.1").returncode == 0 and other.end()[0] == 137)
    check("ps, none", len(sbx("ps").stdout.splitlines()) == 1 and os.listdir(TOP + "/sbx") == [], os.listdir(TOP + "/sbx"))
    last = Named("last", "sleep 100")
    p = subprocess.Popen([SBX, "exec", "last", "sleep", "50"], env=ENV, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(0.3)
    os.kill(last.p.pid, signal.SIGKILL)
    check("a killed front end", "has ended" in p.communicate(timeout=20)[1] and p.returncode == 125)
    last.end()
    check("its name is free", Named("last", "exit 0").end()[0] == 0)
    for args, says in ((("exec", "box", "true"), "no sandbox named box"), (("exec", "box"), "give a name and a command"),
                       (("kill",), "give a name"), (("kill", "-FOO", "box"), "no signal"), (("inspect",), "give a name"),
                       (("ps", "x"), "unknown argument"), (("run", "--name", "a/b", "true"), "give letters"),
                       (("exec", "../x", "true"), "no sandbox named"), (("exec", "-e", "A", "box", "true"), "NAME=VALUE")):
        r = sbx(*args)
        check(str(args), r.returncode == 125 and says in r.stderr and r.stderr.count("\n") == 1, r)


def hostile():
    """Messages that are none: the front end goes on."""
    path = TOP + "/sbx/box"
    for message in (b"", b"x", b"\0" * 4096, b"\x04\0\0\0" + b"\0" * 4092, b"\xff" * 4096, b"\x01\0\0\0" + b"\xff" * 4092, b"\x03\0\0\0" + b"\xff" * 4092):
        for fds in ([], [0], [0, 1, 2, 2]):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s, open("/dev/null", "rb") as null:
                s.connect(path)
                try:
                    socket.send_fds(s, [message], [null.fileno() for _ in fds])
                except OSError:
                    pass
    held = []
    for _ in range(80):  # more than it serves at once
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(5)
        try:
            s.connect(path)
            held.append(s)
        except OSError:
            s.close()
    for s in held:
        s.close()
    time.sleep(0.2)


try:
    main()
finally:
    subprocess.run(["rm", "-rf", TOP], check=False)
print("%d failed" % len(bad))
sys.exit(bool(bad))
