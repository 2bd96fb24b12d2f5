#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
podman.py SBX [rootless]: podman with folders of its own, by runc and by sbx; they must say the same.
rootless: as an ordinary user with a range of ids, who is there in this test's mount namespace alone.
"""
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

from bundle import RANGE, USER, add_user, alone, compare, rootfs, skip

LIMITS = ["--ulimit=nofile=100:100", "--ulimit=nproc=500:500"]  # its defaults are more than some hosts let runc set


class Podman:
    def __init__(self, sbx, rootless):
        self.top = tempfile.mkdtemp(prefix="podman-")
        self.rootless = rootless
        self.env = dict(os.environ)
        runtime = os.path.join(self.top, "sbx-oci")
        if rootless: # who may not be able to reach what was built
            shutil.copy(sbx, runtime)
        else:
            os.symlink(os.path.realpath(sbx), runtime)
        self.runtimes = {"runc": shutil.which("runc"), "sbx": runtime}
        self.base = ["podman", "--root", self.top + "/s", "--runroot", self.top + "/r", "--tmpdir", self.top + "/t", "--storage-driver=vfs",
                     "--cgroup-manager=cgroupfs", "--events-backend=none"]
        if rootless:
            os.chmod(self.top, 0o755)
            add_user(self.top)
            self.prepare()
            home = self.top + "/home"
            self.env = {"PATH": os.environ["PATH"], "HOME": home, "XDG_RUNTIME_DIR": self.top + "/run"}
            self.base = ["setpriv", "--reuid=%d" % USER, "--regid=%d" % USER, "--clear-groups", "podman", "--root", home + "/s",
                         "--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none"]

    def prepare(self):
        """Folders of his, and a device that he may open."""
        top = self.top
        if os.path.exists("/dev/net/tun"):
            os.mknod(top + "/tun", 0o600 | stat.S_IFCHR, os.makedev(10, 200))
            os.chmod(top + "/tun", 0o666)
            subprocess.run(["mount", "--bind", top + "/tun", "/dev/net/tun"], check=True)
        for d in ("home", "run"):
            os.mkdir("%s/%s" % (top, d), 0o700)
            os.chown("%s/%s" % (top, d), USER, USER)

    def __call__(self, rt, *args, **more):
        more.setdefault("stdin", subprocess.DEVNULL)
        if "input" in more:
            more.pop("stdin")
        r = subprocess.run([*self.base, "--runtime", self.runtimes[rt], *args], capture_output=True, text=True, timeout=120,
                           env=self.env, cwd=self.top, **more)
        r.stdout, r.stderr = (re.sub(r"\b[0-9a-f]{64}\b", "ID", t) for t in (r.stdout, r.stderr))
        r.stderr = re.sub(r"Error: \S+: .*?(exec:)", r"Error: \1", r.stderr)
        return r

    def end(self):
        self("sbx", "rm", "-af", "-t", "0")
        if self.rootless: # the process that keeps podman's namespaces
            pid = self.top + "/run/libpod/tmp/pause.pid"
            if os.path.exists(pid):
                os.kill(int(open(pid).read()), signal.SIGKILL)
            for at in ("/dev/net/tun", "/etc/passwd", "/etc/group", "/etc/subuid", "/etc/subgid"):
                subprocess.run(["umount", at], stderr=subprocess.DEVNULL)
        for line in sorted(open("/proc/mounts").read().splitlines(), reverse=True):
            at = line.split()[1]
            if at.startswith(self.top + "/"):
                subprocess.run(["umount", "-l", at])
        shutil.rmtree(self.top, ignore_errors=True)


def answers(podman, rt):
    run = ("run", "--rm", "--network=none", *LIMITS)
    vol = "%s/vol-%s" % (podman.top, rt)
    os.makedirs(vol)
    if podman.rootless:
        os.chown(vol, USER, USER)
    with open(vol + "/f", "w") as f:
        f.write("host\n")
    out = {}

    def ask(name, *args, **more):
        r = podman(rt, *args, **more)
        out[name] = (r.returncode, r.stdout, r.stderr)
    ask("hi", *run, "box", "sh", "-c", "echo hi; echo err >&2; exit 3")
    ask("-i", *run, "-i", "box", "cat", input="piped\n")
    ask("missing", *run, "box", "nonsense")
    ask("not executable", *run, "box", "/etc/passwd")
    ask("-u -w", *run, "-u", "1000:5", "-w", "/tmp", "box", "sh", "-c", "id -u; id -g; pwd; umask")
    ask("-v", *run, "-v", vol + ":/v", "box", "sh", "-c", "cat /v/f; echo in >/v/g")
    ask("-v ro", *run, "-v", vol + ":/v:ro", "box", "sh", "-c", "echo x 2>/dev/null >/v/h || echo refused")
    ask("--tmpfs", *run, "--tmpfs", "/etc", "box", "sh", "-c", "cat /etc/passwd | wc -l; touch /etc/x && echo ok")
    ask("--read-only", *run, "--read-only", "box", "sh", "-c", "touch /x 2>/dev/null || echo refused; touch /tmp/x && echo tmp")
    ask("caps", *run, "box", "grep", "CapEff", "/proc/self/status")
    ask("--ulimit", *run, "box", "sh", "-c", "ulimit -n")
    if podman.rootless:
        ask("maps", *run, "box", "cat", "/proc/self/uid_map", "/proc/self/gid_map")
        ask("owner", *run, "-v", vol + ":/v", "box", "sh", "-c", "touch /v/mine; chown 5:6 /v/mine; stat -c '%u %g' /v/f /v/mine")
        st = os.stat(vol + "/mine")
        out["owner outside"] = (st.st_uid - RANGE, st.st_gid - RANGE)
        ask("keep-id", *run, "--userns=keep-id", "-v", vol + ":/v", "box", "sh", "-c",
            "id -u; cat /proc/self/uid_map; touch /v/kept; stat -c '%u' /v/kept")
        out["not mapped"] = podman(rt, *run, "-u", "70000", "box", "id").returncode
        out["kept outside"] = os.stat(vol + "/kept").st_uid
        ask("--memory", *run, "--memory=64m", "box", "echo", "runs")
        if os.path.exists("/dev/net/tun") and shutil.which("slirp4netns"):
            ask("slirp4netns", "run", "--rm", *LIMITS, "box", "sh", "-c", "ip -4 addr show tap0 | grep inet; head -1 /etc/resolv.conf")
        else:
            print("not asked: slirp4netns, which is not here or has no /dev/net/tun")
    ident = "c-" + rt
    r = podman(rt, "run", "-d", "--name", ident, "--network=none", *LIMITS, "box", "sh", "-c", "trap 'exit 6' TERM; echo line; while :; do sleep 0.1; done")
    out["-d"] = (r.returncode, r.stderr)
    time.sleep(0.3)
    ask("exec", "exec", ident, "sh", "-c", "echo in; exit 5")
    ask("exec -i", "exec", "-i", ident, "cat", input="through\n")
    out["exec missing"] = podman(rt, "exec", ident, "nonsense").returncode
    ask("logs", "logs", ident)
    podman(rt, "exec", ident, "touch", "/made")
    out["diff"] = sorted(podman(rt, "diff", ident).stdout.split("\n"))
    out["pause"] = podman(rt, "pause", ident).returncode
    out["unpause"] = podman(rt, "unpause", ident).returncode
    out["stop"] = podman(rt, "stop", ident).returncode
    ask("stopped", "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", ident)
    out["start"] = podman(rt, "start", ident).returncode
    out["rm -f"] = podman(rt, "rm", "-f", "-t", "0", ident).returncode
    ask("left", "ps", "-aq")
    return out


def main():
    rootless = "rootless" in sys.argv
    if os.geteuid() != 0:
        skip("this test is started as root: it makes users and mounts")
    for need in ("podman", "conmon", "runc", *(("setpriv", "newuidmap", "unshare") if rootless else ())):
        if not shutil.which(need):
            skip(need + " is not installed")
    if rootless:
        alone()
    podman = Podman(sys.argv[1], rootless)
    try:
        tree = rootfs(podman.top + "/tree")
        tar = podman.top + "/tree.tar"
        subprocess.run(["tar", "-C", tree, "-cf", tar, "."], check=True)
        os.chmod(tar, 0o644)
        r = podman("runc", "import", tar, "box")
        if r.returncode != 0:
            skip("podman import: %s" % r.stderr)
        same = compare(answers(podman, "runc"), answers(podman, "sbx"))
    finally:
        podman.end()
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
