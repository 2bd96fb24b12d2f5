# SPDX-License-Identifier: Apache-2.0
"""pod.py SBX: a second container that joins the namespaces of a first one by path, as pods have it; beside runc where that is installed."""
import os
import shutil
import subprocess
import sys

from bundle import World, skip

PORT, ADDRESS = "7070", "10.97.0.1"
SERVE = "while :; do echo served | nc -l -p %s; done" % PORT
ASK = """hostname
ask() { n=0; while [ $n -lt 100 ]; do out=$(nc $1 %s </dev/null 2>/dev/null) && [ -n "$out" ] && break; n=$((n+1)); sleep 0.05; done; echo $1 $out; }
ask 127.0.0.1; ask %s
nc -w 2 %s 7071 </dev/null || echo nobody""" % (PORT, ADDRESS, ADDRESS)


def answers(world, runtime, name):
    def oci(*args, **more):
        return subprocess.run([runtime, "--root", world.states + "-" + name, *args], capture_output=True, text=True, timeout=90, **more)
    ident, member = world.id(), world.id()
    b = world.bundle(world.spec("sh", "-c", SERVE, hostname="the-pod"))
    with open(b + "/out", "w") as out:
        subprocess.run([runtime, "--root", world.states + "-" + name, "create", "--bundle", b, "--pid-file", b + "/pid", ident],
                       stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=60)
    pid = open(b + "/pid").read()
    # As CNI does it: between create and start, from outside.
    subprocess.run(["nsenter", "-t", pid, "-n", "sh", "-c", "ip link set lo up; ip link add br0 type bridge && ip addr add %s/24 dev br0 && ip link set br0 up"
                    % ADDRESS], check=True)
    oci("start", ident)
    spec = world.spec("sh", "-c", ASK)
    del spec["hostname"]
    for ns in spec["linux"]["namespaces"]:
        if ns["type"] in ("network", "uts", "ipc"):
            ns["path"] = "/proc/%s/ns/%s" % (pid, {"network": "net"}.get(ns["type"], ns["type"]))
    r = oci("run", "--bundle", world.bundle(spec), member, stdin=subprocess.DEVNULL)
    oci("delete", "--force", ident)
    return r.returncode, r.stdout, r.stderr


def main():
    if os.geteuid() != 0:
        skip("this test is started as root")
    alone = ["unshare", "--net", "ip", "link", "add", "probe", "type", "bridge"]
    if not shutil.which("ip") or subprocess.run(alone, capture_output=True).returncode:
        skip("no bridge can be made here")
    world = World(sys.argv[1])
    try:
        ours = answers(world, world.runtime, "sbx")
        world.check("the pod's name, localhost and address", ours[:2] == (0, "the-pod\n127.0.0.1 served\n%s served\nnobody\n" % ADDRESS), ours)
        if shutil.which("runc"):
            theirs = answers(world, shutil.which("runc"), "runc")
            world.check("as runc", ours == theirs, (ours, theirs))
        else:
            print("not compared: runc is not installed")
    finally:
        status = world.end()
    sys.exit(status)


if __name__ == "__main__":
    main()
