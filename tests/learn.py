#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""learn.py SBX [--user]: what sbx learn proposes is what a program needs, and no more; a run with it works."""
import os
import socketserver
import subprocess
import threading

from everyday import check, finish, quiet, setup

SBX, TOP = setup(__file__)
HOME, WORK, DATA = TOP / "home", TOP / "work", TOP / "data"
for d in (HOME / ".ssh", HOME / "one", HOME / ".cache/tool", WORK, DATA / "many", DATA / "deep/er", DATA / "unused"):
    d.mkdir(parents=True)
ENV = {"PATH": "/usr/bin:/bin", "HOME": str(HOME), "LC_ALL": "C.UTF-8"}
for name in ("SBX_WITHOUT", "SBX_UNFENCED"):
    if name in os.environ:
        ENV[name] = os.environ[name]
(HOME / ".ssh/id").write_text("secret\n")
(HOME / "one/f").write_text("one\n")
(HOME / "top").write_text("top\n")
for i in range(5):
    (DATA / "many" / str(i)).write_text("%d\n" % i)
(DATA / "deep/er/single").write_text("single\n")
(DATA / "unused/u").write_text("u\n")
os.symlink("deep/er/single", DATA / "link")
PROFILE = TOP / "p.toml"


def sbx(*args, **more):
    r = subprocess.run([SBX, *args], capture_output=True, text=True, env=ENV, cwd=WORK, timeout=90, stdin=subprocess.DEVNULL, **more)
    r.stderr = quiet(r.stderr)
    return r


def learn(*command, options=(), undo=lambda: None):
    """The proposal's lines that are no comments, and its comments; it works, as natively."""
    native = subprocess.run(command, capture_output=True, text=True, env=ENV, cwd=WORK, check=False, stdin=subprocess.DEVNULL)
    undo()
    r = sbx("learn", "-o", str(PROFILE), *options, "--", *command)
    check("learn %s" % (command,), (r.returncode, r.stdout) == (native.returncode, native.stdout), (r, native))
    lines = PROFILE.read_text().splitlines()
    again = sbx("run", "--profile", str(PROFILE), "--", *command)
    check("run with it: %s" % (command,), (again.returncode, again.stdout) == (native.returncode, native.stdout), (again, native, lines))
    return [x for x in lines if x[:1] != "#"], [x for x in lines if x[:1] == "#"]


def files():
    d = str(DATA)
    got, notes = learn("sh", "-c", "echo nothing")
    check("nothing is needed", got == [] and notes[0].startswith("# Proposed by sbx learn sh -c"), (got, notes))
    got, _ = learn("cat", d + "/deep/er/single")
    check("one file", got == ['bind = ["%s/deep/er/single:ro"]' % d], got)
    got, _ = learn("cat", *("%s/many/%d" % (d, i) for i in range(5)))
    check("many are their directory", got == ['bind = ["%s/many:ro"]' % d], got)
    got, _ = learn("cat", d + "/link")
    check("through a link", got == ['bind = ["%s/deep/er/single:ro", "%s/link:ro"]' % (d, d)], got)
    for look in ["stat", "-c", "%s"], ["test", "-r"]:
        got, _ = learn(*look, d + "/deep/er/single")
        check("a file that is looked at", got == ['bind = ["%s/deep/er/single:ro"]' % d], got)
    got, _ = learn("ls", d + "/many")
    check("a directory that is listed", got == ['bind = ["%s/many:ro"]' % d], got)
    got, _ = learn("cat", str(HOME / "one/f"), str(HOME / "top"))
    check("of a home, files", got == ['bind = ["%s/one/f:ro", "%s/top:ro"]' % (HOME, HOME)], got)
    got, _ = learn("cat", d + "/many/1", options=("-e", "A=b", "-m", "1G"))
    check("options given are kept", got == ['bind = ["%s/many/1:ro"]' % d, 'env = ["A=b"]', "memory = 1073741824"], got)
    r = sbx("learn", "cat", d + "/many/1")
    check("to standard output", r.stdout.startswith("1\n# Proposed by") and "bind =" in r.stdout, r)
    r = sbx("learn", "cat", str(HOME / ".ssh/id"))
    check("credentials are not shown", r.returncode == 1 and "secret" not in r.stdout and ".ssh" not in r.stdout.split("cat")[-1].split("\n", 1)[1], r)
    os.symlink(HOME / ".ssh/id", DATA / "planted")
    os.symlink(HOME / ".ssh", DATA / "planted-dir")
    r = sbx("learn", "cat", d + "/planted", d + "/planted-dir/id", d + "/deep/er/single")
    check("nor by a link that was planted", r.returncode == 1 and "secret" not in r.stdout and
          not any("planted" in x or ".ssh" in x for x in r.stdout.splitlines() if x[:1] != "#"), r)
    (DATA / "planted").unlink()
    (DATA / "planted-dir").unlink()
    odd = str(DATA / 'x"]\nnet = "host"\nbind = ["')
    r = sbx("learn", "-o", str(PROFILE), "--", "python3", "-c", "import sys\nfor p in sys.argv[1:]:\n try: open(p)\n except OSError: pass",
            odd, odd + "\x1b[2J", d + "/many/1")
    lines = PROFILE.read_text().splitlines()
    check("a name does not write the profile", [x for x in lines if x[:1] != "#"] == ['bind = ["%s/many/1:ro"]' % d] and
          "\x1b" not in PROFILE.read_text(), lines)
    (DATA / "deep:/er").mkdir(parents=True)  # in a profile: SRC:DST
    (DATA / "deep:/er/single").write_text("another\n")
    r = sbx("learn", "cat", d + "/deep:/er/single")
    check("a name is not two", "bind" not in r.stdout.replace("binds", "") or "deep:" not in r.stdout.split("bind", 1)[1], r)
    r = sbx("learn", "ls", str(HOME))
    check("a home is not proposed", "bind" not in r.stdout and "not proposed" in r.stdout, r)


