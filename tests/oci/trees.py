# SPDX-License-Identifier: Apache-2.0
"""trees.py SBX [CASE ...]: what a container is shown, and where its output goes; runc says what is right, where it is installed."""
import json
import os
import pty
import shutil
import subprocess
import sys
import threading
import time

from bundle import World, skip
from users import MAP, BASE, mapped


def both(world, spec, prepare=None):
    """The output by sbx and by runc (None: not installed), each with a tree of its own."""
    out = []
    for runtime in (world.runtime, shutil.which("runc")):
        if not runtime:
            out.append(None)
            continue
        b = world.bundle(spec, own=True)
        if prepare:
            prepare(b + "/rootfs")
        r = subprocess.run([runtime, "--root", world.states, "run", "--bundle", b, world.id()], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=60)
        out.append((r.returncode, r.stdout))
        out.append(b)
    return out


def same(world, what, spec, prepare=None, want=None):
    ours, b, theirs, *_ = both(world, spec, prepare) + [None]
    world.check(what, ours[0] == 0 and (want is None or ours[1] == want), ours)
    world.check(what + ": as runc", theirs is None or theirs == ours, (ours, theirs))
    return b


def links(world):
    """A bind on a link that leads to nothing makes what it leads to, inside the rootfs."""
    f = world.top + "/hosts"
    with open(f, "w") as out:
        out.write("shown\n")
    for target, made in (("../run/systemd/resolve/stub.conf", "run/systemd/resolve/stub.conf"), ("/../../up", "up"), ("../../../x", "x"), ("chain", "etc/end")):
        def prepare(root):
            os.symlink(target, root + "/etc/resolv.conf")
            os.symlink("end", root + "/etc/chain")
        spec = world.spec("cat", "/etc/resolv.conf", "/" + made)
        spec["mounts"].append({"destination": "/etc/resolv.conf", "type": "bind", "source": f, "options": ["rbind", "ro"]})
        b = same(world, "a bind on a link to %s" % target, spec, prepare, "shown\nshown\n")
        world.check("%s: made in the rootfs" % target, os.path.isfile("%s/rootfs/%s" % (b, made)))
    spec = world.spec("true")
    spec["mounts"].append({"destination": "/etc/loop", "type": "bind", "source": f, "options": ["rbind"]})
    b = world.bundle(spec, own=True)
    os.symlink("loop", b + "/rootfs/etc/loop")
    r = world.oci("run", "--bundle", b, world.id())
    world.check("a link to itself", r.returncode == 1 and "symbolic link loop" in r.stderr, r)
    spec = world.spec("true")
    spec["mounts"] = [m for m in spec["mounts"] if not m["destination"].startswith("/dev")]
    b = world.bundle(spec, own=True)
    shutil.rmtree(b + "/rootfs/dev")
    os.symlink("/tmp", b + "/rootfs/dev")
    r = world.oci("run", "--bundle", b, world.id())
    world.check("/dev that is a link", r.returncode == 1 and "symbolic link" in r.stderr, r)


def tmpfs(world):
    """Mode and options of a tmpfs, and how they show."""
    def prepare(root):
        os.mkdir(root + "/odd")
        os.chmod(root + "/odd", 0o712)
    def spec_of(options, path):
        spec = world.spec("sh", "-c", "stat -c %%a %s; grep ' %s ' /proc/self/mountinfo | cut -d' ' -f5- | sed s/,inode64//" % (path, path))
        spec["mounts"].append({"destination": path, "type": "tmpfs", "source": "tmpfs", "options": options})
        return spec
    for options, path in (([], "/odd"), ([], "/new"), (["size=64k", "nosuid", "noexec"], "/odd"), (["strictatime", "nodev"], "/odd"),
                          (["noatime", "ro"], "/odd"), (["sync", "dirsync"], "/odd")):
        same(world, "tmpfs %s at %s" % (options, path), spec_of(options, path), prepare)
    for mode in ("1777", "700"):  # old runc does as if none were given
        ours = both(world, spec_of(["mode=0" + mode], "/odd"), prepare)[0]
        world.check("tmpfs of mode " + mode, ours[1].startswith(mode + "\n"), ours)


