#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""oci.py SBX GROUP: sbx as an OCI runtime, called as containerd's shim and people do (docs/OCI.md)."""
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

from bundle import World, skip

w = None
CASES = {}


def group(name):
    def add(f):
        CASES.setdefault(name, []).append(f)
        return f
    return add


# ---- the command line ----

@group("words")
def version():
    r = w.oci("--version")
    lines = r.stdout.splitlines()
    w.check("--version", r.returncode == 0 and re.match(r"sbx version \S+$", lines[0]) and lines[1].startswith("commit: ") and
            lines[2] == "spec: 1.2.1" and sum("version" in line for line in lines) == 1, r)


@group("words")
def names():
    for name in ("runc", "crun", "runsc"):
        link = os.path.join(w.top, name)
        os.symlink(os.path.realpath(w.runtime), link)
        r = subprocess.run([link, "--root", w.states, "list", "-f", "json"], capture_output=True, text=True)
        w.check("called " + name, (r.returncode, r.stdout) == (0, "null\n"), r)
    r = subprocess.run([os.path.realpath(w.runtime), "oci", "--root", w.states, "list", "-q"], capture_output=True, text=True)
    w.check("sbx oci", (r.returncode, r.stdout) == (0, ""), r)


@group("words")
def features():
    f = json.loads(w.oci("features").stdout)
    w.check("features", f["ociVersionMin"] == "1.0.0" and "rro" in f["mountOptions"] and "prestart" in f["hooks"] and
            f["linux"]["seccomp"]["enabled"] is False and "CAP_CHOWN" in f["linux"]["capabilities"], f)


@group("words")
def spec():
    d = os.path.join(w.top, "spec")
    os.makedirs(d)
    w.check("spec", w.oci("spec", "--bundle", d).returncode == 0 and json.load(open(d + "/config.json"))["process"]["args"] == ["sh"])
    r = w.oci("spec", cwd=d)
    w.check("spec does not overwrite", r.returncode == 1 and "exists" in r.stderr, r)


@group("words")
def ids():
    b = w.bundle(w.spec("true"))
    for bad in ("a/b", ".", "..", "", "a b", "x" * 1025):
        r = w.oci("run", "--bundle", b, bad)
        w.check("id %.10r" % bad, r.returncode == 1 and "invalid container ID format" in r.stderr, r)
    r = w.oci("run", "--bundle", b)
    w.check("no id", r.returncode == 1 and "requires exactly 1 argument" in r.stderr, r)
    w.check("an id of all", w.oci("run", "-b", b, "A_z+9.-").returncode == 0)


@group("words")
def unknown():
    for args, text in ((("state",), "container does not exist"), (("kill",), "container does not exist"),
                       (("start",), "container does not exist"), (("delete",), "container does not exist"),
                       (("exec",), "container does not exist"), (("pause",), "container does not exist")):
        r = w.oci(*args, "nobody", *(("true",) if args[0] == "exec" else ()))
        w.check("%s of nobody" % args[0], r.returncode != 0 and text in r.stderr and r.stdout == "", r)
    r = w.oci("delete", "--force", "nobody")
    w.check("delete --force of nobody", (r.returncode, r.stdout, r.stderr) == (0, "", ""), r)
    for args, text in ((("checkpoint", "x"), "checkpoint is not supported"), (("restore", "x"), "restore is not supported"),
                       (("nonsense",), "No help topic")):
        r = w.oci(*args)
        w.check(args[0], r.returncode == 1 and text in r.stderr, r)
    r = w.oci("list", options=("--nonsense",))
    w.check("unknown option", r.returncode == 1 and "flag provided but not defined" in r.stderr, r)
    for o in (("--rootless", "true"), ("--rootless=auto",), ("-rootless=false",), ("--rootless",), ("--debug",), ("--cgroup-manager", "disabled"),
              ("--platform=systrap", "--network", "none"), ("--criu", "/x")):
        r = w.oci("list", "-q", options=o)
        w.check("options %s" % (o,), (r.returncode, r.stdout, r.stderr) == (0, "", ""), r)


@group("words")
def logs():
    log = os.path.join(w.top, "log.json")
    w.oci("state", "nobody", options=("--log", log, "--log-format=json"))
    text = open(log).read()
    record = json.loads(text)  # one whole object: podman reads the file so
    w.check("a record", record["level"] == "error" and "container does not exist" in record["msg"] and
            re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", record["time"]) and text.endswith("}\n"), text)
    w.oci("state", "nobody", options=("--log", log, "--log-format", "json"))
    w.check("appended", len(open(log).read().splitlines()) == 2)
    plain = os.path.join(w.top, "log.txt")
    w.oci("state", "nobody", options=("--log=" + plain,))
    w.check("text", re.match(r'time="[^"]+" level=error msg="container does not exist', open(plain).read()), open(plain).read())


