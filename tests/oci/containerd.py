#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""containerd.py SBX: a containerd of its own, asked by ctr; each answer by runc and by sbx, and they must be the same."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from bundle import await_daemon, compare, rootfs, skip

CONFIG = """version = 2
root = "%(top)s/data"
state = "%(top)s/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "%(top)s/sock"
[ttrpc]
  address = "%(top)s/sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "%(top)s/opt"
"""


class Containerd:
    def __init__(self, sbx):
        self.top = tempfile.mkdtemp(prefix="ctrd-")
        runtime = os.path.join(self.top, "sbx-oci")
        os.symlink(os.path.realpath(sbx), runtime)
        self.runtimes = {"runc": shutil.which("runc"), "sbx": runtime}
        self.ns = "sbxtest-%d" % os.getpid()
        self.tree = rootfs(self.top + "/tree")
        with open(self.top + "/config.toml", "w") as f:
            f.write(CONFIG % {"top": self.top})
        self.log = open(self.top + "/log", "w")
        self.daemon = subprocess.Popen(["containerd", "--config", self.top + "/config.toml"], stdout=self.log, stderr=self.log)
        await_daemon(self, "containerd", "version", 30)

    def ctr(self, *args):
        return ["ctr", "--address", self.top + "/sock", "--namespace", self.ns, *args]

    def __call__(self, *args, **more):
        said, feed = more.pop("input", None), None
        if said: # the end a second later: ctr loses one that comes before there is a task
            feed = subprocess.Popen(["sh", "-c", 'printf %s "$1"; sleep 1', "sh", said], stdout=subprocess.PIPE)
        r = subprocess.run(self.ctr(*args), capture_output=True, text=True, timeout=60,
                           stdin=feed.stdout if feed else subprocess.DEVNULL)
        if feed:
            feed.stdout.close()
            feed.wait()
        return r

    def stop(self):
        if self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
            try:
                self.daemon.wait(20)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
        self.log.close()
        states = "/run/containerd/runc/" + self.ns # a name of the shim's
        for ident in os.listdir(states) if os.path.isdir(states) else []:
            rt = self.runtimes["runc" if ident.startswith("runc") else "sbx"]
            subprocess.run([rt, "--root", states, "delete", "--force", ident])
        shutil.rmtree(states, ignore_errors=True)
        for line in sorted(open("/proc/mounts").read().splitlines(), reverse=True):
            at = line.split()[1]
            if at.startswith(self.top + "/"):
                subprocess.run(["umount", "-l", at])
        shutil.rmtree(self.top, ignore_errors=True)


def plain(text, rt):
    """Without the id, the words around it, and where it was said."""
    text = re.sub(r"\b%s-\w+" % rt, "ID", text)
    text = re.sub(r"OCI runtime (create|exec) failed: .*?(exec:)", r"OCI runtime \1 failed: \2", text)
    return re.sub(r"(?m)^time=\S+ .*\n", "", text)


def answers(c, rt):
    out, runtime = {}, ("--runc-binary", c.runtimes[rt], "--env", "PATH=/bin")
    tree = "%s/tree-%s" % (c.top, rt)
    shutil.copytree(c.tree, tree, symlinks=True)
    count = [0]

    def ask(name, *args, **more):
        r = c(*args, **more)
        out[name] = (r.returncode, plain(r.stdout, rt), plain(r.stderr, rt))

    def run(name, *args, options=(), **more):
        count[0] += 1
        ask(name, "run", "--rm", *runtime, *options, "--rootfs", tree, "%s-%d" % (rt, count[0]), *args, **more)
    topics = open(c.top + "/events-" + rt, "w+")
    events = subprocess.Popen(c.ctr("events"), stdout=topics, stderr=subprocess.DEVNULL)
    for i in range(100):  # until it listens: what came before is not told
        subprocess.run(c.ctr("namespaces", "create", "%s-listens-%d" % (rt, i)), check=True)
        time.sleep(0.1)
        if os.path.getsize(topics.name):
            break
    run("hi", "sh", "-c", "echo hi; echo err >&2; exit 3")
    run("stdin", "cat", input="piped\n")
    run("missing", "nonsense")
    run("not executable", "/etc/passwd")
    run("a signal", "sh", "-c", "trap '' TERM; sleep 0; exit $((128 + 9))")
    run("--cwd --env", "sh", "-c", "pwd; echo $A", options=("--cwd", "/tmp", "--env", "A=b"))
    run("--mount", "cat", "/v/group", options=("--mount", "type=bind,src=%s/etc,dst=/v,options=rbind:ro" % c.tree))
    run("limits", "true", options=("--memory-limit", "67108864"))
    ident = rt + "-long"
    ask("run -d", "run", "-d", *runtime, "--rootfs", tree, ident, "sh", "-c",
        "trap 'exit 6' TERM; echo made >/made; while :; do sleep 0.1; done")
    for _ in range(100):
        if os.path.exists(tree + "/made"):
            break
        time.sleep(0.05)
    out["written to the rootfs"] = os.path.exists(tree + "/made")
    ask("exec", "task", "exec", "--exec-id", "e1", ident, "sh", "-c", "echo in; exit 5")
    ask("exec stdin", "task", "exec", "--exec-id", "e2", ident, "cat", input="through\n")
    ask("exec missing", "task", "exec", "--exec-id", "e3", ident, "nonsense")
    ask("exec --cwd", "task", "exec", "--exec-id", "e4", "--cwd", "/etc", "--user", "1000", ident, "sh", "-c", "pwd; id -u")
    ask("pause", "task", "pause", ident)
    out["paused"] = c("task", "ls").stdout.split()[-1]
    out["exec while paused"] = c("task", "exec", "--exec-id", "e5", ident, "true").returncode
    ask("resume", "task", "resume", ident)
    lines = c("task", "ps", ident).stdout.splitlines() or ["none"]
    out["ps"] = (lines[0].split()[0], len(lines) > 1)
    out["metrics"] = [line.split()[0] for line in c("task", "metrics", ident).stdout.splitlines() if line.startswith(("memory.u", "cpu", "pids.c"))]
    out["delete of a running one"] = c("task", "delete", ident).returncode
    ask("kill", "task", "kill", "--signal", "SIGTERM", ident)
    for _ in range(100):
        if "STOPPED" in c("task", "ls").stdout:
            break
        time.sleep(0.05)
    out["stopped"] = c("task", "ls").stdout.split()[-1]
    ask("delete", "task", "delete", ident)
    ask("container delete", "container", "delete", ident)
    ask("left", "container", "ls", "-q")
    ask("no such", "task", "kill", ident)
    ident = rt + "-killed"
    ask("run another", "run", "-d", *runtime, "--rootfs", tree, ident, "sleep", "60")
    ask("kill -9", "task", "kill", "--signal", "SIGKILL", ident)
    time.sleep(0.5)
    ask("delete again", "task", "delete", ident)
    ask("container gone", "container", "delete", ident)
    events.terminate()
    events.wait()
    topics.seek(0)
    seen = re.findall(r" (/(?:tasks|containers)/\S+) ", topics.read())
    out["events"] = sorted(seen)
    return out


def main():
    if os.geteuid() != 0:
        skip("this test is started as root")
    for need in ("containerd", "ctr", "containerd-shim-runc-v2", "runc"):
        if not shutil.which(need):
            skip(need + " is not installed")
    c = Containerd(sys.argv[1])
    try:
        same = compare(answers(c, "runc"), answers(c, "sbx"))
    finally:
        c.stop()
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
