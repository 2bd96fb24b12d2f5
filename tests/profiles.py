#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""profiles.py SBX [--user]: --profile, .sbx.toml beside a script, --print-profile; what is no profile."""
import os
import pty
import select
import shutil
import subprocess

from everyday import check, finish, quiet, setup

SBX, TOP = setup(__file__)
HOME, WORK = TOP / "home", TOP / "work"
PROFILES = HOME / ".config/sbx"
PROFILES.mkdir(parents=True)
WORK.mkdir()
ENV = {"PATH": "/usr/bin:/bin", "HOME": str(HOME), "LC_ALL": "C.UTF-8"}
for name in ("SBX_WITHOUT", "SBX_UNFENCED"):
    if name in os.environ:
        ENV[name] = os.environ[name]
(TOP / "data").mkdir()
(TOP / "data/f").write_text("data\n")


def sbx(*args, cwd=WORK, **more):
    r = subprocess.run([SBX, *args], capture_output=True, text=True, env=ENV, cwd=cwd, timeout=60, stdin=subprocess.DEVNULL,
                       start_new_session=True, **more)
    r.stderr = quiet(r.stderr)
    return r


def profile(text, name="p"):
    (PROFILES / (name + ".toml")).write_text(text)


def refused(what, says, *args, **more):
    r = sbx("run", *args, **more)
    check(what, r.returncode == 125 and r.stdout == "" and r.stderr.count("\n") == 1 and r.stderr.startswith("sbx: ") and
          all(s in r.stderr for s in says), (says, r))


def own():
    profile('bind = ["%s/data:/data:ro"]\nenv = ["A=profile", "B=b"]\nhostname = "fromprofile"\npids = 20\nmemory = "300M"\ntimeout = 30\n' % TOP)
    r = sbx("run", "--profile", "p", "--", "sh", "-c", "cat /data/f; echo $A $B; hostname")
    check("a profile is in force", r.stdout == "data\nprofile b\nfromprofile\n" and r.returncode == 0, r)
    r = sbx("run", "--profile=p", "--hostname=line", "-e", "A=line", "--", "sh", "-c", "echo $A $B; hostname")
    check("the command line beats it", r.stdout == "line b\nline\n", r)
    r = sbx("run", "--profile=p", "--", "sh", "-c", "echo x >/data/f")
    check("read-only", r.returncode != 0 and (TOP / "data/f").read_text() == "data\n", r)
    r = sbx("run", "--profile", "p", "-m", "1G", "--print-profile")
    want = ['bind = ["%s/data:/data:ro"]' % TOP, 'env = ["A=profile", "B=b"]', 'hostname = "fromprofile"', 'timeout = "30s"',
            "memory = 1073741824", "pids = 20"]
    check("--print-profile", r.stdout.splitlines() == want and r.returncode == 0, r)
    (TOP / "again.toml").write_text(r.stdout)
    check("and what it prints is one", sbx("run", "--profile", str(TOP / "again.toml"), "--print-profile").stdout == r.stdout)
    profile('output = 5\ncpu-time = 2.5\nnet = "none"\nchanges = true\njson = true\ncwd = "/tmp"\ntmpfs = "/scratch"\ndiff = false\n')
    r = sbx("run", "--profile=p", "--print-profile")
    check("all kinds of values", r.stdout.splitlines() == ['tmpfs = ["/scratch"]', 'cwd = "/tmp"', 'cpu-time = "2.5s"', "output = 5", 'net = "none"',
                                                           "changes = true", "json = true"], r)
    r = sbx("run", "--profile=p", "--allow-net", "10.9.9.9", "--print-profile")
    check("the network: the command line's rules beat none", 'net' not in r.stdout.replace("allow-net", "") and "10.9.9.9" in r.stdout, r)
    profile('allow-net = ["10.9.9.9", "10.8.8.8"]\ndeny-net = "10.8.8.8:22"\n')
    r = sbx("run", "--profile=p", "--deny-net=10.9.9.9", "--print-profile")
    check("the network: what the command line denies", r.stdout.splitlines() == ['allow-net = ["10.8.8.8"]', 'deny-net = ["10.8.8.8:22", "10.9.9.9"]'], r)
    check("the network: none beats rules", sbx("run", "--profile=p", "--net=none", "true").returncode == 0)
    profile('env = ["Q=a\\"b\\\\c\\u0009\\u00e9"]\n')
    check("strings", sbx("run", "--profile=p", "--", "printenv", "Q").stdout == 'a"b\\c\té\n')
    r = sbx("run", "--profile=p", "--name=inspected", "--", "true")
    check("with a name", r.returncode == 0, r)


