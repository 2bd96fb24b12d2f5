#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""results.py SBX [--user]: what comes back of a run: --changes, --json, --diff, --save-changes, --apply.
--user: as one who is not root.

The same commands run natively in one copy of a tree and with --apply in another: both must be the same
afterwards. Then what must not be written, and a writer that is killed at any moment.
"""
import json
import os
import pathlib
import pty
import random
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

SBX = os.path.realpath(sys.argv[1])
TOP = pathlib.Path(tempfile.mkdtemp(prefix="results-"))
if "--user" in sys.argv and os.geteuid() == 0:
    shutil.copy(SBX, TOP / "sbx")
    shutil.copy(__file__, TOP / "results.py")
    TOP.chmod(0o755)
    status = subprocess.run(["setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups", "python3",
                             str(TOP / "results.py"), str(TOP / "sbx")], cwd="/", check=False).returncode
    shutil.rmtree(TOP)
    sys.exit(status)
ENV = dict(os.environ, XDG_STATE_HOME=str(TOP / "state"), LC_ALL="C.UTF-8")
bad = []


def check(what, ok, more=""):
    if not ok:
        bad.append(what)
        print("FAILED: %s %s" % (what, more))


def make(tree):
    """A tree whose files are older than any run that follows."""
    for path, content in tree.items():
        p = TOP / path
        p.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            p.mkdir(exist_ok=True)
        else:
            p.write_text(content)
    time.sleep(0.02)


def state(top):
    """All that an apply is to bring over."""
    out = {}
    for base, dirs, files in os.walk(top):
        for name in dirs + files:
            p = os.path.join(base, name)
            st = os.lstat(p)
            what = os.readlink(p) if stat.S_ISLNK(st.st_mode) else \
                pathlib.Path(p).read_bytes() if stat.S_ISREG(st.st_mode) else ""
            out[os.path.relpath(p, top)] = (oct(st.st_mode), what)
    return out


def run(cwd, options, script, env=None, **more):
    r = subprocess.run([SBX, "run"] + options + ["--", "/bin/sh", "-c", script], cwd=cwd, text=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env or ENV,
                       timeout=120, **more)
    r.stderr = "".join(line for line in r.stderr.splitlines(True) if "neither user namespaces" not in line)
    return r


def fresh(name):
    d = TOP / name
    subprocess.run(["chmod", "-Rf", "u+rwx", str(d)], check=False)
    shutil.rmtree(d, ignore_errors=True)
    make({"%s/%s" % (name, k): v for k, v in BASE.items()})
    (d / "prog").chmod(0o755)
    os.symlink("a", d / "link")
    time.sleep(0.02)
    return d


BASE = {"a": "one\ntwo\n", "b": "b\n", "prog": "#!/bin/sh\n", "dir/x": "x\n", "dir/deep/y": "y\n", "dir/deep/z": "z\n",
        "old/1": "1\n", "old/2": "2\n", "empty": None, "swap": "a file\n", "turn/in": "in\n"}

# Each one natively and applied.
SAME = [
    "echo three >>a",
    "echo new >a; echo more >new; mkdir -p p/q; echo r >p/q/r",
    "rm b; rm -r old; rmdir empty",
    "mv dir moved; echo 2 >>moved/deep/y",
    "mv a dir/a2; mv dir/deep up; rm -r dir",
    "chmod 600 a; chmod 700 dir; chmod 644 prog",
    "rm link",
    "rm link; ln -s nowhere link; ln -s ../x dir/l2",
    "rm swap; mkdir swap; echo in >swap/f; rm -r turn; echo now a file >turn",
    "cp a a.tmp; echo edited >>a.tmp; mv a.tmp a",
    "mv a tmp; mv b a; mv tmp b",
    "rm -r old; mkdir old; echo 3 >old/3",
    "echo h >h1; ln h1 h2; ln a a3",
    "umask 077; mkdir private; echo s >private/s; chmod 500 private",
    ": >a; truncate -s 3000000 big; dd if=/dev/urandom of=rnd bs=64k count=40 2>/dev/null; rm rnd",
    "touch \"$(printf 'n\\nl')\" \"$(printf 'esc\\033[0m')\" \"$(printf 'b\\377')\"",
    "mv dir/deep dir/deeper; mkdir dir/deep; echo n >dir/deep/y",
    "mv a a2; mv a2 a",
    "i=0; while [ $i -lt 300 ]; do echo $i >f$i; i=$((i+1)); done",
]


def same():
    for script in SAME:
        native, boxed = fresh("native"), fresh("boxed")
        subprocess.run(["/bin/sh", "-c", script], cwd=native, check=True)
        r = run(boxed, ["--apply=always"], script)
        check(script, r.returncode == 0 and state(native) == state(boxed),
              (r.returncode, r.stderr, sorted(set(state(native).items()) ^ set(state(boxed).items()))))
        left = [n for n in os.listdir(boxed) if n.startswith(".sbx")] + os.listdir(TOP / "state/sbx")
        check("nothing is left of: " + script, left == [], left)


def lists():
    d = fresh("list")
    script = "echo 3 >>a; rm -r old; mkdir n; ln -s x n/l; mkfifo n/p; touch \"$(printf 'e\\033[1m\\\\')\"; mv dir/x x2; mv b c; mv c b"
    before = state(d)
    r = run(d, ["--changes"], script)
    want = ["M a", "D dir/x", "A e\\x1b[1m\\\\", "A n/", "A n/l -> x", "A n/p", "D old/", "D old/1", "D old/2", "A x2"]
    check("--changes", r.stderr.splitlines() == want, r.stderr)
    r = run(d, ["--changes", "--json"], script)
    got = json.loads(r.stderr)
    check("--json", got["complete"] and [(c["change"], c["path"], c["type"]) for c in got["changes"]] == [
        ("modified", "a", "file"), ("removed", "dir/x", "file"), ("added", "e\033[1m\\", "file"),
        ("added", "n", "directory"), ("added", "n/l", "symlink"), ("added", "n/p", "special"),
        ("removed", "old", "directory"), ("added", "x2", "file")], r.stderr)
    got = json.loads(run(d, ["--changes", "--json"], "touch \"$(printf 'b\\377')\" \"$(printf 'q\"\\\\\\303\\251')\"").stderr)["changes"]
    check("--json: names that are no UTF-8", [(c["path"], c.get("path_hex")) for c in got] == [("b\ufffd", "62ff"), ('q"\\\u00e9', None)], got)
    r = run(d, ["--changes"], "cat a >t; cat t >a; rm t; touch b; chmod 644 b; echo >>dir/x; chmod 700 dir; mv b c; mv c b")
    check("--changes: no more than what differs", r.stderr.splitlines() == ["M dir/", "M dir/x"], r.stderr)
    r = run(d, ["--changes=dir"], script)
    check("--changes=dir", r.stderr.splitlines() == ["D x"], r.stderr)
    r = run(d, ["--diff"], "echo three >>a; rm b; printf 'n\\033' >n")
    want = "--- a/a\n+++ b/a\n@@ -1,2 +1,3 @@\n one\n two\n+three\n--- a/b\n+++ /dev/null\n@@ -1 +0,0 @@\n-b\n" \
           "--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+n\\x1b\n\\ No newline at end of file\n"
    check("--diff", r.stderr == want, r.stderr)
    r = run(d, ["--save-changes", str(TOP / "saved")], "echo 3 >>a; echo q >dir/deep/q; chmod +x b; rm -r old; exit 3")
    got = {k: v[1] for k, v in state(TOP / "saved").items()}
    check("--save-changes", r.returncode == 3 and got == {"a": b"one\ntwo\n3\n", "b": b"b\n", "dir": "", "dir/deep": "",
                                                          "dir/deep/q": b"q\n"}, (r.stderr, got))
    check("the host is as it was", state(d) == before)
    r = run(d, ["--changes"], "kill -9 $$")
    check("a killed program's changes are told", r.returncode == 137 and r.stderr == "", (r.returncode, r.stderr))
    r = run(d, ["--changes"], "(sleep 100; echo late >late) & echo now >now")
    check("others are ended first", r.stderr == "A now\n", r.stderr)
    r = run(d, ["--changes", "--timeout=0.3"], "echo x >x; sleep 100")
    check("--timeout", r.returncode == 124 and r.stderr.splitlines()[0] == "A x", r.stderr)


def refusals():
    d = fresh("refuse")
    for options, says in [(["--apply"], "there is none; give --apply=always"), (["--apply=maybe"], "give ask or always"),
                          (["--changes=/nowhere"], "is no directory of the host"), (["--changes=/proc"], "is no directory"),
                          (["--save-changes", str(d)], "is not empty"), (["--json"], "give --changes"),
                          (["--changes=a"], "Not a directory"), (["--save-changes", "/proc/x"], "No such file")]:
        r = run(d, options, "echo ran", start_new_session=True)
        check(str(options), r.returncode == 125 and r.stdout == "" and says in r.stderr and r.stderr.count("\n") == 1,
              (r.returncode, r.stdout, r.stderr))
    r = run(d, ["--apply=always"], "echo x >x", env=dict(ENV, XDG_STATE_HOME="/proc/none"))
    check("no place for a journal", r.returncode == 125 and "journal" in r.stderr, r.stderr)
    r = run(d, ["--apply=always"], "cp /bin/true t; chmod 6755 t; mkfifo p; mknod n c 1 3 2>/dev/null; mkdir k; touch k/f")
    check("no set-id, no devices", r.returncode == 125 and oct((d / "t").stat().st_mode) == "0o100755" and
          not (d / "p").exists() and not (d / "n").exists() and (d / "k/f").exists(), r.stderr)


class Meanwhile:
    """A program that ends when the host has changed something."""

    def __init__(self, d, script):
        self.p = subprocess.Popen([SBX, "run", "--apply=always", "--", "/bin/sh", "-c", script + "; echo begun; read x"], cwd=d,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV)
        self.p.stdout.readline()
        time.sleep(0.02)

    def end(self):
        out, err = self.p.communicate("\n", timeout=60)
        return self.p.returncode, err


def meanwhile():
    outside = TOP / "outside"
    for name, change, script, says, want in [
        ("changed", lambda d: (d / "a").write_text("host\n"), "echo guest >a; echo n >n", "a is left", {"a": "host\n", "n": "n\n"}),
        ("in a removed one", lambda d: (d / "old/3").write_text("host\n"), "rm -r old; echo n >n", "old is left",
         {"old/1": "1\n", "old/3": "host\n", "n": "n\n"}),
        ("made on both sides", lambda d: (d / "n").write_text("host\n"), "echo guest >n; echo m >m", "n is left", {"n": "host\n", "m": "m\n"}),
        ("gone", lambda d: shutil.rmtree(d / "dir"), "echo guest >dir/x; echo m >dir/deep/m; echo n >n", "dir/x is left", {"n": "n\n"}),
        ("a link in the way", lambda d: (shutil.rmtree(d / "dir"), os.symlink(outside, d / "dir")),
         "echo guest >dir/x; echo m >dir/new; echo n >n", "a symbolic link is in the way", {"n": "n\n"}),
        ("became a directory", lambda d: (os.unlink(d / "b"), os.mkdir(d / "b")), "echo guest >b; echo n >n", "b is left", {"n": "n\n"}),
    ]:
        d = fresh("meanwhile")
        shutil.rmtree(outside, ignore_errors=True)
        make({"outside/x": "outside\n"})
        m = Meanwhile(d, script)
        change(d)
        time.sleep(0.2)  # until it shows inside too
        status, err = m.end()
        if says:
            check(name, status == 125 and says in err and all((d / k).read_text() == v for k, v in want.items()), (status, err))
        check(name + ": nothing outside", state(outside) == {"x": (oct((outside / "x").stat().st_mode), b"outside\n")}, err)


def asked():
    for answer, wanted in (("y\n", True), ("n\n", False), ("\n", False), ("yes\n", True), ("\x04", False)):
        d = fresh("asked")
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(d)
            os.execve(SBX, [SBX, "run", "--apply", "--", "/bin/sh", "-c", "echo new >new; rm b"], ENV)
        seen, answered = b"", False
        while True:
            ready = select.select([fd], [], [], 30)[0]
            try:
                got = os.read(fd, 4096) if ready else b""
            except OSError:
                got = b""
            if not got:
                if not ready:
                    os.kill(pid, signal.SIGKILL)
                break
            seen += got
            if b"[y/N]" in seen and not answered:
                answered = True
                os.write(fd, answer.encode())
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(fd)
        check("asked, %r" % answer, answered and status == 0 and b"A new" in seen and b"D b" in seen and
              (d / "new").exists() == wanted and (d / "b").exists() != wanted, seen)


MANY = "for d in old dir turn; do mv $d $d.moved; done; i=0; while [ $i -lt 400 ]; do echo new$i >f$i; i=$((i+1)); done; rm b; echo n >a; mkdir k; echo k >k/k"


def rolled_back():
    """An error in the middle of the moves: all is as it was. Not as root, whom no mode stops."""
    as_user = ["setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups"] if os.geteuid() == 0 else []
    d = fresh("rolled")
    if as_user:
        for base, dirs, files in os.walk(TOP):
            for name in dirs + files:
                os.lchown(os.path.join(base, name), 54321, 54321)
        os.lchown(TOP, 54321, 54321)
        if subprocess.run(as_user + ["test", "-x", SBX]).returncode:
            print("left out: another user cannot reach " + SBX)
            return
    (d / "zz").mkdir(mode=0o555)
    if as_user:
        os.lchown(d / "zz", 54321, 54321)
    time.sleep(0.02)
    before = state(d)
    r = subprocess.run(as_user + [SBX, "run", "--apply=always", "--", "/bin/sh", "-c", MANY + "; chmod 755 zz; echo x >zz/x; chmod 555 zz"],
                       cwd=d, text=True, stdin=subprocess.DEVNULL, capture_output=True, env=dict(ENV, HOME="/nonexistent"), timeout=120)
    after = state(d)
    check("rolled back", r.returncode == 125 and "nothing was written: zz/x" in r.stderr and before == after,
          (r.returncode, r.stderr[-300:], sorted(set(before) ^ set(after))[:5]))


def writers(front):
    """Those of that front end: other tests have their own."""
    out = []
    for p in pathlib.Path("/proc").iterdir():
        try:
            if p.name.isdigit() and (p / "comm").read_text() == "sbx-writer\n":
                stat = (p / "stat").read_text()
                if int(stat[stat.rindex(")") + 2:].split()[1]) == front:
                    out.append(int(p.name))
        except OSError:
            pass
    return out


def interrupted(rounds):
    native = fresh("native")
    subprocess.run(["/bin/sh", "-c", MANY], cwd=native, check=True)
    new = state(native)
    ends = {"old": 0, "new": 0, "finished": 0, "undone": 0}
    for n in range(rounds):
        d = fresh("killed")
        old = state(d)
        p = subprocess.Popen([SBX, "run", "--apply=always", "--", "/bin/sh", "-c", MANY], cwd=d, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENV)
        while p.poll() is None:
            mine = [w for w in writers(p.pid) if w > 1]
            if mine:
                time.sleep(random.random() * 0.15)
                try:
                    os.kill(mine[0], signal.SIGKILL)
                except ProcessLookupError:
                    pass
                break
        p.wait(60)
        r = run(d, ["--apply=always", "--changes"], "echo after >after")
        after = state(d)
        check("the next one works", after.pop("after", None) is not None and r.returncode == 0, r.stderr)
        check("killed: all or nothing", after in (old, new), sorted(set(after.items()) ^ set(new.items()))[:4])
        check("killed: nothing is left", os.listdir(TOP / "state/sbx") == [], os.listdir(TOP / "state/sbx"))
        ends["new" if after == new else "old"] += 1
        for word in ("finished", "undone"):
            ends[word] += word in r.stderr
    print("killed %d times: %s" % (rounds, ends))


def main():
    try:
        same()
        lists()
        refusals()
        meanwhile()
        asked()
        interrupted(int(os.environ.get("RESULTS_KILLS", "25")))
        rolled_back()
    finally:
        subprocess.run(["chmod", "-R", "u+rwx", str(TOP)], check=False)
        shutil.rmtree(TOP, ignore_errors=True)
    print("%d failed" % len(bad))
    return 1 if bad else 0


sys.exit(main())
