#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rw.py SBX [--user]: --bind SRC:DST:rw, shared live both ways. --user: as one who is not root.

The same steps run natively in one directory and inside in another: what they print and what they leave
must be the same. Then both sides at once: what one writes the other sees, locks, inotify, SQLite, and
what was fsynced before a kill.
"""
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import procs

SBX = os.path.realpath(sys.argv[1])
PYTHON = "/usr/bin/python3"
HERE = pathlib.Path(__file__).resolve().parent
TOP = pathlib.Path(tempfile.mkdtemp(prefix="rw-", dir="/tmp"))
if "--user" in sys.argv and os.geteuid() == 0:
    (TOP / "rw").mkdir()
    for name in (SBX, __file__, procs.__file__, HERE / "rw" / "steps.py", HERE / "rw" / "side.py"):
        to = TOP / "rw" if str(name).endswith(("steps.py", "side.py")) else TOP
        shutil.copy(name, to / ("sbx" if name == SBX else os.path.basename(name)))
    TOP.chmod(0o755)
    (TOP / "roots").mkdir(mode=0o755)
    (TOP / "roots" / "file").write_text("root's")
    more = [a for a in sys.argv[2:] if a and a[0] != "-"]
    status = subprocess.run(["setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups", PYTHON,
                             str(TOP / "rw.py"), str(TOP / "sbx"), "--roots=%s" % (TOP / "roots"), *more],
                            cwd="/", check=False).returncode
    if (TOP / "roots" / "file").read_text() != "root's" or os.listdir(TOP / "roots") != ["file"]:
        print("FAILED: what is root's was changed")
        status = 1
    shutil.rmtree(TOP)
    sys.exit(status)
bad = []


def check(what, ok, more=""):
    if not ok:
        bad.append(what)
        print("FAILED: %s %s" % (what, more), flush=True)


def sbx(share, *argv, **kw):
    """A sandbox that has share at /share, and the test's programs."""
    cmd = [SBX, "run", "--bind", "%s:/share:rw" % share, "--bind", "%s:/rw:ro" % (HERE / "rw")]
    return subprocess.Popen([*cmd, *kw.pop("options", ()), *argv], cwd="/", stdout=subprocess.PIPE,
                            text=True, **kw)


def native(*argv):
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def side(where, share, *args):
    """rw/side.py inside or natively."""
    if where == "inside":
        return sbx(share, PYTHON, "/rw/side.py", "/share", *args)
    return native(PYTHON, str(HERE / "rw" / "side.py"), str(share), *args)


def state(top):
    out = {}
    for base, dirs, files in os.walk(top):
        for name in dirs + files:
            p = os.path.join(base, name)
            st = os.lstat(p)
            what = os.readlink(p) if os.path.islink(p) else ""
            if os.path.isfile(p) and not os.path.islink(p) and os.access(p, os.R_OK):
                what = pathlib.Path(p).read_bytes()
            attrs = [] if os.path.islink(p) else sorted(
                (a, os.getxattr(p, a)) for a in os.listxattr(p) if a.startswith("user."))
            out[os.path.relpath(p, top)] = (oct(st.st_mode), st.st_uid, st.st_gid, st.st_nlink * (not os.path.isdir(p)),
                                            what, attrs)
    return out


def test_steps():
    """Every operation, natively and inside."""
    outs = []
    for where in "native", "inside":
        d = TOP / ("steps-" + where)
        d.mkdir()
        if where == "inside":
            p = sbx(d, PYTHON, "/rw/steps.py", "/share")
        else:
            p = native(PYTHON, str(HERE / "rw" / "steps.py"), str(d))
        out, _ = p.communicate(timeout=120)
        outs.append(out)
        check("steps %s end well" % where, p.returncode == 0, out[-2000:])
    if outs[0] != outs[1]:
        for a, b in zip(outs[0].splitlines(), outs[1].splitlines()):
            if a != b:
                check("steps are the same", False, "\n  native: %s\n  inside: %s" % (a, b))
    a, b = state(TOP / "steps-native"), state(TOP / "steps-inside")
    for name in sorted(set(a) | set(b)):
        check("host state of " + name, a.get(name) == b.get(name), "%s %s" % (a.get(name), b.get(name)))


