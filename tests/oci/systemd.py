#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""systemd.py SBX: --systemd-cgroup, against a manager of our own on a bus of our own, which writes down what it is told
and moves processes as systemd does."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from bundle import World, skip

MANAGER = r"""
import dbus, dbus.service, json, os, sys
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib
DBusGMainLoop(set_as_default=True)
log, top = sys.argv[1], sys.argv[2]
M = "org.freedesktop.systemd1.Manager"

def plain(v):
    if isinstance(v, dbus.Array):
        return [plain(x) for x in v]
    return bool(v) if isinstance(v, dbus.Boolean) else int(v) if isinstance(v, int) else str(v)

class Manager(dbus.service.Object):
    jobs, subscribed = 0, False
    def say(self, *what):
        with open(log, "a") as f:
            f.write(json.dumps(what) + "\n")
    def job(self, unit, result="done"):
        self.jobs += 1
        path = dbus.ObjectPath("/org/freedesktop/systemd1/job/%d" % self.jobs)
        if self.subscribed:
            GLib.timeout_add(50, lambda: self.JobRemoved(self.jobs, path, unit, result))
        return path
    @dbus.service.method(M)
    def Subscribe(self):
        self.subscribed = True
    @dbus.service.signal(M, "uoss")
    def JobRemoved(self, id, job, unit, result):
        pass
    @dbus.service.method(M, "ssa(sv)a(sa(sv))", "o")
    def StartTransientUnit(self, name, mode, props, aux):
        p = {str(k): plain(v) for k, v in props}
        self.say("start", str(name), str(mode), p)
        if "bad" in name:
            return self.job(name, "failed")
        at = os.path.join(top, p["Slice"], name)
        os.makedirs(at)
        for pid in p["PIDs"]:
            with open(at + "/cgroup.procs", "w") as f:
                f.write(str(pid))
        return self.job(name)
    @dbus.service.method(M, "sba(sv)")
    def SetUnitProperties(self, name, runtime, props):
        self.say("set", str(name), bool(runtime), {str(k): plain(v) for k, v in props})
    @dbus.service.method(M, "ss", "o")
    def StopUnit(self, name, mode):
        self.say("stop", str(name))
        return self.job(name)

bus = dbus.SystemBus()
name = dbus.service.BusName("org.freedesktop.systemd1", bus)
Manager(bus, "/org/freedesktop/systemd1")
print("ready", flush=True)
GLib.MainLoop().run()
"""