def wrong():
    p = str(PROFILES / "p.toml")
    for text, line, says in (
            ("pids = 5\nnosuch = 1\n", 2, "unknown key nosuch"), ("profile = 'x'\n", 1, "unknown key profile"), ("help = true\n", 1, "unknown key"),
            ("\n\nmemory = [1]\n", 3, "memory is a list; give a whole number or a string"), ("memory = 1.5\n", 1, "memory is a float"),
            ("memory = true\n", 1, "memory is a boolean"), ("memory = 'lots'\n", 1, "--memory lots: give a size"),
            ("env = 5\n", 1, "env is a integer; give a string, or a list"), ("env = [\n 'A=b',\n 5,\n]\n", 1, "env is a list"),
            ("bind = ['/tmp', 'x:y']\n", 1, "--bind x:y: give SRC"), ("diff = 'yes'\n", 1, "give true or false"),
            ("[memory]\nx = 1\n", 1, "memory is a table"), ("timeout = 1979-05-27\n", 1, "timeout is a date"), ("pids = 5\npids = 6\n", 2, ""),
            ("pids = \n", 1, ""), ("pids 5\n", 1, ""), ("a = 'x\n", 1, ""), ("\xff", 1, ""), ("x = '\x00'", 1, "NUL"), ('env = ["A=\\u0000"]', 1, "NUL"),
            ("allow-net = ['1.2.3.4', 'a.example']\nmemory = '1G'\ndeny-net = 'a.example'\n", 3, "and so does allow-net in line 1"),
            ("net = 'none'\npids = 5\nallow-net = '1.2.3.4'\n", 1, "allow-net in line 3"), ("net = 'host'\nallow-net = '1.2.3.4'\n", 1, "allow-net in line 2"),
            ("bind = ['/usr:/x']\ntmpfs = '/x'\n", 1, "line 2 shows something else at /x"), ("bind = ['/usr:/x',\n'/etc:/x']\n", 2, "line 1 shows"),
            ("require = 'nosuch'\n", 1, "unknown feature"), ("json = true\n", None, "give --changes with it"),
            ("x = " + "[" * 30000, None, ""), ("x = " + "[" * 300 + "]" * 300 + "\n", 1, "unknown key x"), ("a" * 70000, None, "longer than 64 KiB")):
        (PROFILES / "p.toml").write_bytes(text.encode("latin-1"))
        refused(repr(text[:60]), ["%s:%d: " % (p, line) if line else "", says], "--profile=p", "true")
    (PROFILES / "p.toml").unlink()
    refused("there is none", [p, "No such file"], "--profile=p", "true")
    (PROFILES / "d.toml").mkdir()
    refused("a directory", ["is no file"], "--profile=d", "true")
    os.mkfifo(PROFILES / "f.toml")
    refused("a FIFO", ["is no file"], "--profile=f", "true")
    profile("\x1b[31m = 1\n")
    r = sbx("run", "--profile=p", "true")
    check("what it says does nothing to a terminal", r.returncode == 125 and "\x1b" not in r.stderr, r)
    alone = TOP / "alone"
    alone.mkdir()
    shutil.copy(SBX, alone / "sbx")
    profile("pids = 5\n")
    r = subprocess.run([alone / "sbx", "run", "--profile=p", "true"], capture_output=True, text=True, env=ENV, check=False)
    check("without its reader", r.returncode == 125 and "sbx-toml" in r.stderr and quiet(r.stderr).count("\n") == 1, r)
    (alone / "sbx-toml").write_text("#!/bin/sh\necho '{\"keys\":[]}'\n")
    os.chmod(alone / "sbx-toml", 0o777)
    r = subprocess.run([alone / "sbx", "run", "--profile=p", "true"], capture_output=True, text=True, env=ENV, check=False)
    check("with one that anybody may write", r.returncode == 125 and "sbx-toml" in r.stderr, r)