def expect(p, word):
    line = p.stdout.readline()
    check("%s says %s" % (p.args[-3:], word), line.strip() == word, repr(line))


def end(p, status=0):
    if p.stdin:
        p.stdin.close()
        p.stdin = None
    out, _ = p.communicate(timeout=60)
    check("%s ends with %d" % (p.args[-4:], status), p.returncode == status, "%s %s" % (p.returncode, out))
    return out


def test_seen_at_once():
    d = TOP / "seen"
    d.mkdir()
    p = sbx(d, PYTHON, "/rw/side.py", "/share", "answer", stdin=subprocess.PIPE)

    def ask(line):
        p.stdin.write(line + "\n")
        p.stdin.flush()
        return p.stdout.readline().strip()

    expect(p, "ready")
    check("not there", ask("stat f") == "ENOENT")
    (d / "f").write_text("one")
    check("a new name shows at once", ask("stat f") == "3")
    (d / "f").write_text("longer")
    check("a size shows at once", ask("stat f") == "6")
    check("content shows at once", ask("read f") == "longer")
    (d / "g").write_text("other")
    os.rename(d / "g", d / "f")
    check("another file of the name shows at once", ask("read f") == "other")
    os.unlink(d / "f")
    check("a name that went shows at once", ask("stat f") == "ENOENT")
    (d / "a" / "b").mkdir(parents=True)
    (d / "a" / "b" / "c").write_text("deep")
    check("deep", ask("read a/b/c") == "deep")
    os.rename(d / "a", d / "z")
    check("a directory moved", ask("read z/b/c") == "deep" and ask("stat a/b/c") == "ENOENT")
    check("cwd in it", ask("chdir z/b") == "ok" and ask("read c") == "deep")
    os.rename(d / "z", d / "y")
    check("cwd that the host moved", ask("read c") == "deep")
    check("written by a name in it", ask("write c new") == "ok" and (d / "y/b/c").read_text() == "new")
    os.symlink("/etc/passwd", d / "out")
    check("a link out leads to what is inside", ask("chdir /share") == "ok" and ask("read out") == ask("read /etc/passwd"))
    end(p)


def test_one_file():
    d = TOP / "one"
    d.mkdir()
    (d / "f").write_text("x")
    (d / "other").write_text("secret")
    p = subprocess.run([SBX, "run", "--bind", "%s:/f:rw" % (d / "f"), "sh", "-c", "echo y >> /f; cat /f"],
                       cwd="/", capture_output=True, text=True, check=False)
    check("one file", p.stdout == "xy\n" and (d / "f").read_text() == "xy\n", p.stdout + p.stderr)
    check("and no other", (d / "other").read_text() == "secret" and sorted(os.listdir(d)) == ["f", "other"])


def test_lease():
    """A lease would be broken by an open of the host's, of which nobody tells: there is none."""
    d = TOP / "lease"
    d.mkdir()
    (d / "f").touch()
    p = subprocess.run([SBX, "run", "--bind", "%s:/share:rw" % d, PYTHON, "-c", "import fcntl\n"
                        "fcntl.fcntl(open('/share/f'), fcntl.F_SETLEASE, fcntl.F_RDLCK)"], cwd="/", capture_output=True,
                       text=True, check=False)
    check("no lease", "Invalid argument" in p.stderr, p.stderr)