CONF = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/></policy></busconfig>
"""


def tree():
    """Where the manager makes its scopes: the hierarchy that systemd has of version 1, or the one of version 2."""
    for path in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup"):
        if os.path.exists(path + "/cgroup.procs") and os.access(path, os.W_OK):
            return path
    skip("no cgroups that we may write to")


def trees():
    return sorted({os.path.realpath("/sys/fs/cgroup/" + d) for d in os.listdir("/sys/fs/cgroup")} | {"/sys/fs/cgroup"})


def main():
    if os.geteuid() != 0:
        skip("only root makes cgroups and namespaces so")
    if not os.path.exists(os.path.join(os.path.dirname(os.path.realpath(sys.argv[1])), "sbx-systemd")):
        skip("sbx-systemd is not built: no libsystemd")
    if not shutil.which("dbus-daemon") or subprocess.run(["/usr/bin/python3", "-c", "import dbus, gi.repository.GLib"], capture_output=True).returncode != 0:
        skip("dbus-daemon, or python3-dbus and python3-gi, are not installed")
    top = tempfile.mkdtemp(prefix="sbx-bus-")
    log, slice_name = os.path.join(top, "log"), "sbxtest%d" % os.getpid()
    with open(top + "/conf", "w") as f:
        f.write(CONF % (top + "/socket"))
    os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=" + top + "/socket"
    before = [os.path.join(base, "system.slice") for base in trees() if not os.path.exists(os.path.join(base, "system.slice"))]
    bus = subprocess.Popen(["dbus-daemon", "--config-file=" + top + "/conf", "--nofork"], stderr=subprocess.DEVNULL)
    for _ in range(100):
        if os.path.exists(top + "/socket"):
            break
        time.sleep(0.05)
    manager = subprocess.Popen(["/usr/bin/python3", "-c", MANAGER, log, os.path.join(tree(), slice_name + ".slice")], stdout=subprocess.PIPE, text=True)
    w = World(sys.argv[1])

    def said(verb):
        with open(log) as f:
            return [x for x in map(json.loads, f) if x[0] == verb]

    def create(path, **change):
        ident = w.id()
        b = w.bundle(w.spec("sleep", "100", linux__cgroupsPath=path, **change))
        with open(b + "/out", "w") as out:
            r = subprocess.run([w.runtime, "--root", w.states, "--systemd-cgroup", "create", "--bundle", b, ident], stdin=subprocess.DEVNULL,
                               stdout=out, stderr=out, timeout=60)
        with open(b + "/out") as f:
            return ident, r.returncode, f.read()
    try:
        w.check("the manager is on the bus", manager.stdout.readline() == "ready\n")
        inner = slice_name + "-inner.slice"
        ident, r, out = create(inner + ":pre:name", linux__resources={
            "memory": {"limit": 64 << 20}, "pids": {"limit": 20}, "cpu": {"shares": 512, "quota": 25000, "period": 100000}})
        w.check("create", r == 0, out)
        unit = "pre-name.scope"
        start = said("start")
        p = start[0][3] if start else {}
        w.check("a transient scope", start and start[0][1:3] == [unit, "replace"] and p["Slice"] == inner and p["Delegate"] is True and
                p["DefaultDependencies"] is False and len(p["PIDs"]) == 1 and ident in p["Description"], start)
        v2 = "MemoryMax" in p
        w.check("its limits", p.get("MemoryMax" if v2 else "MemoryLimit") == 64 << 20 and p.get("TasksMax") == 3 * 20 + 64 and p.get("CPUQuotaPerSecUSec") == 250000 and
                p.get("CPUQuotaPeriodUSec") == 100000 and p.get("CPUWeight" if v2 else "CPUShares") == (20 if v2 else 512) and p.get("TasksAccounting") is True, p)
        with open("/proc/%d/cgroup" % w.state(ident)["pid"]) as f:
            paths = [line.strip().split(":", 2) for line in f]
        here = [x for x in paths if x[2] == "/%s.slice/%s/%s" % (slice_name, inner, unit)]
        w.check("the init proxy is in it, in every hierarchy", len(here) >= (1 if v2 else len([x for x in paths if x[1]])), paths)
        w.check("start", w.oci("start", ident, options=["--systemd-cgroup"]).returncode == 0)
        w.check("update", w.oci("update", "--memory", str(48 << 20), "--cpu-quota", "-1", ident, options=["--systemd-cgroup"]).returncode == 0)
        last = said("set")[-1:]
        w.check("update tells it", last and last[0][1:3] == [unit, True] and last[0][3].get("MemoryMax" if v2 else "MemoryLimit") == 48 << 20 and
                last[0][3].get("CPUQuotaPerSecUSec") == 2**64 - 1, last)
        w.check("delete", w.oci("delete", "--force", ident, options=["--systemd-cgroup"]).returncode == 0 and [x[1] for x in said("stop")] == [unit], said("stop"))
        ident, r, out = create("")
        w.check("without a path", r == 0 and said("start")[-1][1] == "sbx-%s.scope" % ident and said("start")[-1][3]["Slice"] == "system.slice", (out, said("start")))
        w.oci("delete", "--force", ident, options=["--systemd-cgroup"])
        ident, r, out = create("/a/b")
        w.check("a path of the other form", r == 1 and 'expected cgroupsPath to be of format "slice:prefix:name"' in out and w.state(ident)["status"] == "none", out)
        ident, r, out = create("no-slice:a:b")
        w.check("no slice", r == 1 and "is not the name of a slice" in out, out)
        ident, r, out = create(inner + ":pre:bad")
        w.check("a job that fails", r == 1 and 'the job ended as "failed"' in out and w.state(ident)["status"] == "none", out)
        manager.kill()
        manager.wait()
        ident, r, out = create(inner + ":pre:alone")
        w.check("no manager", r == 1 and "systemd cgroup flag passed, but systemd cannot do it: systemd" in out and w.state(ident)["status"] == "none", out)
    finally:
        status = w.end()
        for p in (manager, bus):
            p.send_signal(signal.SIGTERM)
            p.wait()
        for base in trees():
            for d, _, _ in os.walk(os.path.join(base, slice_name + ".slice"), topdown=False):
                os.rmdir(d)
        for d in before:
            if os.path.isdir(d) and not os.path.islink(d):
                os.rmdir(d)
        shutil.rmtree(top, ignore_errors=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
