#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""names.py SBX [PART...]: sandboxes with names, attacked from beside: by another user of the host, by a guest, by what
lies in the directory of the names; and by output without end.

Parts: squat peer links odd flood disk. As root, in a mount namespace with a /tmp of its own.
"""
import ctypes
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

SBX, USER, OTHER = os.path.realpath(sys.argv[1]), 54321, 54322
HALF = 8 << 20
bad = []


def check(what, ok, more=""):
    if not ok:
        bad.append(what)
        print("FAILED: %s: %s" % (what, more), flush=True)


def enter():
    if os.environ.get("NAMES_TEST") == "in":
        return
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        print("skipped: it takes root and a mount namespace, for more than one user and a /tmp of its own")
        sys.exit(77)
    os.execvpe("unshare", ["unshare", "-m", "--", sys.executable, "-B", *sys.argv], dict(os.environ, NAMES_TEST="in"))


def as_user(uid):
    def become():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    return become


def quiet(text):
    return "".join(line for line in text.splitlines(True) if not line.startswith("*** ") and "neither user" not in line)


def sbx(*args, uid=USER, env=None, stdin=None, timeout=100):
    try:
        return sbx_once(args, uid, env, stdin, timeout)
    except subprocess.TimeoutExpired as e:
        return subprocess.CompletedProcess(args, -1, "", "no end after %s s" % e.timeout)


def sbx_once(args, uid, env, stdin, timeout):
    r = subprocess.run(["/tmp/sbx", *args], capture_output=True, text=True, cwd="/usr", timeout=timeout, preexec_fn=as_user(uid), check=False,
                       env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **WORDS, **(env or {})}, **({"input": stdin} if stdin else
                                                                                                           {"stdin": subprocess.DEVNULL}))
    r.stderr = quiet(r.stderr)
    return r


WORDS = {k: os.environ[k] for k in ("SBX_WITHOUT", "SBX_UNFENCED") if k in os.environ}


class Impostor:
    """Another user's process that answers in a sandbox's name. Who came, and what was handed to it?"""

    def __init__(self, make):
        self.pid = None
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                as_user(OTHER)()
                s = make()
                os.write(w, b"up")
                s.settimeout(60)
                while True:
                    c, _ = s.accept()
                    c.settimeout(1)
                    try:
                        _, fds, _, _ = socket.recv_fds(c, 5000, 8)
                        os.write(w, b"c%d " % len(fds))
                    except OSError:
                        os.write(w, b"c")
                    c.close()
            except BaseException as e:  # pylint: disable=broad-except
                os.write(w, b"!" + str(e).encode())
            os._exit(0)
        os.close(w)
        self.pid, self.fd = pid, r
        check("the impostor is there", os.read(r, 100) == b"up")

    def end(self):
        """What it got."""
        if self.pid is not None and self.pid > 1:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        got = b""
        while piece := os.read(self.fd, 1000):
            got += piece
        os.close(self.fd)
        return got.decode()


def squat():
    """/tmp/sbx-UID, where names lie without XDG_RUNTIME_DIR, is made by another user first."""
    place = "/tmp/sbx-%d" % USER

    def listening(path):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.bind(path)
        os.chmod(path, 0o777)
        s.listen()
        return s

    def directory(mode):
        os.umask(0)
        os.mkdir(place, mode)
        return listening(place + "/box")

    def link():
        os.umask(0)
        os.mkdir("/tmp/elsewhere", 0o777)
        os.symlink("/tmp/elsewhere", place)
        return listening("/tmp/elsewhere/box")

    def plain():
        with open(place, "w", encoding="utf-8"):
            pass
        return listening("/tmp/other-socket")

    for name, make in (("a directory", lambda: directory(0o755)), ("one open to all", lambda: directory(0o777)), ("a link", link), ("a file", plain)):
        impostor = Impostor(make)
        for args in (("exec", "box", "true"), ("kill", "box"), ("inspect", "box"), ("ps",), ("logs", "box"), ("run", "--name", "box", "true"),
                     ("run", "-d", "true"), ("stop", "-t", "1", "box"), ("net", "box")):
            r = sbx(*args, stdin="secret\n", timeout=10)
            check("%s of another user's in the way: %s" % (name, args), r.returncode == 125 and "sbx-%d" % USER in r.stderr, r)
        got = impostor.end()
        check("%s: nobody comes to the impostor" % name, got == "", got)
        for path in (place, "/tmp/elsewhere", "/tmp/other-socket"):
            shutil.rmtree(path, ignore_errors=True)
            if os.path.lexists(path):
                os.unlink(path)
    # Who owns what lies above could exchange it at any moment: also for root, who was started with another's variables.
    for uid, mode, what in ((USER, 0o777, "open to all"), (0, 0o755, "another user's"), (USER, 0o755, "another user's")):
        os.makedirs("/tmp/run")
        os.chown("/tmp/run", OTHER, OTHER)
        os.chmod("/tmp/run", mode)
        if mode == 0o777:
            os.chown("/tmp/run", 0, 0)
        os.mkdir("/tmp/run/sbx", 0o700)
        os.chown("/tmp/run/sbx", uid, uid)
        r = sbx("run", "--name", "box", "true", uid=uid, env={"XDG_RUNTIME_DIR": "/tmp/run"})
        check("the directory above is %s, for %d" % (what, uid), r.returncode == 125 and "not yours alone" in r.stderr, r)
        shutil.rmtree("/tmp/run")


def peer():
    """A directory and a socket that were opened to all by mistake: only the same user, and root, are heard."""
    sbx("run", "-d", "--name", "box", "--allow-net", "127.0.0.1:1", "--", "sleep", "300")
    here = "/tmp/sbx-%d" % USER
    os.chmod(here, 0o755)
    os.chmod(here + "/box", 0o777)
    heard = []
    for uid in (OTHER, USER, 0):
        pid = os.fork()
        if pid == 0:
            as_user(uid)()
            s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            s.settimeout(5)
            try:
                s.connect(here + "/box")
                s.send(b"\1\0\0\0" + b"\0" * 4092)  # what it is
                os._exit(1 if s.recv(5000) else 0)
            except OSError:
                os._exit(0)
        heard.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    check("its own user and root are", heard[1:] == [1, 1], heard)
    check("another user is not heard", heard[0] == 0, heard)
    size = len(sbx("inspect", "box").stdout)
    check("it still answers its own", size > 0 and sbx("kill", "-9", "box").returncode == 0, size)
    os.chmod(here, 0o700)
    sbx("wait", "box")
    sbx("rm", "box")


def links():
    """What lies in the directory of the names, which a sandbox with that shared could have put there."""
    here = "/tmp/sbx-%d" % USER
    os.makedirs(here, 0o700, exist_ok=True)
    os.chown(here, USER, USER)
    with open("/tmp/canary", "w", encoding="utf-8") as f:
        f.write("canary\n")
    os.chown("/tmp/canary", USER, USER)

    def same():
        with open("/tmp/canary", encoding="utf-8") as f:
            return f.read() == "canary\n"

    for kind in (".log.", ".old.", ".end.", ""):
        os.symlink("/tmp/canary", here + "/" + kind + "box")
        r = sbx("run", "-d", "--name", "box", "--", "sh", "-c", "sleep 0.4; seq 2000000 | head -c 9000000; exit 3")
        check("a link %sbox in the way" % kind, r.returncode in (0, 125) and same(), r)
        if r.returncode == 0:
            check("it is waited for", sbx("wait", "box").stdout == "3\n")
        if os.path.islink(here + "/" + kind + "box"):
            os.unlink(here + "/" + kind + "box")
        sbx("rm", "box")
        # And put there while it runs, as by who shares the directory.
        r = sbx("run", "-d", "--name", "box", "--", "sh", "-c", "sleep 1; seq 2000000 | head -c 9000000")
        for other in (".log.", ".old.", ".end."):
            path = here + "/" + other + "box"
            if os.path.lexists(path):
                os.unlink(path)
            os.symlink("/tmp/canary", path)
        sbx("wait", "box")
        check("links that come later", same(), kind)
        sbx("logs", "box")
        sbx("rm", "box")
        for name in os.listdir(here):
            os.unlink(here + "/" + name)
        check("the canary", same())
    # Shared with the guest itself: it puts them there, and takes its own socket's place.
    r = sbx("run", "-d", "--name", "box", "--bind", "/tmp:/t:rw", "--", "python3", "-c", f"""