def test_refused():
    """What would harm the host's users; what the caller may not do."""
    d = TOP / "refused"
    d.mkdir()
    (d / "suid").write_text("old")
    (d / "suid").chmod(0o4755)
    p = sbx(d, "sh", "-c", "cd /share; echo a > f; chmod u+s f && echo BAD; chmod g+s f && echo BAD;"
            "mknod c c 1 3 && echo BAD; mknod b b 7 0 && echo BAD; echo new >> suid; echo done")
    out = end(p)
    check("set-id and devices are refused", "BAD" not in out and out.endswith("done\n"), out)
    check("nothing of it is there", sorted(os.listdir(d)) == ["f", "suid"] and (d / "f").stat().st_mode & 0o7777 == 0o644)
    check("written to, no set-id", (d / "suid").stat().st_mode & 0o7777 == 0o755 and
          (d / "suid").read_text() == "oldnew\n", oct((d / "suid").stat().st_mode))
    roots = [a[8:] for a in sys.argv if a.startswith("--roots=")]
    if roots:
        p = sbx(roots[0], "sh", "-c", "echo x > /share/new && echo BAD; echo x >> /share/file && echo BAD;"
                "rm -f /share/file && echo BAD; chmod 777 /share/file && echo BAD; echo done", stderr=subprocess.DEVNULL)
        out = end(p)
        check("as the caller may", "BAD" not in out and out.endswith("done\n"), out)


def test_locks():
    for kind in "flock", "posix", "ofd":
        for a, b in (("inside", "inside"), ("inside", "native"), ("native", "inside")):
            d = TOP / ("lock-%s-%s-%s" % (kind, a, b))
            d.mkdir()
            p = side(a, d, "hold", kind)
            expect(p, "held")
            q = side(b, d, "try", kind)
            check("%s: %s keeps out %s" % (kind, a, b), end(q).strip() == "EAGAIN")
            q = side(b, d, "wait", kind)
            time.sleep(0.7)
            check("%s: %s waits for %s" % (kind, b, a), q.poll() is None)
            (d / "go").touch()
            check("%s: %s gets it from %s" % (kind, b, a), end(q).strip() == "held")
            end(p)
            q = side(b, d, "try", kind)
            check("%s: free afterwards" % kind, end(q).strip() == "held")
    d = TOP / "lock-killed"
    d.mkdir()
    p = side("inside", d, "hold", "posix")
    expect(p, "held")
    p.kill()
    p.wait()
    end(side("native", d, "wait", "posix"))
    q = side("native", d, "try", "posix")
    check("a killed sandbox holds none", end(q).strip() == "held")


def test_inotify():
    d = TOP / "inotify"
    d.mkdir()
    p = side("inside", d, "watch")
    expect(p, "ready")
    (d / "f").write_text("x")
    os.rename(d / "f", d / "g")
    os.unlink(d / "g")
    (d / "stop").touch()
    out = end(p).split()
    check("inotify tells of the host", out[:6] == ["CREATE:f", "OPEN:f", "MODIFY:f", "CLOSE_WRITE:f", "MOVED_FROM:f",
                                                  "MOVED_TO:g"] and "DELETE:g" in out, out)


def test_sqlite():
    if not shutil.which("sqlite3"):
        print("no sqlite3 here: not tried")
        return
    for mode in "delete", "wal":
        d = TOP / ("sqlite-" + mode)
        d.mkdir()
        subprocess.run(["sqlite3", str(d / "db"), "pragma journal_mode=%s; create table t(who, n);" % mode],
                       check=True, capture_output=True)
        script = ("i=0; while [ $i -lt 40 ]; do sqlite3 -cmd '.timeout 60000' \"$1/db\" "
                  "\"begin immediate; insert into t select '$2', count(*) from t; commit;\" || exit 1; i=$((i+1)); done")
        ps = [sbx(d, "sh", "-c", script, "sh", "/share", "one"), sbx(d, "sh", "-c", script, "sh", "/share", "two"),
              native("sh", "-c", script, "sh", str(d), "native")]
        for p in ps:
            end(p)
        out = subprocess.run(["sqlite3", str(d / "db"), "pragma integrity_check; select count(*), count(distinct n) from t;"],
                             check=True, capture_output=True, text=True).stdout
        check("sqlite in mode %s: two sandboxes and the host" % mode, out == "ok\n120|120\n", out)