def writes():
    new = DATA / "deep/er/new"
    got, notes = learn("sh", "-c", "echo x >%s; cat %s" % (new, new), undo=new.unlink)
    check("where something is made", got == ['tmpfs = ["%s/deep/er"]' % DATA] and any("deep/er/new" in x for x in notes), (got, notes))
    got, _ = learn("sh", "-c", "cat %s/deep/er/single; echo x >%s; cat %s" % (DATA, new, new), undo=new.unlink)
    check("where something is made beside what is read", got == ['bind = ["%s/deep/er"]' % DATA], got)
    got, _ = learn("sh", "-c", "echo x >>%s/deep/er/single; echo done" % DATA)
    check("a file that is written", got == ['bind = ["%s/deep/er/single"]' % DATA], got)
    (DATA / "deep/er/single").write_text("single\n")
    got, notes = learn("sh", "-c", "echo x >made; cat made; rm made")
    check("here nothing is needed", got == [] and any("/made" in x for x in notes), (got, notes))
    r = sbx("learn", "sh", "-c", "echo changed >%s/many/1" % DATA)
    check("the host is as it was", (DATA / "many/1").read_text() == "1\n", r)


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.readline())


def network():
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    got, _ = learn("python3", "-c", "import socket\ns = socket.create_connection(('127.0.0.1', %d))\ns.sendall(b'hi\\n')\nprint(s.recv(9))" % port)
    check("who was connected to", got == ['allow-net = ["127.0.0.1:%d"]' % port], got)
    r = sbx("learn", "--net=none", "--", "python3", "-c", "import socket\nsocket.create_connection(('127.0.0.1', %d))" % port)
    check("--net=none is kept", r.returncode == 1 and 'net = "none"' in r.stdout and "allow-net" not in r.stdout, r)
    r = sbx("learn", "python3", "-c", "import socket\ns = socket.create_server(('', 38917))\nprint('up')")
    check("what was listened on", 'publish = ["38917:38917"]' in r.stdout, r)
    server.shutdown()


def bounded():
    for i in range(9000):
        (DATA / "unused" / ("f%d" % i)).touch()
    r = sbx("learn", "python3", "-c", "for i in range(9000): open('%s/unused/f%%d' %% i).close()" % DATA)
    check("there is a bound, and it is said", "There was more than can be recorded" in r.stdout and '%s/unused:ro"]' % DATA in r.stdout, r.stdout[:2000])


def wrong():
    for args, says in (((), "nothing to run"), (("-o",), "-o needs a file"), (("-o", "/nowhere/x", "true"), "No such file"),
                       (("--rootfs", "/", "true"), "leave --rootfs"), (("-d", "true"), "leave --rootfs and -d out")):
        r = sbx("learn", *args)
        check(str(args), r.returncode == 125 and says in r.stderr and r.stderr.count("\n") == 1 and r.stdout == "", r)
    r = sbx("learn", "sh", "-c", "exit 3")
    check("the status is the program's", r.returncode == 3, r)


for part in (files, writes, network, bounded, wrong):
    part()
finish(TOP)