def devices(world):
    """A device of the host is a node without a driver."""
    ask = "for d in one two three; do stat -c '%F %a %u:%g %t:%T' /dev/$d; done; cat /dev/one 2>&1 | sed 's/.*: //'"
    spec = world.spec("sh", "-c", ask)
    spec["linux"]["devices"] = [{"path": "/dev/one", "type": "c", "major": 251, "minor": 1, "fileMode": 0o644, "uid": 3, "gid": 4},
                                {"path": "/dev/two", "type": "b", "major": 8, "minor": 666, "fileMode": 0o600, "uid": 0, "gid": 6},
                                {"path": "/dev/three", "type": "p", "fileMode": 0o660, "uid": 1, "gid": 2}]
    r = world.oci("run", "--bundle", world.bundle(spec), world.id())
    world.check("nodes", r.stdout == "character special file 644 3:4 fb:1\nblock special file 600 0:6 8:29a\nfifo 660 1:2 0:0\n"
                "No such device or address\n" and "2 devices of the host cannot be opened inside" in r.stderr, r)


def hidden(world):
    """What Docker masks and protects is there to be masked and protected."""
    spec = world.spec("sh", "-c", "ls -d /proc/acpi /proc/bus /proc/fs /proc/irq; ls /proc/acpi; grep ' /proc/bus ' /proc/self/mountinfo | cut -d' ' -f6")
    for m in spec["mounts"]:
        if m["destination"] == "/proc":
            m["options"] = ["nosuid", "noexec", "nodev"]
    spec["linux"]["readonlyPaths"] = ["/proc/bus"]
    spec["linux"]["maskedPaths"] = ["/proc/acpi"]
    r = world.oci("run", "--bundle", world.bundle(spec), world.id())
    world.check("hidden", r.stdout == "/proc/acpi\n/proc/bus\n/proc/fs\n/proc/irq\nro,nosuid,nodev,noexec,relatime\n", r)


def users(world):
    """Binds from where the container's root may not go; maps that nobody gave."""
    os.chmod(world.top, 0o711)
    closed = world.top + "/closed/in"
    os.makedirs(closed)
    for n in ("f", "alone"):
        with open("%s/%s" % (closed, n), "w") as f:
            f.write(n + "\n")
    os.chmod(world.top + "/closed", 0)
    spec = mapped(world, "cat", "/v/f", "/w")
    spec["mounts"] += [{"destination": "/v", "type": "bind", "source": closed, "options": ["rbind", "ro"]},
                       {"destination": "/w", "type": "bind", "source": closed + "/alone", "options": ["rbind", "ro"]}]
    b = world.bundle(spec, own=True)
    subprocess.run(["chown", "-Rh", "%d:%d" % (BASE, BASE), b + "/rootfs"], check=True)
    r = world.oci("run", "--bundle", b, world.id())
    world.check("binds from a closed directory", (r.returncode, r.stdout) == (0, "f\nalone\n"), r)
    spec = world.spec("sh", "-c", "id -u; cat /proc/self/uid_map; stat -c %u /; touch /tmp/x && stat -c %u /tmp/x")
    spec["linux"]["namespaces"].append({"type": "user"})
    r = world.oci("run", "--bundle", world.bundle(spec, own=True), world.id())
    lines = r.stdout.split("\n")
    world.check("maps left out", r.returncode == 0 and lines[0] == "0" and lines[1].split()[:2] == ["0", "0"] and lines[2:] == ["0", "0", ""], r)
    spec["linux"]["uidMappings"] = MAP
    r = world.oci("run", "--bundle", world.bundle(spec), world.id())
    world.check("one of them left out", r.returncode == 1 and "linux.gidMappings" in r.stderr, r)
    names = json.loads(world.oci("features").stdout)["linux"]["namespaces"]
    world.check("features name them", "user" in names, names)


def piped(world, args, **more):
    """With a terminal for input and errors: what came by standard output, and what the terminal has shown."""
    master, slave = pty.openpty()
    shown = []

    def drain():
        try:
            while data := os.read(master, 4096):
                shown.append(data)
        except OSError:
            pass
    t = threading.Thread(target=drain)
    t.start()
    r = subprocess.run([world.runtime, "--root", world.states, *args], stdin=slave, stdout=subprocess.PIPE, stderr=slave, timeout=60,
                       start_new_session=True, **more)
    os.close(slave)
    t.join()
    os.close(master)
    return r.returncode, r.stdout, b"".join(shown)


