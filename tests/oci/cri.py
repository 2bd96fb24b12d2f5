# SPDX-License-Identifier: Apache-2.0
"""
cri.py SBX: the pods of Kubernetes: a containerd of its own with its CRI plugin, asked by crictl (in PATH, or as CRICTL says), a pod
with two containers; each answer by runc and by sbx, and they must be the same.
"""
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

from bundle import compare, rootfs, skip

CRICTL = os.environ.get("CRICTL") or "crictl"
CONFIG = """version = 2
root = "%(top)s/data"
state = "%(top)s/state"
[grpc]
  address = "%(top)s/sock"
[ttrpc]
  address = "%(top)s/sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "%(top)s/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "sbx.test/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "%(top)s/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.sbx]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.sbx.options]
      BinaryName = "%(top)s/sbx-oci"
"""
CNI = {"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "cni0", "isGateway": True, "ipam": {
    "type": "host-local", "ranges": [[{"subnet": "10.98.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}


# As the kubelet asks for it; POD_PIDS: of pods with shareProcessNamespace.
POD_PIDS = {"security_context": {"namespace_options": {"pid": 0}}}
OWN_PIDS = {"security_context": {"namespace_options": {"pid": 1}}}


def image(path, tree, name, args):
    """A tar as `docker save` writes it, of one layer."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(tree, ".")
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": args, "Env": ["PATH=/bin"]},
                         "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest]}}).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as out:
        for n, data in (("layer.tar", layer.getvalue()), ("config.json", config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(n)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))


class Kubelet:
    """What it asks of containerd."""

    def __init__(self, sbx):
        self.top = tempfile.mkdtemp(prefix="cri-")
        os.symlink(os.path.realpath(sbx), self.top + "/sbx-oci")
        tree = rootfs(self.top + "/tree")
        os.makedirs(self.top + "/cni")
        with open(self.top + "/cni/10.conflist", "w") as f:
            CNI["plugins"][0]["ipam"]["dataDir"] = self.top + "/ipam"
            json.dump(CNI, f)
        with open(self.top + "/config.toml", "w") as f:
            f.write(CONFIG % {"top": self.top})
        self.log = open(self.top + "/log", "w")
        # In a network of its own, where a bridge is nobody else's business.
        self.daemon = subprocess.Popen(["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", "containerd", "--config",
                                        self.top + "/config.toml"], stdout=self.log, stderr=self.log)
        for _ in range(120):
            if self("version").returncode == 0 or self.daemon.poll() is not None:
                break
            time.sleep(0.25)
        for name, args in (("pause", ["sleep", "100000"]), ("box", ["sh"])):
            tar = "%s/%s.tar" % (self.top, name)
            image(tar, tree, "sbx.test/%s:1" % name, args)
            r = subprocess.run(["ctr", "--address", self.top + "/sock", "-n", "k8s.io", "images", "import", "--snapshotter", "native", tar],
                               capture_output=True, text=True)
            if r.returncode:
                self.stop()
                skip("containerd with CRI does not work here: %s" % (r.stderr.strip() or open(self.top + "/log").read()[-300:]))

    def __call__(self, *args):
        return subprocess.run([CRICTL, "--runtime-endpoint", "unix://%s/sock" % self.top, "--timeout", "30s", *args], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=90)

    def need(self, *args):
        r = self(*args)
        if r.returncode:
            raise RuntimeError("%s: %s" % (args[0], r.stderr))
        return r.stdout.strip().split("\n")[-1]

    def file(self, name, what):
        path = "%s/%s.json" % (self.top, name)
        with open(path, "w") as f:
            json.dump(what, f)
        return path

    def stop(self):
        for pod in self("pods", "-q").stdout.split():
            self("rmp", "-f", pod)
        if self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
            try:
                self.daemon.wait(20)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
        self.log.close()
        for line in sorted(open("/proc/mounts").read().splitlines(), reverse=True):
            at = line.split()[1]
            if at.startswith(self.top + "/"):
                subprocess.run(["umount", "-l", at])
        shutil.rmtree(self.top, ignore_errors=True)


def answers(k, rt):
    out = {}
    pod = {"metadata": {"name": "pod-" + rt, "uid": "uid-" + rt, "namespace": "default", "attempt": 1}, "hostname": "pod",
           "log_directory": "%s/logs-%s" % (k.top, rt), "linux": OWN_PIDS}
    pod_file = k.file("pod-" + rt, pod)
    pod_id = k.need("runp", "--runtime", rt, pod_file)

    def container(name, *args, linux=OWN_PIDS):
        spec = {"metadata": {"name": name}, "image": {"image": "sbx.test/box:1"}, "command": list(args), "log_path": name + ".log", "linux": linux}
        ident = k.need("create", pod_id, k.file("%s-%s" % (name, rt), spec), pod_file)
        k.need("start", ident)
        return ident

    def ask(name, *args):
        r = k(*args)
        out[name] = (r.returncode, r.stdout, re.sub(r"(?m)^time=.*level=warning.*\n", "", r.stderr))

    def logs(name, want):
        text = ""
        for _ in range(100):
            text = k("logs", name).stdout
            if want in text:
                break
            time.sleep(0.1)
        return text
    status = json.loads(k("inspectp", pod_id).stdout)
    address = status["status"]["network"]["ip"]
    out["pod is ready"] = (status["status"]["state"], address.startswith("10.98.0."))
    web = container("web", "sh", "-c", "echo up; while :; do echo from-web | nc -l -p 8080; done")
    other = container("other", "sh", "-c", "trap 'exit 7' TERM; hostname; while :; do sleep 0.1; done")
    proxy = json.loads(k("inspect", other).stdout)["info"]["pid"]
    with open("/proc/%d/task/%d/children" % (proxy, proxy)) as f:
        below = [open("/proc/%s/comm" % p).read().strip() for p in f.read().split()]
    if rt == "sbx" and "sbx-sentry" in below:
        raise RuntimeError("a sentry of its own: %s" % below)
    peer = container("peer", "sh", "-c", "sleep 200", linux=POD_PIDS)
    ask("the pod's processes", "exec", "-s", peer, "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline; [ $$ != 1 ] && echo another")
    out["its end"] = (k("stop", "-t", "0", peer).returncode, k("rm", peer).returncode)
    out["logs"] = (logs(web, "up"), logs(other, "pod"))
    for name, at in (("the other by localhost", "127.0.0.1"), ("the other by the pod's address", address)):
        text = ""
        for _ in range(50):
            text = k("exec", "-s", other, "sh", "-c", "nc %s 8080 </dev/null" % at).stdout
            if text:
                break
            time.sleep(0.1)
        out[name] = text
    out["address"] = address in k("exec", "-s", other, "ip", "addr").stdout
    ask("exec", "exec", "-s", web, "sh", "-c", "echo in; hostname")
    out["exec exit"] = k("exec", "-s", web, "sh", "-c", "exit 5").returncode
    out["exec missing"] = k("exec", "-s", web, "nonsense").returncode != 0
    ask("own pids", "exec", "-s", other, "sh", "-c", "[ -d /proc/1 ] && cat /proc/1/comm")
    k("exec", "-s", web, "touch", "/only-here")
    ask("own tree", "exec", "-s", other, "sh", "-c", "[ -e /only-here ] || echo apart")
    ask("resolv.conf and hosts", "exec", "-s", other, "sh", "-c", "[ -s /etc/hosts ] && [ -e /etc/resolv.conf ] && echo there")
    ask("shm between them", "exec", "-s", web, "sh", "-c", "echo shared >/dev/shm/x && echo put")
    ask("shm of the other", "exec", "-s", other, "cat", "/dev/shm/x")
    short = container("short", "sh", "-c", "echo done; exit 3")
    for _ in range(100):
        state = json.loads(k("inspect", short).stdout)["status"]
        if state["state"] == "CONTAINER_EXITED":
            break
        time.sleep(0.1)
    out["one that ends"] = (state["state"], state["exitCode"], logs(short, "done"))
    out["the rest runs"] = len(k("ps", "-q", "--pod", pod_id).stdout.split())
    ask("stats", "stats", "-o", "json", other)
    out["stats"] = out["stats"][0] == 0 and '"memory"' in out["stats"][1]
    ask("stop", "stop", "-t", "5", other)
    out["stop"] = out["stop"][0]
    out["its exit"] = json.loads(k("inspect", other).stdout)["status"]["exitCode"]
    out["rm"] = k("rm", other).returncode
    again = container("other", "sh", "-c", "echo again; sleep 100")
    out["another in its place"] = logs(again, "again")
    out["stopp"] = k("stopp", pod_id).returncode
    out["none runs"] = k("ps", "-q", "--pod", pod_id).stdout
    out["rmp"] = k("rmp", pod_id).returncode
    out["left"] = k("pods", "-q").stdout
    return out


def main():
    if os.geteuid() != 0:
        skip("this test is started as root")
    for need in ("containerd", "ctr", "containerd-shim-runc-v2", "runc", "ip", CRICTL):
        if not shutil.which(need):
            skip(need + " is not installed")
    if not os.path.exists("/usr/lib/cni/bridge"):
        skip("there are no CNI plugins in /usr/lib/cni")
    k = Kubelet(sys.argv[1])
    try:
        same = compare(answers(k, "runc"), answers(k, "sbx"))
    finally:
        k.stop()
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
