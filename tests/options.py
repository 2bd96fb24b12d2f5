#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""options.py SBX WAY [NAME...]: each option of `sbx run` once, in one way: root, user, userns (a user without user
namespaces), container (root behind the filter of tests/container.py).

The list is that of `sbx run --help`, which is made from the table of options: one without a case fails, and a case
without an option, too. What an option does in its depth is tested elsewhere; here it is that it does it in each way.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

WAY = sys.argv[2]
HERE = pathlib.Path(__file__).resolve().parent
TOP = pathlib.Path(tempfile.mkdtemp(prefix="sbx-options-"))
SBX, HOME, WORK = TOP / "sbx", TOP / "home", TOP / "work"
ENV = {"PATH": "/usr/bin:/bin", "HOME": str(HOME), "LC_ALL": "C.UTF-8", "XDG_RUNTIME_DIR": str(TOP / "run")}
IDS = {} if WAY in ("root", "container") else {"user": 54321, "group": 54321, "extra_groups": []}
PREFIX = ["/usr/bin/python3", str(TOP / "container.py")] if WAY == "container" else []
PY = "/usr/bin/python3"
HUNGRY = "a = bytearray(1 << 20) * 400"
CASES = {}


class Skip(Exception):
    """Not to be had here, and why."""


def case(*options):
    def add(fn):
        for o in options:
            CASES[o] = fn
        return fn
    return add


def sbx(*args, status=0, stdin="", command="run"):
    """Its output; what it says besides is in .err of the result."""
    p = subprocess.run([*PREFIX, str(SBX), command, *map(str, args)], input=stdin, capture_output=True, text=True, env=ENV, cwd=WORK,
                       timeout=60, **IDS)
    if p.returncode != status:
        raise AssertionError(f"status {p.returncode} for {status}: {p.stdout[-300:]}{p.stderr[-500:]}")
    return Out(p.stdout, p.stderr)


class Out(str):
    def __new__(cls, out, err):
        self = super().__new__(cls, out)
        self.err = err
        return self


def same(got, want):
    if got != want:
        raise AssertionError(f"{str(got)!r} is not {want!r}")


def has(text, what):
    if what not in text:
        raise AssertionError(f"no {what!r} in {str(text)!r}")