def terminals(world):
    """A terminal inside, standard output a pipe: what is printed goes there, as with runc."""
    big = "tty -s && echo yes; i=0; while [ $i -lt 3000 ]; do echo 01234567890123456789012345678901234567890123456789; i=$((i+1)); done; echo end; exit 3"
    spec = world.spec("sh", "-c", big, process__terminal=True)
    code, out, shown = piped(world, ["run", "--bundle", world.bundle(spec), world.id()])
    lines = out.replace(b"\r", b"").split(b"\n")
    world.check("run", code == 3 and lines[0] == b"yes" and lines[-2] == b"end" and len(lines) == 3003 and shown == b"",
                (code, len(lines), out[:100], shown[:200]))
    ident, _, _ = world.create("sleep", "100")
    world.oci("start", ident)
    code, out, shown = piped(world, ["exec", "-t", ident, "sh", "-c", big])
    lines = out.replace(b"\r", b"").split(b"\n")
    world.check("exec", code == 3 and lines[0] == b"yes" and lines[-2] == b"end" and len(lines) == 3003 and shown == b"",
                (code, len(lines), out[:100], shown[:200]))


def creating(world):
    """Who asks early is told that there is none yet; what would wait for what never comes is refused."""
    spec = world.spec("true")
    spec["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "3"]}]}
    ident = world.id()
    p = subprocess.Popen([world.runtime, "--root", world.states, "create", "--bundle", world.bundle(spec), ident], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    answers = set()
    while p.poll() is None:
        r = world.oci("state", ident)
        answers.add(json.loads(r.stdout)["status"] if r.returncode == 0 else r.stderr.split(":")[0].strip())
        time.sleep(0.02)
    world.check("state while it is made", "container does not exist" in answers and not answers - {"container does not exist", "created"}, answers)
    world.check("and then", world.state(ident)["status"] == "created", world.state(ident))
    for member, value, word in (("seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/x"}, "listenerPath"),
                                ("netDevices", {"eth0": {}}, "netDevices")):
        spec = world.spec("true")
        spec["linux"][member] = value
        r = world.oci("run", "--bundle", world.bundle(spec), world.id())
        world.check(member, r.returncode == 1 and word in r.stderr, r)


def told(world):
    """Where a bind lies on the host, by which programs find their container's id; a sysctl of the network; rules for devices."""
    spec = world.spec("sh", "-c", "grep ' /v\\| /h ' /proc/self/mountinfo | cut -d' ' -f4,5; cat /proc/sys/net/ipv4/ip_forward; sleep 100",
                      linux__sysctl={"net.ipv4.ip_forward": "1"})
    spec["mounts"] += [{"destination": "/v", "type": "bind", "source": "/usr/share", "options": ["rbind"]},
                       {"destination": "/h", "type": "bind", "source": "/etc/hosts", "options": ["rbind"]}]
    spec["linux"]["resources"] = {"devices": [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"}]}
    ident, path = world.id(), world.bundle(spec)
    with open(path + "/out", "w") as out:
        subprocess.run([world.runtime, "--root", world.states, "create", "--bundle", path, ident], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    world.oci("start", ident)
    want, end = "/usr/share /v\n/etc/hosts /h\n1\n", time.time() + 20
    while open(path + "/out").read() != want and time.time() < end:
        time.sleep(0.05)
    world.check("told", open(path + "/out").read() == want, open(path + "/out").read())
    rules = "/sys/fs/cgroup/devices/sbx/%s/devices.list" % ident
    if os.path.exists(rules):
        with open(rules) as f:
            lines = f.read().splitlines()
        world.check("rules for devices", lines[0] == "c 10:229 rw" and "c 1:3 rwm" in lines and "a *:* rwm" not in lines, lines)
    else:
        print("not looked at: rules for devices, there is no such controller")
    spec["linux"]["resources"]["devices"][1]["access"] = "x"
    r = world.oci("run", "--bundle", world.bundle(spec), world.id())
    world.check("a rule that is none", r.returncode == 1 and "linux.resources.devices.access" in r.stderr, r)


CASES = (links, tmpfs, devices, hidden, told, users, terminals, creating)


def main():
    if os.geteuid() != 0:
        skip("only root makes cgroups and namespaces so")
    world = World(sys.argv[1])
    sys.exit(world.run_cases(CASES, sys.argv[2:], world))


if __name__ == "__main__":
    main()