@group("words")
def configs():
    good = w.spec("true")

    def bad(what, text, words):
        ident = w.id()
        r = w.oci("create", "--bundle", w.bundle(text), ident)
        w.check("config: " + what, r.returncode == 1 and words in r.stderr and w.state(ident)["status"] == "none", r)
    whole = json.dumps(dict(good, root={"path": w.tree}))
    bad("truncated", whole[:len(whole) // 2], "invalid config.json")
    bad("empty", "", "invalid config.json")
    bad("no object", "[]", "expected an object")
    for what, change, words in (
            ("version", {"ociVersion": "2.0.0"}, "ociVersion"), ("no version", {"ociVersion": None}, "ociVersion"),
            ("no process", {"process": None}, "process"), ("args", {"process": dict(good["process"], args="sh")}, "process.args"),
            ("no args", {"process": dict(good["process"], args=[])}, "process.args"),
            ("cwd", {"process": dict(good["process"], cwd="x")}, "process.cwd"),
            ("uid", {"process": dict(good["process"], user={"uid": "root"})}, "process.user.uid"),
            ("rlimit", {"process": dict(good["process"], rlimits=[{"type": "RLIMIT_X", "hard": 1, "soft": 1}])}, "invalid rlimit type"),
            ("two rlimits", {"process": dict(good["process"], rlimits=[{"type": "RLIMIT_CORE", "hard": 1, "soft": 1}] * 2)}, "duplicate"),
            ("mounts", {"mounts": {}}, "mounts"), ("a mount's type", {"mounts": [{"destination": "/x", "type": "nfs", "source": "a"}]}, "unsupported mount type"),
            ("a bind's source", {"mounts": [{"destination": "/x", "type": "bind", "source": "/no/such", "options": ["rbind"]}]}, "no such file or directory"),
            ("namespace", {"linux": {"namespaces": [{"type": "nonsense"}]}}, "does not exist"),
            ("two namespaces", {"linux": {"namespaces": [{"type": "pid"}, {"type": "pid"}]}}, "duplicate"),
            ("a hook's path", {"hooks": {"prestart": [{"path": "x"}]}}, "absolute"),
            ("sysctl", {"linux": {"sysctl": {"vm.swappiness": "1"}}}, "not in a separate kernel namespace"),
            ("root", {"root": None}, "root"), ("rootfs", {"root": {"path": "/no/such/rootfs"}}, "no such file or directory")):
        c = dict(good, root={"path": w.tree})
        c.update(change)
        bad(what, json.dumps(c), words)
    c = dict(good, root={"path": w.tree}, unknown={"a": 1}, windows={})
    c["process"] = dict(c["process"], nonsense=[1])
    r = w.oci("run", "--bundle", w.bundle(json.dumps(c)), w.id())
    w.check("unknown fields are ignored", r.returncode == 0, r)
    c["ociVersion"] = "1.3.0-dev"
    w.check("a later version", w.oci("run", "--bundle", w.bundle(json.dumps(c)), w.id()).returncode == 0)


# ---- one container ----

@group("life")
def run():
    r = w.run("sh", "-c", "echo out; echo err >&2; exit 3")
    w.check("run", (r.returncode, r.stdout, r.stderr) == (3, "out\n", "err\n"), r)
    r = w.run("sh", "-c", "kill -9 $$; echo lives; exit 4")
    w.check("pid 1 is not killed from inside", (r.returncode, r.stdout) == (4, "lives\n"), r)
    r = w.run("sh", "-c", "echo $$; cat /proc/1/comm; cut -d' ' -f4-6 /proc/1/stat; readlink /proc/self/ns/pid | cut -c1-4")
    w.check("the program is pid 1", r.stdout == "1\nsh\n0 1 1\npid:\n", r)
    r = w.run("sh", "-c", "sh -c 'sleep 9 & echo $!' >/tmp/p; sleep 0.1; cut -d' ' -f4 /proc/$(cat /tmp/p)/stat", own=True)
    w.check("orphans are pid 1's", r.stdout == "1\n", r)
    r = w.oci("run", "--bundle", w.bundle(w.spec("cat")), w.id(), input="through\n")
    w.check("standard input", r.stdout == "through\n", r)


@group("life")
def steps():
    ident, path, r = w.create("sh", "-c", "echo began; exec sleep 100")
    s = w.state(ident)
    w.check("create", r == 0 and s["status"] == "created" and s["id"] == ident and s["bundle"] == path and s["rootfs"] == w.tree and
            s["ociVersion"] == "1.2.1" and re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$", s["created"]) and s["annotations"] == {}, s)
    w.check("pid file", open(path + "/pid").read() == str(s["pid"]))
    w.check("held", open(path + "/out").read() == "")
    w.check("in its cgroup", "/sbx/" + ident in open("/proc/%d/cgroup" % s["pid"]).read())
    w.check("in its namespaces", all(os.readlink("/proc/%d/ns/%s" % (s["pid"], n)) != os.readlink("/proc/self/ns/" + n)
                                     for n in ("net", "ipc", "uts", "mnt")))
    w.check("ppid is not a process of ours", "sbx" not in open("/proc/%s/comm" % open("/proc/%d/stat" % s["pid"]).read().rsplit(")", 1)[1].split()[1]).read())
    r = w.oci("create", "--bundle", path, ident)
    w.check("an id in use", r.returncode == 1 and "container with given ID already exists" in r.stderr, r)
    w.check("ps", w.oci("ps", "--format", "json", ident).stdout.startswith("[%d" % s["pid"]))
    r = w.oci("start", ident)
    w.check("start", (r.returncode, r.stdout, r.stderr) == (0, "", "") and w.state(ident)["status"] == "running", r)
    time.sleep(0.2)
    w.check("it runs", open(path + "/out").read() == "began\n")
    r = w.oci("start", ident)
    w.check("start twice", r.returncode == 1 and "cannot start an already running container" in r.stderr, r)
    r = w.oci("delete", ident)
    w.check("delete of a running one", r.returncode == 1 and "cannot delete container %s that is not stopped: running" % ident in r.stderr, r)
    table = w.oci("list").stdout.splitlines()
    w.check("list", table[0].split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"] and any(ident in line and "running" in line for line in table), table)
    w.check("list -f json", [c["id"] for c in json.loads(w.oci("list", "-f", "json").stdout)] == [ident])
    w.oci("kill", ident, "TERM")
    time.sleep(0.2)
    w.check("pid 1 without a handler stays", w.state(ident)["status"] == "running")
    r = w.oci("kill", ident, "9")
    w.check("kill", r.returncode == 0 and w.wait(ident, "stopped"), r)
    s = w.state(ident)
    w.check("stopped", s["pid"] == 0, s)
    r = w.oci("kill", ident, "TERM")
    w.check("kill of a stopped one", r.returncode == 1 and "container not running" in r.stderr, r)
    w.check("kill --all of a stopped one", w.oci("kill", "--all", ident, "9").returncode == 0)
    r = w.oci("start", ident)
    w.check("start of a stopped one", "cannot start a container that has stopped" in r.stderr, r)
    r = w.oci("exec", ident, "true")
    w.check("exec in a stopped one", r.returncode == 255 and "cannot exec in a stopped container" in r.stderr, r)
    r = w.oci("delete", ident)
    w.check("delete", (r.returncode, r.stdout, r.stderr) == (0, "", "") and w.state(ident)["status"] == "none", r)


def subreaper(on):
    ctypes.CDLL(None).prctl(36, 1 if on else 0, 0, 0, 0)


@group("life")
def reaped():
    """As the shim does: the proxy is our child by way of create's end, and its status is the program's."""
    subreaper(True)
    for script, status in (("exit 7", 7), ("trap 'exit 5' TERM; kill -TERM $$; sleep 9", 5)):
        ident, path, r = w.create("sh", "-c", script)
        pid = int(open(path + "/pid").read())
        w.oci("start", ident)
        while True:  # sentry and gofer may come too
            got, st = os.wait()
            if got == pid:
                break
        w.check("reaped: " + script, os.waitstatus_to_exitcode(st) == status, st)
        w.check("delete at once", w.oci("delete", ident).returncode == 0)
    ident, path, r = w.create("sleep", "100")
    pid = int(open(path + "/pid").read())
    w.oci("start", ident)
    w.oci("kill", ident, "KILL")
    while True:
        got, st = os.wait()
        if got == pid:
            break
    w.check("killed", os.waitstatus_to_exitcode(st) == 137, st)
    w.oci("delete", ident)
    ident, path, r = w.create("sh", "-c", "trap 'echo got; exit 9' USR1; while :; do sleep 0.05; done")
    pid = int(open(path + "/pid").read())
    w.oci("start", ident)
    time.sleep(0.3)
    os.kill(pid, signal.SIGUSR1)
    while True:
        got, st = os.wait()
        if got == pid:
            break
    w.check("a signal to the proxy", os.waitstatus_to_exitcode(st) == 9 and open(path + "/out").read() == "got\n", st)
    w.oci("delete", ident)
    subreaper(False)


@group("life")
def killed():
    """kill -9 of the proxy, the sentry, the gofer: nothing stays."""
    for what in ("sbx-init", "sbx-sentry", "sbx-gofer-rw"):
        ident, path, r = w.create("sleep", "100")
        w.oci("start", ident)
        pids = [int(p) for p in open("/sys/fs/cgroup/pids/sbx/%s/cgroup.procs" % ident).read().split()]
        victims = [p for p in pids if open("/proc/%d/comm" % p).read().strip() == what]
        w.check("there is a " + what, len(victims) == 1, pids)
        os.kill(victims[0], 9)
        w.check("killed %s: stopped" % what, w.wait(ident, "stopped"), w.state(ident))
        end = time.time() + 10
        while time.time() < end and open("/sys/fs/cgroup/pids/sbx/%s/cgroup.procs" % ident).read():
            time.sleep(0.02)
        w.check("killed %s: no process" % what, open("/sys/fs/cgroup/pids/sbx/%s/cgroup.procs" % ident).read() == "")
        w.check("killed %s: delete" % what, w.oci("delete", ident).returncode == 0)
    ident, path, r = w.create("sleep", "100")
    w.check("delete of a created one", w.oci("delete", ident).returncode == 0 and w.state(ident)["status"] == "none")
    ident, path, r = w.create("sleep", "100")
    w.oci("start", ident)
    w.check("delete --force of a running one", w.oci("delete", "--force", ident).returncode == 0 and w.state(ident)["status"] == "none")
    half = os.path.join(w.states, "half")
    os.makedirs(half)
    w.check("half made: list", w.oci("list").returncode == 0)
    w.check("half made: delete --force", w.oci("delete", "--force", "half").returncode == 0 and not os.path.exists(half))


@group("life")
def create_killed():
    """create is ended at a random moment: what it leaves goes by delete --force."""
    b = w.bundle(w.spec("sleep", "100"))
    for i in range(12):
        ident = w.id()
        p = subprocess.Popen([w.runtime, "--root", w.states, "create", "--bundle", b, ident], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.002 * i)
        p.kill()
        p.wait()
        r = w.oci("delete", "--force", ident)
        w.check("create killed after %d ms" % (2 * i), r.returncode == 0 and w.state(ident)["status"] == "none", r)


@group("life")
def programs():
    for args, words in ((["nonsense"], 'exec: "nonsense": executable file not found in $PATH'),
                        (["/no/such"], 'exec: "/no/such": stat /no/such: no such file or directory'),
                        (["/etc/passwd"], 'exec: "/etc/passwd": permission denied'), (["/etc"], "permission denied")):
        ident = w.id()
        r = w.oci("create", "--bundle", w.bundle(w.spec(*args)), ident)
        w.check("program %s" % args, r.returncode == 1 and words in r.stderr and w.state(ident)["status"] == "none", r)
    ident, path, r = w.create("/bin/junk", own=True)
    w.check("no such program", r == 1)
    spec = w.spec("/bin/junk")
    b = w.bundle(spec, own=True)
    with open(b + "/rootfs/bin/junk", "w") as f:
        f.write("\x7fELF junk")
    os.chmod(b + "/rootfs/bin/junk", 0o755)
    ident = w.id()
    r1 = subprocess.run([w.runtime, "--root", w.states, "create", "--bundle", b, ident], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)
    r2 = w.oci("start", ident)
    w.check("no program", r1.returncode == 0 and r2.returncode == 1 and "exec format error" in r2.stderr, (r1, r2))


# ---- what config.json says ----

@group("config")
def process():
    r = w.run("sh", "-c", "id -u; id -g; id -G; pwd; echo $A $HOME; umask; ulimit -n; ulimit -Hn; grep -E '^(Cap|NoNew)' /proc/self/status",
              process__user={"uid": 1000, "gid": 1000, "additionalGids": [5, 7], "umask": 0o27}, process__cwd="/tmp",
              process__env=["PATH=/bin", "A=b c"], process__rlimits=[{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}],
              process__capabilities={"bounding": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"], "inheritable": []},
              process__noNewPrivileges=True)
    lines = r.stdout.splitlines()
    w.check("ids", lines[:3] == ["1000", "1000", "1000 5 7"], r)
    w.check("cwd, env, umask, limits", lines[3:8] == ["/tmp", "b c /home", "0027", "100", "200"], r)
    caps = dict(line.split(":\t") for line in lines[8:] if ":\t" in line)
    w.check("capabilities", caps.get("CapBnd") == "0000000000000021" and caps.get("CapEff") == "0000000000000000" and caps.get("NoNewPrivs") == "1", caps)
    r = w.run("grep", "-E", "^Cap(Eff|Bnd|Prm)", "/proc/self/status", process__capabilities={
        k: ["CAP_KILL", "CAP_NET_RAW", "CAP_NONSENSE"] for k in ("bounding", "permitted", "effective")})
    w.check("root's capabilities", r.stdout.count("0000000000002020") == 3, r)
    r = w.run("sh", "-c", "pwd; stat -c '%u %a' .", process__cwd="/new/dir", process__user={"uid": 1000, "gid": 1000}, own=True)
    w.check("cwd is made", r.stdout == "/new/dir\n1000 755\n", r)
    r = w.run("hostname", hostname="boxed")
    w.check("hostname", r.stdout == "boxed\n", r)
    r = w.run("sh", "-c", "cat /proc/sys/kernel/msgmax /proc/sys/kernel/sem", linux__sysctl={
        "kernel.msgmax": "4096", "kernel.sem": "100 200 30 40"})
    w.check("sysctls", r.stdout == "4096\n100\t200\t30\t40\n", r)
    bind = ("sh", "-c", "nc -l -p 80 & sleep 0.3; echo low | nc 127.0.0.1 80; wait")
    for start, said in (("80", "low\n"), ("81", "")):
        r = w.run(*bind, linux__sysctl={"net.ipv4.ip_unprivileged_port_start": start}, process__user={"uid": 1000, "gid": 1000},
                  process__capabilities={})
        w.check("ports below %s are root's" % start, r.stdout == said, r)
    r = w.run("true", linux__sysctl={"kernel.msgmax": "many"})
    w.check("a sysctl that cannot be", r.returncode != 0 and "cannot set sysctl kernel.msgmax" in r.stderr, r)
    r = w.run("cat", "/proc/self/oom_score_adj", process__oomScoreAdj=123)
    w.check("oomScoreAdj", r.stdout == "123\n", r)


@group("config")
def tree():
    """What is written in the rootfs is there on the host, with its owner; and the other way."""
    b = w.bundle(w.spec("sh", "-c", "echo new >/root/file; mkdir /d; chown 5:6 /d; chmod 4755 /root/file; ln -s x /l; rm /etc/group; cat /etc/given",
                        process__capabilities={k: ["CAP_CHOWN"] for k in ("bounding", "permitted", "effective")}), own=True)
    with open(b + "/rootfs/etc/given", "w") as f:
        f.write("given\n")
    r = w.oci("run", "--bundle", b, w.id())
    st = os.stat(b + "/rootfs/root/file")
    w.check("rootfs is written through", r.stdout == "given\n" and st.st_mode & 0o7777 == 0o4755 and os.stat(b + "/rootfs/d").st_gid == 6 and
            os.readlink(b + "/rootfs/l") == "x" and not os.path.exists(b + "/rootfs/etc/group"), (r, oct(st.st_mode)))
    r = w.run("sh", "-c", "echo x >/f 2>/dev/null || echo refused; touch /dev/x && echo dev", root__readonly=True)
    w.check("readonly root", r.stdout == "refused\ndev\n", r)


@group("config")
def mounts():
    vol = os.path.join(w.top, "vol")
    os.makedirs(vol)
    with open(vol + "/f", "w") as f:
        f.write("host\n")
    base = w.spec()["mounts"]
    more = [{"destination": "/vol", "type": "bind", "source": vol, "options": ["rbind", "rw"]},
            {"destination": "/ro", "type": "bind", "source": vol, "options": ["rbind", "ro"]},
            {"destination": "/etc/one", "type": "bind", "source": vol + "/f", "options": ["bind", "ro"]},
            {"destination": "/scratch", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m", "mode=700", "noexec"]}]
    r = w.run("sh", "-c", "cat /vol/f /ro/f /etc/one; echo in >/vol/g; echo x 2>&1 >/ro/h | grep -c -i read-only; stat -c %a /scratch; "
              "dd if=/dev/zero of=/scratch/x bs=1M count=3 2>&1 | grep -c -i 'no space'; cat /dev/null; ls /dev", mounts=base + more)
    w.check("binds and tmpfs", r.stdout.splitlines()[:6] == ["host", "host", "host", "1", "700", "1"], r)
    w.check("devices", set("null zero full random urandom tty ptmx fd stdin stdout stderr pts shm mqueue".split()) <= set(r.stdout.split()), r.stdout)
    w.check("written through", open(vol + "/g").read() == "in\n" and not os.path.exists(vol + "/h"))
    r = w.run("cat", "/proc/self/mountinfo", mounts=base + more)
    seen = [line.split()[4] for line in r.stdout.splitlines()]
    w.check("in the order of the configuration", seen[:1 + len(base) + len(more)] == ["/"] + [m["destination"] for m in base + more], seen)
    types = {line.split()[4]: line.split(" - ")[1].split()[0] for line in r.stdout.splitlines()}
    w.check("types", types["/proc"] == "proc" and types["/dev"] == "tmpfs" and types["/dev/pts"] == "devpts" and types["/dev/mqueue"] == "mqueue" and
            types["/sys"] == "sysfs", types)
    ident = w.id()
    r = w.oci("create", "--bundle", w.bundle(w.spec(mounts=base + [{"destination": "/etc", "type": "bind", "source": vol + "/f", "options": ["bind"]}])), ident)
    w.check("a file on a directory", r.returncode == 1 and "not a directory" in r.stderr and w.state(ident)["status"] == "none", r)
    r = w.run("sh", "-c", "ls /l/; cat /l/f", mounts=base + [{"destination": "/l", "type": "bind", "source": vol, "options": ["bind"]}], own=True)
    w.check("a destination is made", "host" in r.stdout, r)
    b = w.bundle(w.spec("cat", "/real/f", mounts=base + [{"destination": "/link", "type": "bind", "source": vol, "options": ["bind"]}]), own=True)
    os.makedirs(b + "/rootfs/real")
    os.symlink("/real", b + "/rootfs/link")
    r = w.oci("run", "--bundle", b, w.id())
    w.check("a link is followed inside", r.stdout == "host\n" and not os.path.exists("/real"), r)


@group("config")
def masks():
    b = w.bundle(w.spec("sh", "-c", "cat /etc/secret; ls -A /etc/dir | wc -l; touch /etc/dir/x || echo ro; echo x >/fixed/f || echo fixed",
                        linux__maskedPaths=["/etc/secret", "/etc/dir", "/no/such"], linux__readonlyPaths=["/fixed", "/no"]), own=True)
    root = b + "/rootfs"
    os.makedirs(root + "/etc/dir/below")
    os.makedirs(root + "/fixed")
    with open(root + "/etc/secret", "w") as f:
        f.write("secret")
    r = w.oci("run", "--bundle", b, w.id())
    w.check("masked and fixed paths", r.stdout == "0\nro\nfixed\n", r)


@group("config")
def hooks():
    log = os.path.join(w.top, "hooks")

    def hook(name, code=0):
        return {"path": "/bin/sh", "args": ["sh", "-c", "echo %s $(cat) >>%s; echo said >&2; exit %d" % (name, log, code)],
                "env": ["PATH=/usr/bin:/bin"], "timeout": 10}
    names = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]
    r = w.run("true", hooks={n: [hook(n)] for n in names}, annotations={"a": "b"})
    lines = open(log).read().splitlines()
    w.check("hooks in their order", r.returncode == 0 and [line.split()[0] for line in lines] == names, (r, lines))
    states = [json.loads(line.split(" ", 1)[1]) for line in lines]
    w.check("states", [s["status"] for s in states] == ["creating", "creating", "creating", "running", "stopped"] and
            all(s["annotations"] == {"a": "b"} for s in states) and states[0]["pid"] > 0, states)
    for n in names[:3]:
        ident = w.id()
        r = w.oci("create", "--bundle", w.bundle(w.spec("true", hooks={n: [hook(n, 3)]})), ident)
        w.check("a %s that fails" % n, r.returncode == 1 and "exit status 3" in r.stderr and "said" in r.stderr and w.state(ident)["status"] == "none", r)
    ident = w.id()
    r = w.oci("create", "--bundle", w.bundle(w.spec("true", hooks={"prestart": [{"path": "/bin/sleep", "args": ["sleep", "60"], "timeout": 1}]})), ident)
    w.check("a hook that hangs", r.returncode == 1 and "did not end" in r.stderr, r)
    r = w.run("sleep", "100", hooks={"poststart": [hook("poststart", 4)]})
    w.check("a poststart that fails", r.returncode == 1 and "exit status 4" in r.stderr, r)
    r = w.run("true", hooks={"poststop": [hook("poststop", 1)]})
    w.check("a poststop that fails", r.returncode == 0, r)


@group("config")
def hooks_inside():
    """startContainer: in the container, as its user, before its program."""
    def hook(script, **more):
        return dict({"path": "/bin/sh", "args": ["-sh", "-c", script], "env": ["A=b", "PATH=/bin"]}, **more)
    first = hook("cat >/tmp/state; echo $0 $A $(id -u) $(pwd) $(cat /proc/1/comm) $(ls /tmp | wc -l) >>/tmp/log; echo lost; echo $PPID >>/tmp/log")
    r = w.run("cat", "/tmp/log", "/tmp/state", own=True, hooks={"startContainer": [first, hook("echo second >>/tmp/log")]}, process__user={"uid": 1000, "gid": 1000},
              process__cwd="/var", annotations={"a": "b"})
    lines = r.stdout.splitlines()
    w.check("hooks startContainer", r.returncode == 0 and lines[:3] == ["-sh b 1000 /var sbx-init 1", "0", "second"], r)
    s = json.loads(lines[3]) if len(lines) > 3 else {}
    w.check("their state", s.get("status") == "created" and s.get("pid") == 1 and s.get("annotations") == {"a": "b"}, s)
    for what, h, words in (("fails", hook("echo said >&2; exit 3"), "exit status 3, stderr: said"), ("is killed", hook("kill -9 $$"), "signal: 9"),
                           ("is not there", {"path": "/no/such"}, "no such file or directory"),
                           ("hangs", hook("sleep 60", timeout=1), "did not end in 1 seconds")):
        ident, path, r = w.create("touch", "/tmp/ran", own=True, hooks={"startContainer": [h, hook("touch /tmp/second")]})
        begin = time.time()
        r = w.oci("start", ident)
        w.check("one that " + what, r.returncode == 1 and "error running startContainer hook " + h["path"] in r.stderr and words in r.stderr, r)
        w.check("one that %s: nothing ran" % what, w.wait(ident, "stopped") and os.listdir(path + "/rootfs/tmp") == [] and time.time() - begin < 40)
    log = os.path.join(w.top, "all-hooks")
    outside = {n: [{"path": "/bin/sh", "args": ["sh", "-c", "echo %s >>%s" % (n, log)]}] for n in ("prestart", "createRuntime", "createContainer", "poststart", "poststop")}
    r = w.run("sh", "-c", "echo program >>/log/all-hooks; sleep 0.3", hooks=dict(outside, startContainer=[hook("echo startContainer >>/log/all-hooks")]),
              mounts=w.spec()["mounts"] + [{"destination": "/log", "source": w.top, "options": ["bind"]}])
    said = open(log).read().split()
    w.check("all six in their order", said[:4] == ["prestart", "createRuntime", "createContainer", "startContainer"] and sorted(said[4:6]) == ["poststart", "program"] and
            said[6:] == ["poststop"], (said, r))


@group("config")
def limits():
    ident, path, r = w.create("sleep", "100", linux__resources={"memory": {"limit": 64 << 20}, "pids": {"limit": 20}, "cpu": {"shares": 512, "quota": 50000, "period": 100000}})
    w.check("create with limits", r == 0, open(path + "/out").read())
    v1 = "/sys/fs/cgroup/memory/sbx/" + ident
    if os.path.isdir(v1):
        w.check("memory", open(v1 + "/memory.limit_in_bytes").read().strip() == str(64 << 20))
        w.check("cpu", open("/sys/fs/cgroup/cpu/sbx/%s/cpu.cfs_quota_us" % ident).read().strip() == "50000")
    w.oci("start", ident)
    r = w.oci("update", "--resources", "-", ident, input=json.dumps({"memory": {"limit": 128 << 20}, "cpu": {"quota": 0}}))
    w.check("update", r.returncode == 0, r)
    if os.path.isdir(v1):
        w.check("updated", open(v1 + "/memory.limit_in_bytes").read().strip() == str(128 << 20))
    e = json.loads(w.oci("events", "--stats", ident).stdout)
    w.check("events --stats", e["type"] == "stats" and e["id"] == ident and e["data"]["memory"]["usage"]["limit"] == 128 << 20 and e["data"]["cpu"]["usage"]["total"] > 0, e)
    r = w.run("sh", "-c", "i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done", linux__resources={"pids": {"limit": 20}})
    w.check("--pids-limit 20", r.returncode == 2 and "fork" in r.stderr, r)
    r = w.run("grep", "-c", "^processor", "/proc/cpuinfo", linux__resources={"cpu": {"quota": 50000, "period": 100000}})
    w.check("cpus as the quota has them", r.stdout == "1\n", r)
    r = w.run("echo", "small", linux__resources={"memory": {"limit": 16 << 20}})
    w.check("-m 16m", r.stdout == "small\n", r)


@group("config")
def cgroups():
    """A mount of type cgroup: the limits that hold, in the layout of the host; they follow `update`."""
    at = "/sys/fs/cgroup"
    mounts = [m for m in w.spec()["mounts"] if m["destination"] != at] + [
        {"destination": at, "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}]
    v2 = not os.path.isdir("/sys/fs/cgroup/memory")
    files = {"limit": "memory.max", "low": "memory.low", "now": "memory.current", "pids": "pids.max", "tasks": "pids.current", "cpu": "cpu.max", "cpus": "cpuset.cpus.effective",
             "procs": "cgroup.procs"} if v2 else \
        {"limit": "memory/memory.limit_in_bytes", "low": "memory/memory.soft_limit_in_bytes", "now": "memory/memory.usage_in_bytes", "pids": "pids/pids.max",
         "tasks": "pids/pids.current", "cpu": "cpu/cpu.cfs_quota_us", "cpus": "cpuset/cpuset.cpus", "procs": "memory/cgroup.procs"}

    def read(ident, what):
        return w.oci("exec", ident, "cat", at + "/" + files[what]).stdout.strip()
    ident, path, r = w.create("sh", "-c", "sleep 100 & sleep 100", mounts=mounts, own=True, linux__resources={
        "memory": {"limit": 64 << 20, "reservation": 32 << 20, "swappiness": 10, "disableOOMKiller": not v2}, "pids": {"limit": 20},
        "cpu": {"quota": 150000, "period": 100000}})
    w.check("create with a mount of cgroups", r == 0 and w.oci("start", ident).returncode == 0, open(path + "/out").read())
    w.check("memory", (read(ident, "limit"), read(ident, "low")) == (str(64 << 20), str(32 << 20)), (read(ident, "limit"), read(ident, "low")))
    w.check("memory in use", 0 < int(read(ident, "now") or 0) < 64 << 20, read(ident, "now"))
    w.check("pids", read(ident, "pids") == "20" and 3 <= int(read(ident, "tasks") or 0) <= 8, (read(ident, "pids"), read(ident, "tasks")))
    w.check("cpu", read(ident, "cpu") == ("150000 100000" if v2 else "150000"), read(ident, "cpu"))
    if not v2:
        r = w.oci("exec", ident, "cat", at + "/memory/memory.swappiness", at + "/memory/memory.oom_control")
        w.check("swappiness, no OOM killer", r.stdout.startswith("10\noom_kill_disable 1\n"), r)
    w.check("processes", read(ident, "procs").split()[:1] == ["1"] and len(read(ident, "procs").split()) >= 3, read(ident, "procs"))
    r = w.oci("exec", ident, "sh", "-c", "cat /proc/self/cgroup; grep -c ' - cgroup' /proc/self/mountinfo; grep memory /proc/cgroups; echo 1 >%s/%s || echo refused; mkdir %s/sub || echo not made" %
              (at, files["limit"], at if v2 else at + "/memory"))
    own = r.stdout.splitlines()
    with open("/proc/self/cgroup") as f:
        here = [line.split(":")[1] for line in f if (line.split(":")[1] == "") == v2]
    w.check("/proc/self/cgroup", [line.split(":", 1)[1] for line in own[:len(here)]] == [k + ":/" for k in here], r)
    w.check("mounts and /proc/cgroups", own[len(here)] == str(len(here)) and own[len(here) + 1].startswith("memory\t"), r)
    w.check("nothing is written", own[-2:] == ["refused", "not made"], r)
    w.check("update", w.oci("update", "--memory", str(48 << 20), "--pids-limit", "10", ident).returncode == 0)
    w.check("what it has changed", (read(ident, "limit"), read(ident, "pids"), read(ident, "cpu").split()[0]) == (str(48 << 20), "10", "150000"),
            (read(ident, "limit"), read(ident, "pids"), read(ident, "cpu")))
    r = w.oci("exec", ident, "grep", "MemTotal", "/proc/meminfo")
    w.check("memory follows", r.stdout.split()[1:2] == [str(48 << 10)], r)
    r = w.oci("exec", ident, "sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; dd if=/dev/zero of=/tmp/x bs=512 count=2000 2>/dev/null; " +
              ("cut -d' ' -f2 %s/cpu.stat" % at if v2 else "cd %s/cpuacct; cat cpuacct.usage cpuacct.usage_user cpuacct.usage_sys" % at))
    total, user, system = [int(n) for n in r.stdout.split()[:3]]
    w.check("processor time in two", user > 0 and system > 0 and abs(user + system - total) < total / 2, r)
    r = w.oci("exec", ident, "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 5 & done; wait", timeout=30)
    w.check("the new limit of tasks holds", "fork" in r.stderr, r)
    w.check("update without pids", w.oci("update", "--memory", str(60 << 20), ident).returncode == 0 and (read(ident, "pids"), read(ident, "limit")) == ("10", str(60 << 20)))


def shown(name):
    """What is told of interfaces and routes is what the host tells in that namespace."""
    script = "; ".join(["ls /sys/class/net", "cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu /sys/class/net/eth0/operstate /sys/class/net/eth0/ifindex",
                        "cat /proc/net/ipv6_route | grep -v ' lo$' | grep -v ' 80 ' | grep -v '^ff0' | cut -d' ' -f1,2,5,6,10-", "readlink /sys/class/net/eth0 | sed 's,.*/,,'"])
    routes = [["10.77.0.9"], ["8.8.8.8"], ["10.77.0.2"], ["fd77::9"], ["fd78::1"]]
    spec = w.spec("sh", "-c", script)
    for n in spec["linux"]["namespaces"]:
        if n["type"] == "network":
            n["path"] = "/var/run/netns/" + name
    r = w.oci("run", "--bundle", w.bundle(spec), w.id())
    outside = subprocess.run(["ip", "netns", "exec", name, "sh", "-c", script], capture_output=True, text=True)
    w.check("/sys/class/net and ipv6_route", sorted(r.stdout.split("\n")) == sorted(outside.stdout.split("\n")) and "eth0" in r.stdout, (r, outside.stdout))
    tool = shutil.which("ip")
    tree = {"destination": "/host", "source": "/", "options": ["rbind", "ro"]}
    spec = w.spec("sh", "-c", "; ".join("chroot /host %s route get %s" % (tool, " ".join(a)) for a in routes) + "; chroot /host %s route get 127.0.0.1" % tool,
                  mounts=w.spec()["mounts"] + [tree])
    for n in spec["linux"]["namespaces"]:
        if n["type"] == "network":
            n["path"] = "/var/run/netns/" + name
    for caps in spec["process"]["capabilities"].values():
        caps.append("CAP_SYS_CHROOT")
    r = w.oci("run", "--bundle", w.bundle(spec), w.id())
    said = [subprocess.run(["ip", "netns", "exec", name, "ip", "route", "get", *a], capture_output=True, text=True).stdout for a in routes + [["127.0.0.1"]]]

    def ways(text):
        return [re.sub(r"from :: |proto \w+ |metric \d+ |pref \w+|uid 0", "", line).split() for line in text.split("\n") if " dev " in line]
    w.check("ip route get", ways(r.stdout) == ways("".join(said)) and len(ways(r.stdout)) == 6, (r, said))


@group("config")
def network():
    """A namespace of networks that somebody else made: the container is reached there, and reaches out, by its address."""
    name = "oci%d" % os.getpid()

    def ip(*args):
        return subprocess.run(["ip", *args], capture_output=True).returncode == 0
    if not (ip("netns", "add", name) and ip("link", "add", "v" + name, "type", "veth", "peer", "name", "eth0", "netns", name)):
        ip("netns", "del", name)
        print("a namespace with a link cannot be made here: it is not tried")
        return
    try:
        ip("addr", "add", "10.77.0.1/24", "dev", "v" + name)
        ip("link", "set", "v" + name, "up")
        for args in (("addr", "add", "10.77.0.2/24", "dev", "eth0"), ("link", "set", "eth0", "up"), ("link", "set", "lo", "up"),
                     ("route", "add", "default", "via", "10.77.0.1"), ("-6", "addr", "add", "fd77::2/64", "dev", "eth0", "nodad"),
                     ("-6", "route", "add", "fd78::/32", "via", "fd77::1")):
            ip("netns", "exec", name, "ip", *args)
        shown(name)
        spec = w.spec("sh", "-c", "(echo from-inside | nc -l -p 80) & sleep 0.3; nc 10.77.0.1 9090; wait")
        for n in spec["linux"]["namespaces"]:
            if n["type"] == "network":
                n["path"] = "/var/run/netns/" + name
        server = socket.create_server(("10.77.0.1", 9090))
        p = subprocess.Popen([w.runtime, "--root", w.states, "run", "--bundle", w.bundle(spec), w.id()], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, text=True)
        server.settimeout(20)
        c, who = server.accept()
        c.sendall(b"from-host\n")
        c.close()
        w.check("out by its address", who[0] == "10.77.0.2", who)
        c = socket.create_connection(("10.77.0.2", 80), 20)
        w.check("reached at a low port", c.recv(100) == b"from-inside\n")
        c.close()
        w.check("network: the end", p.communicate(timeout=20)[0] == "from-host\n")
        spec["process"]["args"] = ["chroot", "/host", "/usr/bin/python3", "-c", "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', 53)); "
                                   "a, who = s.recvfrom(100); s.sendto(b'got ' + a, who)"]
        spec["mounts"] = w.spec()["mounts"] + [{"destination": "/host", "source": "/", "options": ["rbind", "ro"]}]
        for caps in spec["process"]["capabilities"].values():
            caps.append("CAP_SYS_CHROOT")
        p = subprocess.Popen([w.runtime, "--root", w.states, "run", "--bundle", w.bundle(spec), w.ids[-1] + "u"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        w.ids.append(w.ids[-1] + "u")
        c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        c.settimeout(0.5)
        answer = b""
        for _ in range(80): # nobody may listen yet
            try:
                c.sendto(b"datagram\n", ("10.77.0.2", 53))
                answer, who = c.recvfrom(100)
                break
            except OSError:
                pass
        w.check("a datagram is answered from that port", answer == b"got datagram\n" and who == ("10.77.0.2", 53), (answer, p.poll()))
        w.oci("kill", w.ids[-1], "9")
        print(p.communicate(timeout=20)[0], end="")
    finally:
        ip("link", "del", "v" + name)
        ip("netns", "del", name)


# ---- exec, pause ----

@group("exec")
def execs():
    ident, path, r = w.create("sh", "-c", "echo $$ >/tmp/init; exec sleep 100", own=True)
    r = w.oci("exec", ident, "echo", "early")
    w.check("exec in a created one", r.stdout == "early\n", r)
    w.oci("start", ident)
    r = w.oci("exec", ident, "sh", "-c", "echo out; echo err >&2; exit 5")
    w.check("exec", (r.returncode, r.stdout, r.stderr) == (5, "out\n", "err\n"), r)
    r = w.oci("exec", "-u", "1000:1000", "-e", "A=1", "--env", "B=2", "--cwd", "/tmp", ident, "sh", "-c", "id -u; echo $A$B; pwd; cat /proc/1/comm")
    w.check("exec -u -e --cwd", r.stdout == "1000\n12\n/tmp\nsleep\n", r)
    r = w.oci("exec", "-e", "PATH=/nowhere:/bin", ident, "sh", "-c", "echo $PATH")
    w.check("exec -e of a name that is set", r.stdout == "/nowhere:/bin\n", r)
    w.check("exec -i", w.oci("exec", ident, "cat", input="piped").stdout == "piped")
    for args, words in ((["nonsense"], "executable file not found in $PATH"), (["/no/such"], "no such file or directory"), (["/etc/passwd"], "permission denied")):
        r = w.oci("exec", ident, *args)
        w.check("exec %s" % args, r.returncode == 255 and words in r.stderr, r)
    r = w.oci("exec", "--cwd", "/nowhere", ident, "true")
    w.check("exec --cwd of nothing", r.returncode == 255 and 'chdir to cwd ("/nowhere") set in config.json failed: no such file or directory' in r.stderr, r)
    w.check("exec killed", w.oci("exec", ident, "sh", "-c", "kill -9 $$").returncode == 137)
    w.check("exec --", w.oci("exec", ident, "ls", "-d", "/tmp").stdout == "/tmp\n")
    r = w.oci("exec", ident, "cut", "-d ", "-f4,6", "/proc/self/stat")
    w.check("exec's parent is outside", r.stdout.split()[0] == "0", r)


@group("exec")
def detached():
    ident, path, r = w.create("sleep", "100")
    w.oci("start", ident)
    subreaper(True)
    p = os.path.join(w.top, "process.json")

    def start(script):
        with open(p, "w") as f:
            json.dump(dict(w.spec("sh", "-c", script)["process"]), f)
        with open(w.top + "/exec.out", "w") as out:
            r = subprocess.run([w.runtime, "--root", w.states, "exec", "--process", p, "--detach", "--pid-file", w.top + "/exec.pid", ident],
                               stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        os.unlink(p)
        return r.returncode, int(open(w.top + "/exec.pid").read())

    def status(pid):
        while True:
            got, st = os.wait()
            if got == pid:
                return os.waitstatus_to_exitcode(st)
    r, pid = start("echo here; exit 6")
    w.check("exec --detach", r == 0 and status(pid) == 6 and open(w.top + "/exec.out").read() == "here\n")
    r, pid = start("trap 'exit 8' TERM; while :; do sleep 0.05; done")
    w.check("in the container's cgroup", "/sbx/" + ident in open("/proc/%d/cgroup" % pid).read())
    w.check("in ps", pid in json.loads(w.oci("ps", "--format=json", ident).stdout))
    time.sleep(0.2)
    os.kill(pid, signal.SIGTERM)
    w.check("a signal to its proxy", status(pid) == 8)
    r, pid = start("echo $$ >/tmp/pid; sleep 100")
    time.sleep(0.3)
    os.kill(pid, signal.SIGKILL)
    status(pid)
    time.sleep(0.3)
    r = w.oci("exec", ident, "sh", "-c", "kill -0 $(cat /tmp/pid) 2>/dev/null && echo lives")
    w.check("SIGKILL of its proxy ends the process", r.stdout == "", r)
    r = w.oci("exec", "--detach", ident, "nonsense")
    w.check("exec --detach of nothing", r.returncode == 1 and "executable file not found" in r.stderr, r)
    subreaper(False)


@group("exec")
def passed():
    """--preserve-fds and LISTEN_FDS: descriptors of ours, by a shell that puts them there."""
    given = os.path.join(w.top, "given")
    with open(given, "w") as f:
        f.write("of the host\n")

    def call(redirect, *args, fds=(), env=None):
        return subprocess.run(["sh", "-c", 'exec "$0" "$@" ' + redirect, w.runtime, "--root", w.states, *args], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60, pass_fds=fds, env=dict(os.environ, **(env or {})))

    def run(redirect, n, script, **more):
        return call(redirect, "run", "--preserve-fds", str(n), "--bundle", w.bundle(w.spec("sh", "-c", script)), w.id(), **more)
    r = run("3<%s 4>%s/to" % (given, w.top), 2, "cat <&3; echo back >&4; ls /proc/self/fd | tr '\\n' ' '")
    w.check("--preserve-fds", r.stdout == "of the host\n0 1 2 3 4 5 " and open(w.top + "/to").read() == "back\n", r)
    r = run("3<%s" % given, 1, "echo x 2>/dev/null >&3 || echo refused")
    w.check("one to be read is not written", r.stdout == "refused\n", r)
    r = run("3<%s" % given, 0, "test -e /proc/self/fd/3 || echo none")
    w.check("--preserve-fds 0", r.stdout == "none\n", r)
    r = run("3<%s" % given, 2, "true")
    w.check("one that is not there", r.returncode == 1 and "unable to stat preserved-fd 1 (of 2)" in r.stderr, r)
    r = run("3</etc", 1, "true")
    w.check("a directory", r.returncode == 1 and "descriptor 3 cannot be passed on: it is a directory" in r.stderr, r)
    r = run("3</dev/loop-control", 1, "true") if os.path.exists("/dev/loop-control") else run("3<>/dev/ptmx", 1, "true")
    w.check("a device", r.returncode == 1 and "cannot be passed on: it is a device" in r.stderr, r)
    with socket.socket() as s:
        s.listen(1)
        r = run("3<&%d" % s.fileno(), 1, "true", fds=[s.fileno()])
    w.check("a socket that listens", r.returncode == 1 and "it is a socket that listens" in r.stderr, r)
    a, b = socket.socketpair()
    r = run("3<&%d" % b.fileno(), 1, "read line <&3; echo $line; echo answer >&3", fds=[b.fileno()]) if a.send(b"question\n") else None
    w.check("a socket with a peer", r.stdout == "question\n" and a.recv(100) == b"answer\n", r)
    r = run("3<%s" % given, 0, "env | grep LISTEN_ | sort; cat <&3", env={"LISTEN_FDS": "1", "LISTEN_FDNAMES": "one"})
    w.check("LISTEN_FDS", r.stdout == "LISTEN_FDNAMES=one\nLISTEN_FDS=1\nLISTEN_PID=1\nof the host\n", r)
    r = run("3<%s" % given, 0, "env | grep -c LISTEN_", env={"LISTEN_FDS": "1", "LISTEN_PID": "1"})
    w.check("LISTEN_FDS of another", r.stdout == "0\n", r)
    r = run("3<%s 4<%s" % (given, given), 1, "env | grep LISTEN_FDS; ls /proc/self/fd | tr '\\n' ' '", env={"LISTEN_FDS": "1"})
    w.check("both", r.stdout == "LISTEN_FDS=1\n0 1 2 3 4 5 ", r)
    ident, path, r = w.create("sleep", "100")
    w.oci("start", ident)
    r = call("3<%s" % given, "exec", "--preserve-fds", "1", ident, "sh", "-c", "cat <&3")
    w.check("exec --preserve-fds", r.stdout == "of the host\n", r)
    r = call("3<%s" % given, "exec", ident, "sh", "-c", "test $LISTEN_PID = $$ && echo mine $LISTEN_FDS", env={"LISTEN_FDS": "1"})
    w.check("exec with LISTEN_FDS", r.stdout == "mine 1\n", r)
    r = call("", "exec", "--preserve-fds", "1", ident, "true")
    w.check("exec: one that is not there", r.returncode == 255 and "unable to stat preserved-fd 0 (of 1)" in r.stderr, r)
    got, put = os.pipe()
    ident, b = w.id(), w.bundle(w.spec("sh", "-c", "echo on its way >&3; exec sleep 100 3>&-"))
    with open(os.devnull, "w") as null:
        subprocess.run(["sh", "-c", 'exec "$0" "$@" 3>&%d' % put, w.runtime, "--root", w.states, "create", "--preserve-fds", "1", "--bundle", b, ident],
                       stdin=null, stdout=null, stderr=null, pass_fds=[put])
    os.close(put)
    w.oci("start", ident)
    with os.fdopen(got) as f:
        w.check("its end is the program's", f.read() == "on its way\n" and w.state(ident)["status"] == "running")


class Manager:
    """What systemd is to a service of Type=notify: a socket, and what came there."""

    def __init__(self, name):
        self.path = os.path.join(w.top, name)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.sock.settimeout(30)
        self.env = dict(os.environ, NOTIFY_SOCKET=self.path)
        self.heard = []

    def listen(self):
        while "BARRIER=1" not in self.heard:
            data, fds, _, _ = socket.recv_fds(self.sock, 4096, 1)
            self.heard.append(data.decode())
            for fd in fds:
                os.close(fd)


@group("exec")
def notified():
    """NOTIFY_SOCKET: READY=1 comes out, nothing else does; `start` waits for it."""
    # busybox has no Unix sockets: the program is ours
    tool = os.path.join(w.tree, "bin/notify")
    with open(w.top + "/notify.c", "w") as f:
        f.write(r"""
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int s = socket(AF_UNIX, SOCK_DGRAM, 0);
    strncpy(a.sun_path, getenv("NOTIFY_SOCKET"), sizeof a.sun_path - 1);
    if (connect(s, (struct sockaddr *)&a, sizeof a))
        return 2;
    for (int i = 1; i < argc; i++)
        if (send(s, argv[i], strlen(argv[i]), 0) < 0)
            return 3;
}
""")
    if subprocess.run(["cc", "-static", "-o", tool, w.top + "/notify.c"]).returncode != 0:
        skip("no C compiler")
    m = Manager("manager")
    said = 'notify STATUS=no "MAINPID=1" && notify "STATUS=yes\nREADY=1\nMAINPID=1"'
    r = subprocess.Popen([w.runtime, "--root", w.states, "run", "--bundle", w.bundle(w.spec("sh", "-c", "echo $NOTIFY_SOCKET; " + said)), w.id()],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=m.env, text=True)
    m.listen()
    w.check("run tells READY=1 and no more", m.heard == ["READY=1", "BARRIER=1"], m.heard)
    w.check("its address inside", r.communicate()[0] == "/run/notify/notify.sock\n" and r.returncode == 0)
    m = Manager("manager2")
    ident, b = w.id(), w.bundle(w.spec("sh", "-c", "until test -e /tmp/go; do sleep 0.05; done; %s; sleep 100" % said), own=True)
    null = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": m.env}
    subprocess.run([w.runtime, "--root", w.states, "create", "--bundle", b, ident], timeout=60, **null)
    start = subprocess.Popen([w.runtime, "--root", w.states, "start", ident], **null)
    w.check("start waits until it is ready", w.wait(ident, "running") and start.poll() is None)
    time.sleep(0.3)
    w.check("and waits", start.poll() is None)
    open(b + "/rootfs/tmp/go", "w").close()
    m.listen()
    w.check("start tells who it is", start.wait(30) == 0 and m.heard == ["READY=1", "MAINPID=%d" % w.state(ident)["pid"], "BARRIER=1"], m.heard)
    ident = w.id()
    b = w.bundle(w.spec("sleep", "100"))
    subprocess.run([w.runtime, "--root", w.states, "create", "--bundle", b, ident], timeout=60, **null)
    start = subprocess.Popen([w.runtime, "--root", w.states, "start", ident], **null)
    w.check("killed before it is ready", w.wait(ident, "running") and w.oci("kill", ident, "9").returncode == 0 and start.wait(30) == 0)
    r = w.run("sh", "-c", "echo got ${NOTIFY_SOCKET-none}; grep -c notify /proc/mounts")
    w.check("without a manager", r.stdout == "got none\n0\n", r)


@group("exec")
def paused():
    ident, path, r = w.create("sh", "-c", "while :; do echo x; sleep 0.02; done")
    w.oci("start", ident)
    time.sleep(0.3)
    r = w.oci("pause", ident)
    w.check("pause", r.returncode == 0 and w.state(ident)["status"] == "paused", r)
    n = os.stat(path + "/out").st_size
    time.sleep(0.3)
    w.check("nothing runs", os.stat(path + "/out").st_size == n > 0, n)
    r = w.oci("exec", ident, "true")
    w.check("exec in a paused one", r.returncode == 255 and "cannot exec in a paused container" in r.stderr, r)
    w.check("resume", w.oci("resume", ident).returncode == 0 and w.state(ident)["status"] == "running")
    time.sleep(0.3)
    w.check("it goes on", os.stat(path + "/out").st_size > n)
    w.oci("pause", ident)
    w.check("kill 9 of a paused one", w.oci("kill", ident, "9").returncode == 0 and w.wait(ident, "stopped"))


@group("exec")
def terminal():
    """--console-socket: we get the other side of a terminal."""
    sock = os.path.join(w.top, "console")
    s = socket.socket(socket.AF_UNIX)
    s.bind(sock)
    s.listen(1)
    ident = w.id()
    b = w.bundle(w.spec("sh", "-c", "tty; stty size; test -c /dev/console && echo console; read a; echo got $a; exit 4", process__terminal=True,
                        process__consoleSize={"height": 33, "width": 99}))
    r = w.oci("create", "--bundle", b, ident)
    w.check("a terminal without a socket", r.returncode == 1 and "cannot allocate tty if runc will detach without setting console socket" in r.stderr, r)
    r = w.oci("create", "--bundle", w.bundle(w.spec("true")), "--console-socket", sock, ident)
    w.check("a socket without a terminal", r.returncode == 1 and "cannot use console socket if runc will not detach or allocate tty" in r.stderr, r)
    r = w.oci("create", "--bundle", b, "--console-socket", "/no/such/socket", ident)
    w.check("no such socket", r.returncode == 1 and "no such file or directory" in r.stderr and w.state(ident)["status"] == "none", r)
    r = w.oci("create", "--bundle", b, "--console-socket", sock, ident)
    w.check("create with a terminal", r.returncode == 0, r)
    c, _ = s.accept()
    data, fds, _, _ = socket.recv_fds(c, 100, 1)
    w.check("a master comes", len(fds) == 1 and len(data) > 0)
    w.oci("start", ident)
    out = b""
    while b"console" not in out:
        out += os.read(fds[0], 1000)
    w.check("tty and size", out.replace(b"\r", b"").split() == [b"/dev/pts/0", b"33", b"99", b"console"], out)
    os.write(fds[0], b"hello\n")
    while b"got hello" not in out:
        out += os.read(fds[0], 1000)
    w.check("terminal: ended", w.wait(ident, "stopped"))


@group("life")
def pidfd():
    """--pidfd-socket: the process that the pid file names, as a descriptor."""
    sock = os.path.join(w.top, "pidfd")
    s = socket.socket(socket.AF_UNIX)
    s.bind(sock)
    s.listen(1)
    ident = w.id()
    b = w.bundle(w.spec("sleep", "100"))
    r = w.oci("create", "--bundle", b, "--pidfd-socket", "/no/such/socket", ident)
    w.check("no such socket for a pidfd", r.returncode == 1 and "no such file or directory" in r.stderr and w.state(ident)["status"] == "none", r)
    r = subprocess.run([w.runtime, "--root", w.states, "create", "--bundle", b, "--pidfd-socket", sock, ident], stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
    w.check("create with --pidfd-socket", r.returncode == 0, r)
    c, _ = s.accept()
    data, fds, _, _ = socket.recv_fds(c, 100, 1)
    with open("/proc/self/fdinfo/%d" % fds[0]) as f:
        pid = [int(line.split()[1]) for line in f if line.startswith("Pid:")]
    w.check("it is the init proxy's", pid == [w.state(ident)["pid"]], (pid, data))
    signal.pidfd_send_signal(fds[0], signal.SIGKILL)
    w.check("pidfd: ended", w.wait(ident, "stopped"))


def main():
    global w
    if os.geteuid() != 0:
        skip("only root makes cgroups and namespaces so")
    w = World(sys.argv[1])
    sys.exit(w.run_cases(CASES[sys.argv[2]], sys.argv[3:]))


if __name__ == "__main__":
    main()
