#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
docker.py SBX [remap]: under a dockerd of its own, each command by runc and by sbx; they must say the same. remap: with
--userns-remap, every container in a user namespace.
"""
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

from bundle import RANGE, add_user, alone, await_daemon, rootfs, skip

bad = []


class Docker:
    def __init__(self, sbx, more=None, remap=False):
        """more: commands of further runtimes, by name."""
        self.top = tempfile.mkdtemp(prefix="docker-")
        runtime = os.path.join(self.top, "sbx-oci")
        os.symlink(os.path.realpath(sbx), runtime)
        with open(self.top + "/daemon.json", "w") as f:
            others = {n: {"path": shutil.which(c[0]), "runtimeArgs": c[1:]} for n, c in (more or {}).items() if n != "runc"}
            json.dump({"runtimes": {"sbx": {"path": runtime}, **others}}, f)
        self.env = dict(os.environ, DOCKER_HOST="unix://%s/sock" % self.top, DOCKER_CONFIG=self.top + "/config")
        self.log = open(self.top + "/log", "w")
        # In a network of its own, where a bridge is nobody else's business.
        alone = ["unshare", "--net", "sh", "-c", "ip link set lo up && ip link add probe type bridge && ip link del probe"]
        self.bridge = bool(shutil.which("ip")) and subprocess.run(alone, capture_output=True).returncode == 0
        net = ["--bip=10.99.0.1/24"] if self.bridge else ["--bridge=none"]
        begin = ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"] if self.bridge else []
        self.remap = remap
        if remap:
            os.chmod(self.top, 0o755)
            add_user(self.top)
            net.append("--userns-remap=sbxtest")
        self.daemon = subprocess.Popen(
            [*begin, "dockerd", *net, "--config-file", self.top + "/daemon.json", "--data-root", self.top + "/data", "--exec-root", self.top + "/exec",
             "--pidfile", self.top + "/pid", "-H", "unix://%s/sock" % self.top, "--iptables=false", "--ip-forward=false",
             "--ip-masq=false"], stdout=self.log, stderr=self.log, env=dict(self.env, DOCKER_HOST=""))
        await_daemon(self, "dockerd", "info", 60)

    def __call__(self, *args, **more):
        more.setdefault("stdin", subprocess.DEVNULL)
        if "input" in more:
            more.pop("stdin")
        return subprocess.run(["docker", *args], capture_output=True, text=True, env=self.env, timeout=120, **more)

    def stop(self):
        if self.daemon.poll() is None:
            self.daemon.terminate()
            try:
                self.daemon.wait(30)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
        self.log.close()
        for name in ("passwd", "group", "subuid", "subgid") if self.remap else ():
            subprocess.run(["umount", "/etc/" + name], stderr=subprocess.DEVNULL)
        for line in sorted(open("/proc/mounts").read().splitlines(), reverse=True):
            at = line.split()[1]
            if at.startswith(self.top + "/"):
                subprocess.run(["umount", "-l", at])
        shutil.rmtree(self.top, ignore_errors=True)


def check(what, ok, more=""):
    if not ok:
        bad.append(what)
        print("FAILED: %s %s" % (what, more), flush=True)


def plain(text):
    """Without what differs from run to run."""
    text = re.sub(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b", "ID", text)
    text = re.sub(r"(docker: Error response from daemon|OCI runtime exec failed): .*?(exec:|chdir to|error mounting)", r"\1: \2", text)
    text = re.sub(r"error mounting .* (\S+ a directory: unknown)", r"error mounting \1", text)
    return text.replace("is a directory: permission denied", "permission denied")


def typed(docker, args, when, text):
    """docker with a terminal, text typed when that was printed: what it prints."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe("docker", ["docker", *args], docker.env)
    out, done = b"", False
    end = time.time() + 60
    while time.time() < end:
        if not select.select([fd], [], [], 1)[0]:
            continue
        try:
            got = os.read(fd, 4096)
        except OSError:
            break
        if not got:
            break
        out += got
        if not done and when in out:
            os.write(fd, text)
            done = True
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), out.decode().replace("\r", "")