def test_programs():
    """A program that lies there runs; one without write permission is no obstacle to reading."""
    d = TOP / "programs"
    d.mkdir()
    shutil.copy("/bin/true", d / "prog")
    shutil.copy("/bin/echo", d / "echo")
    check("run from there", end(sbx(d, "sh", "-c", "/share/prog && cd /share && ./echo yes && cp echo e2 && ./e2 two && rm e2"))
          == "yes\ntwo\n")


def test_file_limit():
    """The caller's RLIMIT_FSIZE is an error inside, and no end of a process of ours. (With less than
    some 2 MB no sandbox starts: its memory files are files too.)"""
    d = TOP / "fsize"
    d.mkdir()
    script = "import os,signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" \
        "f=os.open('/share/f', os.O_CREAT|os.O_RDWR)\n" \
        "for g in (lambda: os.ftruncate(f, 99999999), lambda: os.pwrite(f, b'x', 99999999), lambda: os.truncate('/share/f', 99999999)):\n" \
        "    try:\n        g(); print('ok')\n    except OSError as e:\n        print(e.errno)"
    p = subprocess.run(["sh", "-c", 'ulimit -f 20000; exec "$@"', "sh", SBX, "run", "--bind", "%s:/share:rw" % d,
                        PYTHON, "-c", script], cwd="/", capture_output=True, text=True, check=False)
    check("RLIMIT_FSIZE", p.stdout == "27\n27\n27\n", p.stdout + p.stderr)


def test_made_and_removed():
    """A name that others make and remove all the time: open with O_CREAT never fails."""
    d = TOP / "made"
    d.mkdir()
    ps = [side(where, d, "make") for where in ("inside", "native", "inside")]
    for p in ps:
        check("made and removed", end(p).strip() == "ok")


def test_first():
    """A name is made once with O_EXCL, whoever asks."""
    d = TOP / "excl"
    d.mkdir()
    ps = [side(where, d, "excl") for where in ("inside", "native", "inside")]
    made = [int(end(p)) for p in ps]
    check("O_EXCL", sum(made) == 300, made)


def test_maps():
    """MAP_SHARED is one memory for both sides, and their locks keep them apart."""
    d = TOP / "maps"
    d.mkdir()
    (d / "map").write_bytes(bytes(4096))
    for p in [side(where, d, "map") for where in ("inside", "native", "inside")]:
        end(p)
    n = int.from_bytes((d / "map").read_bytes()[:8], "little")
    check("shared maps", n == 1500, n)


def test_errors():
    """ENOSPC, EDQUOT and EROFS are the host's, inside as natively."""
    if os.geteuid() != 0:
        print("not root: no file system of its own to fill, errors of the host's not tried")
        return
    for what, opts in ("small", "-osize=256k"), ("quota", "-osize=4m,usrquota,usrquota_block_hardlimit=256k"), ("ro", ""):
        d, said = TOP / ("errors-" + what), []
        d.mkdir()
        for where in "native", "inside":
            # A mount namespace of its own: nothing is left of it.
            first = "mount -t tmpfs %s errors %s || exit 77; echo x > %s/have" % (opts, d, d)
            if what == "ro":
                first += "; mount -o remount,ro %s" % d
            if what == "quota": # root has none: who is limited owns what it writes to
                first += "; chown -R 54321:54321 %s" % d
            run = "python3 %s/rw/side.py %s full" % (HERE, d)
            if where == "inside":
                run = "%s run --bind %s:/share:rw --bind %s/rw:/rw:ro %s /rw/side.py /share full" % (SBX, d, HERE, PYTHON)
            if what == "quota":
                run = "setpriv --reuid 54321 --regid 54321 --clear-groups " + run
            p = subprocess.run(["unshare", "-m", "sh", "-c", first + "; " + run], cwd="/", capture_output=True,
                               text=True, check=False)
            if p.returncode == 77:
                print("no %s file system here: not tried (%s)" % (what, p.stderr.strip()))
                break
            said.append(p.stdout or p.stderr)
        check("errors of a %s file system" % what, len(set(said)) <= 1, said)
        if said and what != "quota":
            check("and which", said[0].startswith({"small": "ENOSPC", "ro": "EROFS"}[what]), said)


