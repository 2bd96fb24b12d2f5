# SPDX-License-Identifier: Apache-2.0
"""A busybox tree, bundles of it, and the runtime called as its callers do."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

NAMES = "sh ls cat echo id env pwd sleep true false ps kill mkdir rm touch stat mount umount hostname uname grep head tail wc dd \
sync chmod chown ln readlink test printf seq tty stty su date sort cut tr free nproc ip nc df find mknod cp mv wget ping chroot sed".split()


def skip(why):
    print("skipped: " + why)
    sys.exit(77)


def rootfs(path):
    """busybox, its libraries and a few files of /etc."""
    busybox = shutil.which("busybox")
    if not busybox:
        skip("busybox is not installed")
    for d in "bin dev etc lib lib64 proc root run sys tmp var home".split():
        os.makedirs(os.path.join(path, d))
    os.chmod(os.path.join(path, "tmp"), 0o1777)
    shutil.copy(busybox, os.path.join(path, "bin/busybox"))
    libs = subprocess.run(["ldd", busybox], capture_output=True, text=True).stdout
    for lib in re.findall(r"(/[^ ]+) \(0x", libs):
        os.makedirs(path + os.path.dirname(lib), exist_ok=True)
        shutil.copy(os.path.realpath(lib), path + lib)
    for n in NAMES:
        os.symlink("busybox", os.path.join(path, "bin", n))
    with open(os.path.join(path, "etc/passwd"), "w") as f:
        f.write("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home:/bin/sh\n")
    with open(os.path.join(path, "etc/group"), "w") as f:
        f.write("root:x:0:\nuser:x:1000:\n")
    return path


def alone():
    """Once more in a mount namespace of its own."""
    if "SBX_ALONE" not in os.environ:
        os.environ["SBX_ALONE"] = "1"
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, "-B", *sys.argv])


USER, RANGE = 54321, 1700000000


def add_user(top):
    """Files of /etc that know a user with a range of ids, for us and what we start: see alone()."""
    lines = {"passwd": "sbxtest:x:%d:%d::%s/home:/bin/sh\n" % (USER, USER, top), "group": "sbxtest:x:%d:\n" % USER,
             "subuid": "sbxtest:%d:65536\n" % RANGE, "subgid": "sbxtest:%d:65536\n" % RANGE}
    for name, line in lines.items():
        if not os.path.exists("/etc/" + name):
            skip("there is no /etc/" + name)
        with open("/etc/" + name) as f:
            text = f.read()
        with open("%s/%s" % (top, name), "w") as f:
            f.write(text + line)
        subprocess.run(["mount", "--bind", "%s/%s" % (top, name), "/etc/" + name], check=True)


class World:
    """One folder with a rootfs, a root of states, and what was started, which goes at the end."""

    def __init__(self, runtime):
        self.top = tempfile.mkdtemp(prefix="oci-")
        self.runtime = os.path.join(self.top, "sbx-oci")
        os.symlink(os.path.realpath(runtime), self.runtime)
        self.states = os.path.join(self.top, "states")
        self.tree = rootfs(os.path.join(self.top, "tree"))
        self.n = 0
        self.bad = []
        self.ids = []

    def check(self, what, ok, more=""):
        if not ok:
            self.bad.append(what)
            print("FAILED: %s %s" % (what, more), flush=True)

    def oci(self, *args, options=(), **more):
        more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("timeout", 60)
        if "input" in more:
            more.pop("stdin")
        return subprocess.run([self.runtime, "--root", self.states, *options, *args], capture_output=True, text=True, **more)

    def spec(self, *args, **change):
        """The example of `spec`, with that program; keys with two underscores reach into members."""
        empty = os.path.join(self.top, "empty%d" % self.n)
        os.makedirs(empty, exist_ok=True)
        if not os.path.exists(os.path.join(empty, "config.json")):
            subprocess.run([self.runtime, "spec", "--bundle", empty], check=True)
        with open(os.path.join(empty, "config.json")) as f:
            spec = json.load(f)
        spec["process"]["terminal"] = False
        spec["process"]["args"] = list(args) or ["true"]
        spec["root"]["readonly"] = False
        for key, value in change.items():
            at = spec
            *way, last = key.split("__")
            for k in way:
                at = at.setdefault(k, {})
            at[last] = value
        return spec

    def bundle(self, spec, own=False):
        """A bundle of it; own: with a rootfs that nobody else has."""
        self.n += 1
        path = os.path.join(self.top, "b%d" % self.n)
        os.makedirs(path)
        if own:
            shutil.copytree(self.tree, os.path.join(path, "rootfs"), symlinks=True)
        elif isinstance(spec, dict):
            spec["root"]["path"] = self.tree
        with open(os.path.join(path, "config.json"), "w") as f:
            f.write(spec if isinstance(spec, str) else json.dumps(spec))
        return path

    def id(self):
        self.n += 1
        self.ids.append("t%d-%d" % (os.getpid(), self.n))
        return self.ids[-1]

    def run(self, *args, own=False, **change):
        """`run` of a program: its result."""
        return self.oci("run", "--bundle", self.bundle(self.spec(*args, **change), own), self.id())

    def create(self, *args, own=False, stdout=None, **change):
        """`create` with files for its streams, since who waits for its pipes waits for the container's."""
        ident = self.id()
        path = self.bundle(self.spec(*args, **change), own)
        with open(os.path.join(path, "out"), "w") as out:
            r = subprocess.run([self.runtime, "--root", self.states, "create", "--bundle", path, "--pid-file", path + "/pid", ident],
                               stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=60)
        return ident, path, r.returncode

    def state(self, ident):
        r = self.oci("state", ident)
        return json.loads(r.stdout) if r.returncode == 0 else {"status": "none"}

    def wait(self, ident, status, seconds=20):
        end = time.time() + seconds
        while time.time() < end:
            if self.state(ident)["status"] == status:
                return True
            time.sleep(0.02)
        return False

    def run_cases(self, cases, names, *args):
        """Those of the names, or all, and the end: the exit status."""
        try:
            for case in cases:
                if not names or case.__name__ in names:
                    case(*args)
        except subprocess.TimeoutExpired as e:
            self.check("timed out: %s" % " ".join(e.cmd), False)
        finally:
            status = self.end()
        return status

    def end(self):
        for ident in self.ids:
            self.oci("delete", "--force", ident)
        left = os.listdir(self.states) if os.path.isdir(self.states) else []
        self.check("no state is left", left == [], left)
        here = os.popen("grep -ls sbx/t%d- /proc/[0-9]*/cgroup 2>/dev/null" % os.getpid()).read().split()
        self.check("no process is left", here == [], here)
        for tree in ("memory", "pids", "unified", ""):
            base = os.path.join("/sys/fs/cgroup", tree, "sbx")
            groups = [g for g in os.listdir(base) if g.startswith("t%d-" % os.getpid())] if os.path.isdir(base) else []
            self.check("no cgroup is left", groups == [], groups)
        shutil.rmtree(self.top, ignore_errors=True)
        if self.bad:
            print("%d failed: %s" % (len(self.bad), ", ".join(self.bad)))
        return 1 if self.bad else 0


def compare(theirs, ours):
    """Prints which answers differ from runc's, with -v all of runc's, and the count; True: none differs."""
    bad = [name for name in theirs if theirs[name] != ours[name]]
    for name in bad:
        print("FAILED: %s\n  runc: %r\n  sbx:  %r" % (name, theirs[name], ours[name]))
    if "-v" in sys.argv:
        for name in theirs:
            print(name, theirs[name])
    print("%d of %d as with runc" % (len(theirs) - len(bad), len(theirs)))
    return not bad


def await_daemon(d, name, question, seconds):
    """Until d.daemon answers; else the test is skipped, with the last that it has logged."""
    for _ in range(4 * seconds):
        if d(question).returncode == 0:
            return
        if d.daemon.poll() is not None:
            break
        time.sleep(0.25)
    with open(d.top + "/log") as f:
        tail = f.read().splitlines()[-3:]
    d.stop()
    skip("%s does not start here: %s" % (name, tail))