def one_shot(docker, rt):
    """What one command each says: a table of answers."""
    run = ("run", "--rm", "--network=none", "--runtime=" + rt)
    vol = docker.top + "/vol-" + rt
    os.makedirs(vol, exist_ok=True)
    with open(vol + "/f", "w") as f:
        f.write("host\n")
    if docker.remap:
        os.chown(vol, RANGE, RANGE)
    out = {}

    def ask(name, *args, **more):
        r = docker(*args, **more)
        out[name] = (r.returncode, plain(r.stdout), plain(r.stderr))
    ask("hi", *run, "box", "sh", "-c", "echo hi; echo err >&2; exit 3")
    ask("-i", *run, "-i", "box", "cat", input="piped\n")
    ask("missing", *run, "box", "nonsense")
    ask("a directory", *run, "box", "/etc")
    ask("not executable", *run, "box", "/etc/passwd")
    ask("-w", *run, "-w", "/new/dir", "box", "pwd")
    ask("-u", *run, "-u", "1000:5", "box", "id", "-u")
    ask("-e, -h", *run, "-e", "A=b", "-h", "name", "box", "sh", "-c", "echo $A; hostname; cat /etc/hostname")
    ask("-v", *run, "-v", vol + ":/v", "box", "sh", "-c", "cat /v/f; echo in >/v/g")
    out["-v written"] = open(vol + "/g").read() if os.path.exists(vol + "/g") else None
    ask("-v ro", *run, "-v", vol + ":/v:ro", "box", "sh", "-c", "echo x >/v/h || echo refused")
    ask("file on dir", *run, "-v", vol + "/f:/etc", "box", "true")
    ask("maps", *run, "-v", vol + ":/v", "box", "sh", "-c", "cat /proc/self/uid_map; touch /v/mine; stat -c '%u %g' /v/mine")
    out["owner of a volume's file"] = os.stat(vol + "/mine").st_uid
    ask("--tmpfs", *run, "--tmpfs", "/t:size=1m,mode=700", "box", "stat", "-c", "%a", "/t")
    ask("--read-only", *run, "--read-only", "box", "sh", "-c", "touch /x 2>/dev/null || echo refused")
    ask("--ulimit", *run, "--ulimit", "nofile=100:200", "box", "sh", "-c", "ulimit -n; ulimit -Hn")
    ask("caps", *run, "box", "grep", "-E", "^Cap", "/proc/self/status")
    ask("--cap-drop", *run, "--cap-drop=ALL", "--cap-add=KILL", "box", "grep", "CapEff", "/proc/self/status")
    ask("sysctl", *run, "--sysctl", "net.ipv4.ip_unprivileged_port_start=80", "box", "echo", "ok")
    ask("--device", *run, "--device", "/dev/null:/dev/nothing", "box", "sh", "-c", "cat /dev/nothing; echo x >/dev/nothing && echo ok")
    ask("--pids-limit", *run, "--pids-limit", "20", "box", "sh", "-c",
        "(i=0; while [ $i -lt 40 ]; do sleep 2 & i=$((i+1)); done) 2>/no; read l </no; case $l in *fork*) echo full;; esac")
    ask("port of the host's", "run", "--rm", "--network=host", "--runtime=" + rt, "box", "sh", "-c",
        "(echo served | nc -l -p 18231 >/dev/null) & sleep 0.5; nc 127.0.0.1 18231 </dev/null")
    ask("--privileged", *run, "--privileged", "box", "echo", "ok")
    ask("no-new-privileges", *run, "--security-opt", "no-new-privileges", "box", "grep", "NoNewPrivs", "/proc/self/status")
    ask("-m 16m", *run, "-m", "16m", "box", "echo", "small")
    ask("masked", *run, "box", "sh", "-c", "cat /proc/kcore | wc -c; echo x >/proc/sys/kernel/domainname 2>/dev/null || echo fixed")
    ask("pid 1", *run, "box", "sh", "-c", "echo $$; trap 'exit 4' TERM; kill -TERM $$; sleep 5")
    r = docker("run", "-d", "--network=none", "--runtime=" + rt, "box", "sh", "-c", "echo line; echo other >&2; sleep 100")
    ident = r.stdout.strip()
    time.sleep(0.3)
    ask("logs", "logs", ident)
    ask("exec", "exec", ident, "sh", "-c", "echo in; exit 5")
    ask("exec -i", "exec", "-i", ident, "cat", input="through\n")
    ask("exec missing", "exec", ident, "nonsense")
    ask("exec -w missing", "exec", "-w", "/nowhere", ident, "true")
    ask("exec -u", "exec", "-u", "1000:1000", ident, "id", "-u")
    ask("pause", "pause", ident)
    ask("exec in paused", "exec", ident, "true")
    ask("unpause", "unpause", ident)
    ask("update", "update", "--memory", "64m", "--memory-swap", "128m", ident)
    top = docker("top", ident)
    out["top"] = (top.returncode, len(top.stdout.splitlines()) >= 2)
    s = json.loads(docker("inspect", ident).stdout)[0]["State"]
    out["inspect"] = (s["Status"], s["Pid"] > 0)
    docker("exec", ident, "sh", "-c", "echo made >/made")
    ask("diff", "diff", ident)
    ask("cp out", "cp", ident + ":/made", "-")
    out["cp out"] = out["cp out"][0]
    with open(docker.top + "/given", "w") as f:
        f.write("given\n")
    docker("cp", docker.top + "/given", ident + ":/given")
    ask("cp in", "exec", ident, "cat", "/given")
    ask("kill", "kill", ident)
    ask("wait", "wait", ident)
    ask("rm", "rm", ident)
    r = docker("run", "-d", "--network=none", "--runtime=" + rt, "box", "sh", "-c", "trap 'echo got; exit 6' TERM; while :; do sleep 0.05; done")
    ident = r.stdout.strip()
    time.sleep(0.3)
    ask("stop", "stop", ident)
    s = json.loads(docker("inspect", ident).stdout)[0]["State"]
    out["stopped"] = (s["Status"], s["ExitCode"])
    ask("start again", "start", ident)
    time.sleep(0.3)
    docker("kill", "-s", "TERM", ident)
    ask("wait again", "wait", ident)
    ask("logs again", "logs", ident)
    docker("rm", "-f", ident)
    out["-t"] = typed(docker, [*run, "-it", "box", "sh", "-c", "tty; stty size; echo size; read a; echo got $a; exit 4"], b"size", b"hello\n")
    r = docker("run", "-d", "--network=none", "--runtime=" + rt, "box", "sleep", "100")
    ident = r.stdout.strip()
    out["exec -t"] = typed(docker, ["exec", "-it", ident, "sh", "-c", "test -t 0 && echo terminal; read a; echo got $a; exit 5"], b"terminal", b"hello\n")
    docker("rm", "-f", ident)
    r = docker("run", "-d", "-m", "40m", "--memory-swap", "40m", "--network=none", "--runtime=" + rt, "box", "sh", "-c", "tail /dev/zero")
    ident = r.stdout.strip()
    ask("out of memory", "wait", ident)
    out["OOMKilled"] = json.loads(docker("inspect", ident).stdout)[0]["State"]["OOMKilled"]
    docker("rm", "-f", ident)
    r = docker("run", "-d", "--network=none", "--runtime=" + rt, "--health-cmd", "test -e /ok", "--health-interval", "1s", "box", "sh", "-c", "touch /ok; sleep 100")
    ident = r.stdout.strip()
    end = time.time() + 15
    while time.time() < end and json.loads(docker("inspect", ident).stdout)[0]["State"]["Health"]["Status"] != "healthy":
        time.sleep(0.3)
    out["health"] = json.loads(docker("inspect", ident).stdout)[0]["State"]["Health"]["Status"]
    ask("restart", "restart", "-t", "1", ident)
    ask("exec after restart", "exec", ident, "echo", "here")
    stats = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", ident)
    out["stats"] = (stats.returncode, not stats.stdout.startswith("0B"))
    out["commit"] = docker("commit", ident, "made").returncode
    docker("rm", "-f", ident)
    ask("the commit", *run, "made", "ls", "/ok")
    docker("rmi", "made")
    if docker.bridge:
        docker("run", "-d", "--name", "served", "-p", "127.0.0.1:18080:80", "--runtime=" + rt, "box", "sh", "-c", "while :; do echo served | nc -l -p 80; done")
        ip = docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "served").stdout.strip()
        time.sleep(0.5)
        inside = ["nsenter", "-t", str(docker.daemon.pid), "-n"]
        for name, at in (("bridge", (ip, "80")), ("-p", ("127.0.0.1", "18080"))):
            for _ in range(20):  # between two callers nobody listens
                r = subprocess.run([*inside, shutil.which("busybox"), "nc", *at], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
                if r.stdout:
                    break
                time.sleep(0.1)
            out[name] = (r.returncode, r.stdout)
        out["container to container"] = docker("run", "--rm", "--runtime=" + rt, "box", "nc", ip, "80").stdout
        docker("rm", "-f", "served")
        own_network(docker, rt, out)
    out["left"] = docker("ps", "-aq").stdout
    return out


def own_network(docker, rt, out):
    """A network of the user's: what of it shows inside, the others by name, and what changes while it runs."""
    docker("network", "create", "--subnet", "10.89.7.0/24", "own")
    docker("network", "create", "--subnet", "10.89.8.0/24", "other")
    docker("run", "-d", "--network", "own", "--ip", "10.89.7.9", "--name", "named", "--runtime=" + rt, "box", "sh", "-c",
           "while :; do echo named | nc -l -p 80; done")
    for name, command in (
            ("ip addr", "ip -4 addr show eth0 | grep -o 'inet .*'"), ("ip route", "ip route"), ("route", "route -n"),
            ("ifconfig", "ifconfig eth0 | grep -o 'inet addr.*'; ifconfig eth0 | grep -o 'HWaddr.*'"),
            ("links", "ip -o link | wc -l"), ("/proc/net/route", "cat /proc/net/route"),
            ("/proc/net/dev", "grep -c eth0 /proc/net/dev"), ("to itself", "nc 10.89.7.9 80")):
        out["network: " + name] = docker("exec", "named", "sh", "-c", command).stdout
    out["network: by name"] = docker("run", "--rm", "--network", "own", "--runtime=" + rt, "box", "sh", "-c",
                                     "for i in 1 2 3 4 5; do nc named 80 && break; sleep 0.2; done").stdout
    docker("network", "connect", "--ip", "10.89.8.5", "other", "named")
    time.sleep(0.3)
    out["network: one more"] = docker("exec", "named", "sh", "-c", "ip -4 addr | grep -o 'inet .*' | sort").stdout
    docker("network", "disconnect", "own", "named")
    time.sleep(0.3)
    out["network: one less"] = docker("exec", "named", "sh", "-c", "ip -4 addr | grep -o 'inet .*' | sort; ip route").stdout
    docker("rm", "-f", "named")
    docker("network", "rm", "own", "other")


def main():
    if os.geteuid() != 0:
        skip("dockerd wants root")
    for need in ("dockerd", "docker", "containerd", "runc"):
        if not shutil.which(need):
            skip(need + " is not installed")
    remap = "remap" in sys.argv
    if remap:
        alone()
    docker = Docker(sys.argv[1], remap=remap)
    try:
        tree = rootfs(docker.top + "/tree")
        tar = subprocess.run(["tar", "-C", tree, "-c", "."], capture_output=True).stdout
        r = subprocess.run(["docker", "import", "-", "box"], input=tar, capture_output=True, env=docker.env)
        if r.returncode != 0:
            skip("docker import: %s" % r.stderr)
        theirs, ours = one_shot(docker, "runc"), one_shot(docker, "sbx")
        if "unable to apply caps" in theirs["--privileged"][2]:  # a host that has not all of them
            del theirs["--privileged"]
            check("--privileged", ours["--privileged"][:2] == (0, "ok\n"), ours["--privileged"])
        if remap and "creating device nodes" in theirs["--device"][2]:  # older runc in a user namespace
            del theirs["--device"]
            check("--device", ours["--device"][:2] == (0, "ok\n"), ours["--device"])
        for name in theirs:
            check(name, theirs[name] == ours[name], "\n  runc: %r\n  sbx:  %r" % (theirs[name], ours[name]))
        for name in theirs if "-v" in sys.argv else ():
            print("%s: %r" % (name, ours[name]))
        if not docker.bridge:
            print("no bridge: networks are not tried here")
        print("%d of %d as with runc" % (sum(theirs[n] == ours[n] for n in theirs), len(theirs)))
    finally:
        docker.stop()
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