def test_git_and_make():
    """A repository and a build, of which the host then goes on."""
    if not shutil.which("git") or not shutil.which("make") or not shutil.which("cc"):
        print("no git, make or cc here: not tried")
        return
    d = TOP / "git"
    d.mkdir()
    (d / "one.c").write_text("int two(void); int main(void) { return two(); }\n")
    (d / "two.c").write_text("int two(void) { return 0; }\n")
    (d / "Makefile").write_text("prog: one.o two.o\n\tcc -o $@ $^\n%.o: %.c\n\tcc -c -o $@ $<\n")
    git = "git -c user.name=a -c user.email=a@b -c safe.directory='*' "
    end(sbx(d, "sh", "-ec", "cd /share; make -s; ./prog; " + git + "init -q .; printf '*.o\nprog\n' > .gitignore;" +
            git + "add .; " + git + "commit -qm first; " + git + "fsck --strict --no-progress"))
    out = subprocess.run(["sh", "-ec", "cd %s; ./prog; make -q; %s status --porcelain; %s log --format=%%s; touch two.c; make -s; "
                          "echo // >> one.c; %s commit -qam second" % (d, git, git, git)], capture_output=True, text=True,
                         check=False)
    check("the host goes on with it", out.returncode == 0 and out.stdout == "first\n", out)
    out = end(sbx(d, "sh", "-ec", "cd /share; " + git + "log --format=%s; " + git + "status --porcelain; " + git +
                  "gc -q --prune=now; " + git + "fsck --strict --no-progress; make -s; ./prog; make -q; echo built"))
    check("and the sandbox then", out == "second\nfirst\nbuilt\n", out)
    for line in ("one.o", "prog", ".git/HEAD"):
        st = (d / line).stat()
        check("owner of " + line, (st.st_uid, st.st_gid) == (os.geteuid(), os.getegid()), st)


def kill_one(p):
    """One of the sandbox's processes, or the front end."""
    os.kill(random.choice([*procs.children(p.pid), p.pid]), signal.SIGKILL)


def test_killed():
    d = TOP / "killed"
    d.mkdir()
    for _ in range(12):
        for f in d.iterdir():
            f.unlink()
        p = side("inside", d, "journal")
        expect(p, "ready")
        time.sleep(random.random() * 0.3)
        try:
            kill_one(p)
        except (ProcessLookupError, FileNotFoundError):
            pass
        said = [line for line in p.communicate(timeout=60)[0].split("\n") if line.startswith("synced ") and line.endswith(".")]
        last = int(said[-1][7:-1]) if said else -1
        have = (d / "log").read_bytes()
        check("what was fsynced is there", all(have[i * 8:i * 8 + 8] == b"%07d\n" % i for i in range(last + 1)),
              "%d %d" % (last, len(have)))
    check("nothing else is left", sorted(os.listdir(d)) == ["log"], os.listdir(d))


def main():
    tests = [f for name, f in sorted(globals().items()) if name.startswith("test_")]
    only = [a for a in sys.argv[2:] if a and a[0] != "-"] # CMake gives an empty one
    chosen = [f for f in tests if not only or f.__name__[5:] in only]
    check("there is such a test", chosen)
    try:
        for f in chosen:
            f()
    finally:
        shutil.rmtree(TOP, ignore_errors=True)
    print("%d failed" % len(bad) if bad else "rw: all well")
    return 1 if bad else 0


sys.exit(main())