def put(path, text="", mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    if IDS:
        for p in [path, *path.parents]:
            if TOP not in p.parents:
                break
            os.chown(p, 54321, 54321)
    return path


# ---- what is shown ----

@case("rootfs")
def _():
    put(TOP / "tree/sbx").write_bytes(SBX.read_bytes())  # a static program
    (TOP / "tree/sbx").chmod(0o755)
    has(sbx("--rootfs", TOP / "tree", "--", "/sbx", "--version"), "sbx")


@case("bind")
def _():
    f = put(TOP / "shared/f", "old\n")
    same(sbx("-v", f"{f.parent}:/d:ro", "--", "sh", "-c", "cat /d/f; echo new 2>/dev/null >/d/f || echo refused"), "old\nrefused\n")
    same(sbx("--bind", f"{f.parent}:/d:rw", "--", "sh", "-c", "echo new >/d/f"), "")
    same(f.read_text(), "new\n")


@case("ro-bind")
def _():
    f = put(TOP / "ro/f", "old\n")
    same(sbx("--ro-bind", f.parent, "/d", "--", "sh", "-c", "cat /d/f; echo new 2>/dev/null >/d/f || echo refused"), "old\nrefused\n")


@case("image")
def _():
    if not shutil.which("mksquashfs"):
        raise Skip("there is no mksquashfs")
    put(TOP / "packed/f", "packed\n")
    subprocess.run(["mksquashfs", TOP / "packed", TOP / "image", "-quiet", "-no-progress"], check=True, stdout=subprocess.DEVNULL)
    same(sbx("--image", f"{TOP}/image:/i:ro", "--", "cat", "/i/f"), "packed\n")


@case("tmpfs")
def _():
    same(sbx("--tmpfs", "/scratch", "--", "sh", "-c", "echo x >/scratch/f; ls /scratch; stat -fc %T /scratch"), "f\ntmpfs\n")


@case("cwd")
def _():
    same(sbx("-w", "/usr", "--", "pwd"), "/usr\n")


@case("env")
def _():
    same(sbx("-e", "A=b c", "--", "sh", "-c", "echo $A"), "b c\n")


@case("user")
def _():
    same(sbx("-u", "12:34", "--", "sh", "-c", "id -u; id -g"), "12\n34\n")


@case("hostname")
def _():
    same(sbx("--hostname", "elsewhere", "--", "hostname"), "elsewhere\n")


# ---- names and profiles ----

@case("name", "detach", "rm")
def _():
    same(sbx("-d", "--rm", "--name", "opt", "--", "sh", "-c", "echo up; exec sleep 30"), "opt\n")
    try:
        has(sbx(command="ps"), "opt")
        has(sbx("opt", "sh", "-c", "cat /proc/[0-9]*/comm", command="exec"), "sleep\n")
    finally:
        sbx("opt", command="kill")
    for _ in range(200):
        if "opt" not in sbx(command="ps"):
            break
        time.sleep(0.02)
    sbx("opt", command="logs", status=125)  # --rm: no log is kept
    same(sbx("--rm", "--", "echo", "a"), "a\n")


@case("profile", "print-profile")
def _():
    put(HOME / ".config/sbx/p.toml", 'env = ["A=profile"]\npids = 20\n')
    same(sbx("--profile", "p", "--", "sh", "-c", "echo $A"), "profile\n")
    same(sbx("--profile", "p", "--print-profile"), 'env = ["A=profile"]\npids = 20\n')


@case("trust-profile")
def _():
    put(WORK / "with/.sbx.toml", 'env = ["A=beside"]\n')
    put(WORK / "with/script.sh", "#!/bin/sh\necho $A\n", 0o755)
    same(sbx("--trust-profile", "with/script.sh"), "beside\n")


# ---- limits ----

@case("timeout")
def _():
    has(sbx("--timeout", "0.3", "--", "sleep", "20", status=124).err, "timeout")


@case("memory")
def _():
    has(sbx("-m", "60M", "--", PY, "-c", HUNGRY, status=137).err, "memory")


@case("pids")
def _():
    same(sbx("--pids", "5", "--", PY, "-c", """
import os
n=0
try:
    for i in range(20):
        if os.fork()==0: import time; time.sleep(20)
        n+=1
except OSError as e: print(n, e.errno, flush=True)
os.kill(0, 9)
""", status=137)[-5:], "3 11\n")


@case("cpus")
def _():
    same(sbx("--cpus", "1", "--", "nproc"), "1\n")


@case("cpu-time")
def _():
    has(sbx("--cpu-time", "0.3", "--", "sh", "-c", "while :; do :; done", status=124).err, "cpu-time")


@case("file-size")
def _():
    same(sbx("--file-size", "1M", "--", PY, "-c", """
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
f=open('/tmp/f','wb',0)
try:
    for i in range(9): f.write(b'x'*300000)
except OSError as e: print(e.errno, f.tell())
"""), "27 1048576\n")


@case("disk")
def _():
    has(sbx("--disk", "1M", "--", "sh", "-c", "head -c 9000000 /dev/zero >/tmp/f || exit 3", status=3).err, "No space left")


@case("output")
def _():
    has(sbx("--output", "1000", "--", "yes", status=153).err, "output")


# ---- the network ----

@contextlib.contextmanager
def server():
    ls = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                c, _ = ls.accept()
                c.sendall(b"hello\n")
                c.close()

    threading.Thread(target=serve, daemon=True).start()
    with ls:
        yield ls.getsockname()[1]


def reach(port, *options):
    return sbx(*options, "--", PY, "-c", f"""
import socket
try: print(socket.create_connection(('127.0.0.1',{port}),5).recv(9).decode().strip())
except OSError: print('refused')
""")


@case("net")
def _():
    with server() as port:
        same(reach(port), "refused\n")
        same(reach(port, "--net=none"), "refused\n")
        same(reach(port, "--net=host"), "hello\n")


@case("allow-net")
def _():
    with server() as port:
        same(reach(port, f"--allow-net=127.0.0.1:{port}"), "hello\n")
        same(reach(port, "--allow-net=127.0.0.1:1"), "refused\n")


@case("deny-net")
def _():
    with server() as port:
        same(reach(port, "--allow-net=127.0.0.0/8", "--deny-net=127.0.0.1"), "refused\n")


@case("publish")
def _():
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    p = subprocess.Popen([*PREFIX, str(SBX), "run", "-p", f"127.0.0.1:{port}:80", "-u", "0:0", "--", PY, "-uc", """
import socket
s=socket.create_server(('0.0.0.0',80)); print('up'); c,_=s.accept(); c.sendall(b'inside'); c.close()
"""], stdout=subprocess.PIPE, text=True, env=ENV, cwd=WORK, **IDS)
    try:
        same(p.stdout.readline(), "up\n")
        with socket.create_connection(("127.0.0.1", port), 10) as c:
            same(c.recv(9), b"inside")
        same(p.wait(20), 0)
    finally:
        p.kill()
        p.wait()


# ---- results ----

def tree():
    shutil.rmtree(WORK / "t", ignore_errors=True)
    put(WORK / "t/changed", "old\n")
    put(WORK / "t/gone", "x\n")


SCRIPT = ("--", "sh", "-c", "echo new >t/changed; rm t/gone; echo y >t/added")


def results(where, ok=True):
    got = {p.name: p.read_text() for p in where.iterdir()}
    same(got, {"changed": "new\n", "added": "y\n"} if ok else {"changed": "old\n", "gone": "x\n"})


@case("changes")
def _():
    tree()
    out = sbx("--changes", *SCRIPT).err
    for name in "t/changed", "t/gone", "t/added":
        has(out, name)
    results(WORK / "t", ok=False)


@case("json")
def _():
    tree()
    out = sbx("--changes", "--json", *SCRIPT).err
    got = json.loads(out[out.index("{" if "{" in out else "["):])
    has(json.dumps(got), "t/added")


@case("diff")
def _():
    tree()
    out = sbx("--diff", *SCRIPT).err
    has(out, "-old\n+new\n")


@case("save-changes")
def _():
    tree()
    shutil.rmtree(TOP / "saved", ignore_errors=True)
    put(TOP / "saved/x").unlink()
    sbx("--save-changes", TOP / "saved", *SCRIPT)
    same((next(TOP.glob("saved/**/changed"))).read_text(), "new\n")
    results(WORK / "t", ok=False)


@case("apply")
def _():
    for _ in range(4):  # what was written just now is not taken for somebody else's
        tree()
        sbx("--apply=always", *SCRIPT)
        results(WORK / "t")
    tree()
    sbx("--apply=ask", *SCRIPT, status=125)  # nobody can be asked
    results(WORK / "t", ok=False)


# ---- of sbx itself ----

@case("require")
def _():
    lacks = {"userns": "userns", "container": "userns"}.get(WAY)
    if lacks:
        has(sbx("--require", lacks, "--", "echo", "a", status=125).err, lacks)
    else:
        same(sbx("--require", "userns", "--", "echo", "a"), "a\n")


@case("platform")
def _():
    for name in "auto", "trap", "ptrace":
        same(sbx("--platform", name, "--", "echo", name), name + "\n")
    sbx("--platform", "none-such", "--", "true", status=125)


@case("strace")
def _():
    has(sbx("--strace", "--", "cat", "/etc/passwd").err, "openat(")
    f = put(TOP / "out/x").parent / "trace"
    sbx(f"--strace={f}", "--", "true")
    has(f.read_text(), "execve(")


@case("stats")
def _():
    has(sbx("--stats", "--", "true").err, "platform")
    err = sbx("--stats=json", "--", "true").err
    json.loads(err[err.index("{"):])


@case("log", "log-level")
def _():
    for level, says in ("error", False), ("warning", True):
        f = put(TOP / "out/x").parent / f"log-{level}"
        sbx("--log", f, "--log-level", level, "-m", "60M", "--", PY, "-c", HUNGRY, status=137)
        same("out of memory" in f.read_text(), says)
    sbx("--log-level", "loud", "--", "true", status=125)


@case("interactive", "tty")
def _():
    same(sbx("-it", "--", "cat", stdin="typed\n"), "typed\n")
    same(sbx("--interactive", "--tty", "--", "cat", stdin="typed\n"), "typed\n")


@case("help")
def _():
    same(sbx("--help"), sbx("-h"))


def main():
    TOP.chmod(0o755)
    shutil.copy(sys.argv[1], SBX)
    with contextlib.suppress(FileNotFoundError):  # who has no C++ has no profiles
        shutil.copy(pathlib.Path(sys.argv[1]).resolve().parent / "sbx-toml", TOP)
    shutil.copy(HERE / "container.py", TOP)
    if WAY == "userns":
        ENV["SBX_WITHOUT"] = "userns"
    for d in HOME, WORK, TOP / "run":
        d.mkdir(mode=0o700)
        if IDS:
            os.chown(d, 54321, 54321)
    there = re.findall(r"^ +(?:-\w, )?--([a-z-]+)", sbx("--help"), re.M)
    bad = [f"--{o} has no case here" for o in there if o not in CASES]
    bad += [f"there is no option --{o}" for o in CASES if o not in there]
    begun, done = time.monotonic(), {}
    for o in there:
        fn = CASES.get(o)
        if not fn or fn in done or (sys.argv[3:] and o not in sys.argv[3:]):
            continue
        done[fn] = True
        try:
            fn()
        except Skip as e:
            print(f"skipped: --{o}: {e}", flush=True)
        except Exception as e:  # pylint: disable=broad-except
            bad.append(f"--{o}: {type(e).__name__} {e}")
    for line in bad:
        print("FAILED", line)
    print(f"{WAY}: {len(there)} options, {len(bad)} failed, {time.monotonic() - begun:.1f} s")
    shutil.rmtree(TOP)
    return bool(bad)


if __name__ == "__main__":
    if WAY != "root" and os.geteuid() != 0 and WAY != "user":
        print("only root can be all of these")
        sys.exit(77)
    sys.exit(main())