def at_terminal(answer, *args):
    """Runs with a terminal, and answers what is asked there. Status and all that was shown."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(WORK)
        os.execve(SBX, [SBX, *args], ENV)
    shown, asked = b"", False
    while select.select([fd], [], [], 20)[0]:
        try:
            piece = os.read(fd, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if not asked and b"[y/N]" in shown:
            asked = True
            os.write(fd, answer)
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def beside():
    there = WORK / "proj"
    there.mkdir()
    (there / "s.sh").write_text("echo $A; cat /data/f\n")
    (there / "in").mkdir()
    (there / "in/f").write_text("beside\n")
    (there / ".sbx.toml").write_text('env = "A=author"\nbind = "in:/data:ro"\n')
    refused("without a terminal", ["proj/.sbx.toml", "--trust-profile", "--profile=none"], "proj/s.sh")
    status, shown = at_terminal(b"n\n", "run", "proj/s.sh")
    check("it is shown", 'env = "A=author"' in shown and 'bind = "in:/data:ro"' in shown, shown)
    check("no is no", status == 125 and "nothing was run" in shown and "author\r\n" not in shown.split("[y/N]")[1], shown)
    refused("and is not remembered", ["--trust-profile"], "proj/s.sh")
    status, shown = at_terminal(b"y\n", "run", "proj/s.sh")
    check("yes is yes", status == 0 and "author\r\nbeside\r\n" in shown, shown)
    r = sbx("run", "proj/s.sh")
    check("and is remembered", (r.returncode, r.stdout) == (0, "author\nbeside\n"), r)
    r = sbx("run", "s.sh", cwd=there)
    check("from its directory too", (r.returncode, r.stdout) == (0, "author\nbeside\n"), r)
    check("not for a command", sbx("run", "--", "sh", "-c", "echo [$A]", cwd=there).stdout == "[]\n")
    check("not for what lies in PATH", sbx("run", "sh", "-c", "echo [$A]", cwd=there).stdout == "[]\n")
    r = sbx("run", "--profile=none", "proj/s.sh")
    check("--profile=none", r.stdout == "\n" and r.returncode == 1, r)
    profile("env = 'A=mine'\n")
    check("--profile NAME takes its place", sbx("run", "--profile", "p", "proj/s.sh").stdout == "mine\n")
    kept = list((HOME / ".local/state/sbx/trusted").iterdir())
    check("what was accepted is kept whole", len(kept) == 1 and kept[0].read_bytes().endswith(b'"in:/data:ro"\n'), kept)
    (there / ".sbx.toml").write_text('env = "A=author"\nbind = "in:/data:rw"\n')
    refused("when it changes, it is asked again", ["--trust-profile"], "proj/s.sh")
    r = sbx("run", "--trust-profile", "proj/s.sh")
    check("--trust-profile", r.stdout == "author\nbeside\n", r)
    check("--trust-profile is remembered", sbx("run", "proj/s.sh").stdout == "author\nbeside\n")
    other = WORK / "other"
    shutil.copytree(there, other)
    refused("the same words elsewhere are other words", ["other/.sbx.toml"], "other/s.sh")
    for text, says in (('apply = "always"\n', "apply is not for a script's author"), ('save-changes = "x"\n', "not for a script's author"),
                       ('log = "/tmp/x"\n', "not for"), ('rootfs = "/"\n', "not for"), ('name = "x"\n', "unknown key name")):
        (other / ".sbx.toml").write_text(text)
        refused(text, [".sbx.toml:1: ", says], "--trust-profile", "other/s.sh")
    for target in ("../../home", "/", "../proj/in"):  # what is read as "in" is not what it leads to, now or later
        shutil.rmtree(other / "in", ignore_errors=True)
        (other / ".sbx.toml").write_text('bind = "in:/data:ro"\n')
        (other / "in").mkdir()
        (other / "in/f").write_text("theirs\n")
        r = sbx("run", "--trust-profile", "other/s.sh")
        check("before it is a link", r.stdout == "\ntheirs\n", r)
        shutil.rmtree(other / "in")
        os.symlink(target, other / "in")
        refused("a link to %s" % target, [".sbx.toml:1: ", "other/in is a symbolic link"], "other/s.sh")
        for path in ("in/f:/data/f", "%s/in:/data" % other, "in/../in:/data", "./in/:/data:rw", "../other/in/home:/data"):
            (other / ".sbx.toml").write_text('bind = "%s"\n' % path)
            refused("by a link: %s" % path, [".sbx.toml:1: ", "is a symbolic link"], "--trust-profile", "other/s.sh")
        (other / "in").unlink()
    (other / ".sbx.toml").write_text('# \x1b[2J\u202e\nenv = "A=x"\n')
    status, shown = at_terminal(b"n\n", "run", "other/s.sh")
    check("nothing in it acts on the terminal", "\x1b[2J" not in shown and "\u202e" not in shown and "\\x1b" in shown, shown)
    (other / ".sbx.toml").write_bytes(b'env = "A=x"\n\0bind = "/:/all"\n')
    refused("nothing hides behind a NUL", ["NUL"], "--trust-profile", "other/s.sh")


for part in (own, wrong, beside):
    part()
finish(TOP)