import os, socket
d = "/t/sbx-{USER}/"
for n in os.listdir(d): os.unlink(d + n)
for n in ".log.box", ".old.box", ".end.box", ".log.x", "x": os.symlink("/tmp/outside/canary", d + n)
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.bind(d + "box"); s.listen()
print("q" * 9000000)
""")
    time.sleep(2)
    check("nothing is changed outside", r.returncode == 0 and not os.path.exists("/tmp/outside/canary"), r)
    for args in (("ps", "-a"), ("exec", "box", "true"), ("logs", "box"), ("logs", "x"), ("exec", "x", "true"), ("rm", "box", "x")):
        sbx(*args)
    check("nor by who asks", not os.path.exists("/tmp/outside/canary"))
    for name in os.listdir(here):
        os.unlink(here + "/" + name)


def odd():
    """Names that are none are refused, by each command, and make nothing."""
    here = "/tmp/sbx-%d" % USER
    before = sorted(os.listdir(here)) if os.path.exists(here) else []
    for name in ("", ".", "..", "../x", "a/b", "/tmp/x", ".log.a", "-x", "a b", "a\nb", "a\x1b[2J", "\u00e9", "a" * 61, "a" * 300, "%s", "a\\b", "a;b"):
        for args in (["run", "--name=" + name, "true"], ["run", "-d", "--name=" + name, "true"], ["exec", "--", name, "true"], ["kill", name],
                     ["inspect", name], ["logs", name], ["wait", name], ["stop", name], ["rm", name], ["net", name], ["stats", "--once", name]):
            r = sbx(*args)
            check("%r" % args, r.returncode == 125 and r.stdout == "" and "\x1b" not in r.stderr, r)
    check("nothing was made", (sorted(os.listdir(here)) if os.path.exists(here) else []) == before)


def log_sizes(where):
    sizes = []
    for name in os.listdir(where):
        try:
            if name.startswith((".log.", ".old.")):
                sizes.append(os.stat(os.path.join(where, name)).st_size)
        except FileNotFoundError:  # it has just become the old one
            pass
    return sizes


def flood():
    """A guest that prints without end, by both streams and in small pieces: what is kept is bounded, and can be read."""
    here = "/tmp/sbx-%d" % USER
    for name, code in (("large", "b = b'x' * 65536\nwhile True: os.write(1, b); os.write(2, b)"),
                       ("small", "while True: os.write(1, b'y'); os.write(2, b'z')"),
                       ("many", "for i in range(7): os.fork()\nwhile True: os.write(1, b'w' * 5000)")):
        r = sbx("run", "-d", "--name", name, "--pids", "200", "--", "python3", "-c", "import os\n" + code)
        shown = sbx("ps", "--json")
        check("%s begins" % name, r.returncode == 0 and '"pid"' in shown.stdout, (r, shown))
        pid = int(re.search(r'"pid": ?(\d+)', shown.stdout).group(1))
        memory, most = [], 0
        for _ in range(20):
            time.sleep(0.25)
            sizes = log_sizes(here)
            most = max([most] + sizes)
            check("%s: two files" % name, len(sizes) <= 2 and sum(sizes) <= 2 * HALF + 200000, sizes)
            try:
                with open("/proc/%d/status" % pid, encoding="utf-8") as f:
                    memory.append(int(re.search(r"VmRSS:\s*(\d+)", f.read()).group(1)))
            except (OSError, AttributeError):
                check("%s goes on" % name, False, (sbx("ps", "-a").stdout, sbx("logs", name).stderr[-2000:]))
                break
        check("%s: the front end does not grow" % name, len(memory) > 5 and memory[-1] < memory[4] + 4000, memory)
        check("%s: it was much" % name, name == "small" or most > HALF - 200000, most)
        began = time.monotonic()
        r = sbx("logs", name)
        check("%s: sbx logs answers" % name, r.returncode == 0 and len(r.stdout) + len(r.stderr) > 100 and time.monotonic() - began < 60,
              (r.returncode, len(r.stdout)))
        with subprocess.Popen(["/tmp/sbx", "logs", "-f", name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=as_user(USER),
                              env=WORDS) as p:  # who does not read what he asked for holds up nobody
            time.sleep(0.5)
            check("%s: it answers meanwhile" % name, sbx("inspect", name).returncode == 0 and sbx("ps").stdout.count(name) == 1)
            check("%s: it is stopped" % name, sbx("stop", "-t", "1", name).returncode == 0 and sbx("wait", name).stdout.strip() != "")
            p.kill()
        sbx("rm", name)


def disk():
    """The file system of the names is full, of a guest's output or by others: it goes on, and its end is told."""
    os.mkdir("/tmp/small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=700,uid=%d" % USER, "tmpfs", "/tmp/small"], check=True)
    env = {"XDG_RUNTIME_DIR": "/tmp/small"}
    r = sbx("run", "-d", "--name", "box", "--", "sh", "-c", "echo first; seq 3000000; exit 4", env=env)
    check("it begins", r.returncode == 0, r)
    check("it ends as it would", sbx("wait", "box", env=env).stdout == "4\n")
    r = sbx("logs", "box", env=env)
    check("what could be kept is kept", r.stdout.startswith("first\n1\n2\n"), r.stdout[:100])
    sbx("rm", "box", env=env)
    check("nothing is left", os.listdir("/tmp/small/sbx") == [], os.listdir("/tmp/small/sbx"))
    subprocess.run(["umount", "-l", "/tmp/small"], check=True)


enter()
ctypes.CDLL(None).mount(None, b"/", None, 0x44000, None)  # MS_REC | MS_PRIVATE
top = tempfile.mkdtemp(prefix="names-")
shutil.copy(SBX, top + "/sbx")
subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777,size=200m", "tmpfs", top], check=True)
shutil.copy(SBX, top + "/sbx")
subprocess.run(["mount", "--move", top, "/tmp"], check=True)
os.chmod("/tmp/sbx", 0o755)
for part in sys.argv[2:] or ["squat", "peer", "links", "odd", "flood", "disk"]:
    {"squat": squat, "peer": peer, "links": links, "odd": odd, "flood": flood, "disk": disk}[part]()
    print("%s: done" % part, flush=True)
print("%d failed" % len(bad))
sys.exit(bool(bad))
