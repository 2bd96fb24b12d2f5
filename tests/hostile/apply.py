#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""apply.py SBX [ROUNDS [SEED]]: --apply into a tree that somebody changes all the while.

A racing program of the host's exchanges directories and files with links to the outside, moves directories away and
back, makes what the program inside makes, and replaces what it changes; in some rounds the writer is killed, and the
next run finishes or undoes its work in the same race. Whatever happens: nothing outside is written, what nobody but
the writer touches is all there or all as it was, a racer's own file is not lost, and nothing is left in the end.
"""
import ctypes
import os
import pathlib
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import procs

USER = 54321
if os.geteuid() == 0:  # with no more rights than this test needs
    top = tempfile.mkdtemp(prefix="apply-race-")
    for f in (sys.argv[1], __file__, procs.__file__):
        shutil.copy(f, top)
    os.chown(top, USER, USER)
    status = subprocess.run(["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups", "python3", "-B",
                             top + "/" + os.path.basename(__file__), top + "/" + os.path.basename(sys.argv[1]), *sys.argv[2:]], cwd="/", check=False,
                            ).returncode
    shutil.rmtree(top)
    sys.exit(status)
SBX = os.path.realpath(sys.argv[1])
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 24
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 32)
TOP = pathlib.Path(tempfile.mkdtemp(prefix="apply-race-"))
ENV = {**os.environ, "XDG_STATE_HOME": str(TOP / "state"), "HOME": str(TOP), "LC_ALL": "C.UTF-8"}
MANY = 150
SCRIPT = ("echo guest >dir/x; echo new >dir/new; rm dir/gone; chmod 600 dir/mode; mkdir dir/made; echo in >dir/made/in; ln -s x dir/link; "
          "echo guest >a; echo guest >both; rm swapped; mkdir swapped; echo in >swapped/in; rm -r moving; mv deep/er deep/est; "
          "chmod 700 hard; echo guest >>hot; rm -r old; mkdir k; echo k >k/k; echo b >>b; "
          "i=0; while [ $i -lt %d ]; do echo $i >f$i; i=$((i+1)); done" % MANY)
bad = []
libc = ctypes.CDLL(None, use_errno=True)


def check(what, ok, more=""):
    if not ok:
        bad.append(what)
        print("FAILED: %s: %s" % (what, str(more)[:1500]), flush=True)


def exchange(a, b):
    return libc.renameat2(-100, os.fsencode(a), -100, os.fsencode(b), 2)


def state(where):
    out = {}
    for base, dirs, files in os.walk(where):
        for name in dirs + files:
            p = os.path.join(base, name)
            st = os.lstat(p)
            out[os.path.relpath(p, where)] = (oct(st.st_mode), st.st_mtime_ns, st.st_nlink if stat.S_ISREG(st.st_mode) else 0,
                                              pathlib.Path(p).read_bytes() if stat.S_ISREG(st.st_mode) else b"")
    return out


def lay_out():
    for name in ("tree", "outside"):
        shutil.rmtree(TOP / name, ignore_errors=True)
    d, out = TOP / "tree", TOP / "outside"
    for base in (d / "dir", out, d / "moving", d / "deep/er", d / "old", out / "swapped"):
        base.mkdir(parents=True)
    for base in (d / "dir", out):
        for name in ("x", "gone", "mode", "a", "hot"):
            (base / name).write_text("%s\n" % name)
    for name in ("a", "b", "swapped", "hard", "hot", "moving/1", "moving/2", "deep/er/1", "old/1", "old/2"):
        (d / name).write_text("%s\n" % name)
    (out / "hard").write_text("hard\n")
    os.symlink(out, d / "dir.evil")
    os.symlink(out / "a", d / "a.evil")
    os.symlink(out / "swapped", d / "swapped.evil")
    os.symlink(out, d / "deep.evil")
    os.link(out / "hard", d / "hard.evil")
    time.sleep(0.02)
    return d, out


def race(d, seed):
    """Until it is killed."""
    rng = random.Random(seed)
    os.chdir(d)
    n = 0
    while True:
        deed = rng.randrange(9)
        n += 1
        try:
            if deed < 4:
                name = ("dir", "a", "swapped", "deep")[deed]
                for _ in range(rng.randrange(1, 6)):
                    exchange(name, name + ".evil")
            elif deed == 4:
                exchange("hard", "hard.evil")
            elif deed == 5:
                os.rename("moving", "moved")
                os.rename("moved", "moving")
            elif deed == 6:
                pathlib.Path("both").write_text("racer\n")
            elif deed == 7:
                pathlib.Path("hot.new").write_text("racer %d\n" % n)
                os.rename("hot.new", "hot")
            else:
                fd = os.open("dir", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)  # not through the link itself
                os.close(os.open("racer", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=fd))
                os.close(fd)
        except OSError:
            pass


def told(text):
    return "".join(line for line in text.splitlines(True) if line.startswith("sbx: "))


def untouched(d):
    """What nobody but the writer touches: 'new', 'old', or what else it is."""
    new = all((d / ("f%d" % i)).is_file() and (d / ("f%d" % i)).read_text() == "%d\n" % i for i in range(MANY)) and \
        (d / "b").read_text() == "b\nb\n" and (d / "k/k").is_file() and not (d / "old").exists()
    old = not any((d / ("f%d" % i)).exists() for i in range(MANY)) and (d / "b").read_text() == "b\n" and not (d / "k").exists() and \
        sorted(os.listdir(d / "old")) == ["1", "2"]
    return "new" if new else "old" if old else sorted(os.listdir(d)) + [(d / "b").read_text()]


def one(rng, kill):
    d, out = lay_out()
    before = state(out)
    racer = os.fork()
    if racer == 0:
        try:
            race(d, rng.random())
        finally:
            os._exit(1)
    words = []
    try:
        p = subprocess.Popen([SBX, "run", "--apply=always", "--", "/bin/sh", "-c", SCRIPT], cwd=d, env=ENV, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while kill and p.poll() is None:
            if (w := procs.child(p.pid, "sbx-writer")) > 1:
                time.sleep(rng.random() * 0.08)
                try:
                    os.kill(w, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                break
        words.append(told(p.communicate(timeout=120)[1]))
        status = p.returncode
        check("nothing outside is written", state(out) == before, (status, sorted(set(state(out).items()) ^ set(before.items()))[:6], words[-1]))
        if kill:  # finished or undone meanwhile
            r = subprocess.run([SBX, "run", "--apply=always", "--", "true"], cwd=d, env=ENV, stdin=subprocess.DEVNULL, capture_output=True,
                               text=True, timeout=120, check=False)
            words.append(told(r.stderr))
    finally:
        os.kill(racer, signal.SIGKILL)
        os.waitpid(racer, 0)
    # In peace what was not finished, and could not be taken back, is.
    r = subprocess.run([SBX, "run", "--apply=always", "--", "true"], cwd=d, env=ENV, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       timeout=120, check=False)
    words.append(told(r.stderr))
    check("the next one mends it", r.returncode == 0, words)
    check("nothing outside is written in the end", state(out) == before,
          (sorted(set(state(out).items()) ^ set(before.items()))[:6], words))
    got = untouched(d)
    check("all or nothing", got in ("new", "old"), (status, got, words))
    if not kill:
        check("it says what it did", status in (0, 125) and ("were written" in words[0]) == (got == "new") or "tries again" in words[0],
              (status, got, words))
    left = [n for n in os.listdir(d) if n.startswith(".sbx")] + os.listdir(TOP / "state/sbx")
    check("nothing is left", left == [], (left, status, words))
    return got


def further():
    """Ended when most was done; then the first of it cannot be done again: all of it is taken back."""
    for _ in range(40):
        d = TOP / "further"
        shutil.rmtree(d, ignore_errors=True)
        d.mkdir()
        (d / "a").write_text("a\n")
        time.sleep(0.02)
        p = subprocess.Popen([SBX, "run", "--apply=always", "--", "/bin/sh", "-c",
                              "echo guest >a; i=0; while [ $i -lt 3000 ]; do : >f$i; i=$((i+1)); done"], cwd=d, env=ENV,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while p.poll() is None and not (d / "f100").exists():
            pass
        w = procs.child(p.pid, "sbx-writer")
        try:
            os.kill(w, signal.SIGKILL) if w > 1 else None
        except ProcessLookupError:
            pass
        p.wait()
        there = len([n for n in os.listdir(d) if n.startswith("f")])
        if not 0 < there < 3000:
            continue
        (d / "theirs").write_text("theirs\n")
        os.rename(d / "theirs", d / "a")
        r = subprocess.run([SBX, "run", "--apply=always", "--", "true"], cwd=d, env=ENV, stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, timeout=120, check=False)
        check("all that was done is taken back", "was undone" in r.stderr and not [n for n in os.listdir(d) if n.startswith("f")],
              (there, len(os.listdir(d)), r.stderr))
        return
    check("it is ended half way", False)


try:
    print("seed", SEED)
    further()
    dice, ends = random.Random(SEED), {}
    for n in range(ROUNDS):
        end = ("killed, " if n % 3 == 2 else "") + str(one(dice, n % 3 == 2))[:60]
        ends[end] = ends.get(end, 0) + 1
    print(ends)
finally:
    shutil.rmtree(TOP, ignore_errors=True)
print("%d failed" % len(bad))
sys.exit(bool(bad))
