# SPDX-License-Identifier: Apache-2.0
"""users.py SBX: user namespaces and maps of ids, as root and as an ordinary user; runc says what is right, where it is installed."""
import json
import os
import shutil
import subprocess
import sys

from bundle import World, skip

BASE, NOBODY = 1800000000, 1234567
MAP = [{"containerID": 0, "hostID": BASE, "size": 65536}]
SPLIT = [{"containerID": 0, "hostID": BASE + 1000, "size": 1}, {"containerID": 1, "hostID": BASE + 2000, "size": 999},
         {"containerID": 1000, "hostID": BASE, "size": 1}]
ASK = """cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; id -u; id -g
cd /tmp; touch a; chown 5:6 a; stat -c '%u %g' a; chown 70000 a 2>/dev/null || echo unmapped
stat -c '%u' /v/foreign; cat /v/secret 2>/dev/null || echo closed; (echo x >/v/foreign) 2>/dev/null || echo refused
mkdir d; chmod 2755 d; stat -c '%a' d; ln -s a l; stat -c '%u' l; echo out >/v/out; stat -c '%u %g' /v/out"""


def mapped(world, *args, maps=None, **change):
    """A spec with a user namespace of its own."""
    spec = world.spec(*args, **change)
    spec["linux"]["namespaces"].append({"type": "user"})
    spec["linux"]["uidMappings"] = spec["linux"]["gidMappings"] = maps or MAP
    caps = spec["process"]["capabilities"]
    for kind in ("bounding", "effective", "permitted"):
        caps[kind] = caps[kind] + ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETUID", "CAP_SETGID", "CAP_FSETID"]
    return spec


def own(world, spec, uid=BASE):
    """A bundle whose tree belongs to the container's root."""
    path = world.bundle(spec, own=True)
    subprocess.run(["chown", "-Rh", "%d:%d" % (uid, uid), path + "/rootfs"], check=True)
    return path


def volume(world, name):
    """Of the container's root, with files in it of the host's root, one that nobody else may read."""
    path = os.path.join(world.top, name)
    os.makedirs(path)
    for f, mode in (("foreign", 0o644), ("secret", 0o600)):
        with open(os.path.join(path, f), "w") as out:
            out.write(f + "\n")
        os.chmod(os.path.join(path, f), mode)
    os.chown(path, BASE, BASE)
    return path


def bind(spec, path):
    spec["mounts"].append({"destination": "/v", "type": "bind", "source": path, "options": ["rbind", "rw"]})
    return spec


def maps(world):
    answers = {}
    for name, runtime in (("sbx", world.runtime), ("runc", shutil.which("runc"))):
        if not runtime:
            print("not compared: runc is not installed")
            break
        vol = volume(world, "vol-" + name)
        b = own(world, bind(mapped(world, "sh", "-c", ASK), vol))
        r = subprocess.run([runtime, "--root", world.states, "run", "--bundle", b, world.id()], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=60)
        st, made = os.stat(b + "/rootfs/tmp/a"), os.stat(vol + "/out")
        answers[name] = (r.returncode, r.stdout, r.stderr, st.st_uid, st.st_gid, made.st_uid, made.st_gid)
        world.check("%s: another's file stays" % name, open(vol + "/foreign").read() == "foreign\n")
    ours = answers["sbx"]
    world.check("owners on the host", ours[3:] == (BASE + 5, BASE + 6, BASE, BASE), ours)
    world.check("inside", all(w in ours[1] for w in ("5 6\n", "unmapped\n", "65534\n", "closed\n", "refused\n", "%d" % BASE)), ours)
    world.check("as runc", answers.get("runc", ours) == ours, answers)
    b = own(world, mapped(world, "sh", "-c", "id -u; cat /proc/self/uid_map | wc -l; touch /tmp/k; stat -c %u /tmp/k", maps=SPLIT,
                          process__user={"uid": 1000, "gid": 1000}))
    r = world.oci("run", "--bundle", b, world.id())
    world.check("several ranges", r.stdout == "1000\n3\n1000\n" and os.stat(b + "/rootfs/tmp/k").st_uid == BASE, r)


def refused(world):
    def one(what, spec, word):
        r = world.oci("run", "--bundle", own(world, spec), world.id())
        world.check(what, r.returncode == 1 and word in r.stderr, r)
    spec = mapped(world, "true")
    spec["linux"]["namespaces"].pop()
    one("maps without a namespace", spec, "user")
    spec = mapped(world, "true")
    del spec["linux"]["gidMappings"]
    one("a namespace without maps", spec, "gidMappings")
    one("ranges that overlap", mapped(world, "true", maps=MAP + [{"containerID": 10, "hostID": 5, "size": 10}]), "uid map")
    one("a range past the end", mapped(world, "true", maps=[{"containerID": 1, "hostID": 1, "size": 4294967295}]), "size")
    one("no size", mapped(world, "true", maps=[{"containerID": 1, "hostID": 1, "size": 0}]), "size")
    one("not a number", mapped(world, "true", maps=[{"containerID": "0", "hostID": 1, "size": 1}]), "whole number")
    one("a user who is not mapped", mapped(world, "true", process__user={"uid": 70000, "gid": 0}), "unmapped user")
    one("a group that is not mapped", mapped(world, "true", process__user={"uid": 0, "gid": 0, "additionalGids": [70000]}), "unmapped")
    spec = mapped(world, "true")
    spec["linux"]["namespaces"][-1]["path"] = "/proc/self/ns/nothing"
    one("a path that is not there", spec, "user namespace")


def idmaps(world):
    """Of the host's root outside, of the container's inside, and what is made there, too."""
    vol, b = os.path.join(world.top, "idmap"), None
    os.makedirs(vol)
    for name in ("f", "single"):
        with open("%s/%s" % (vol, name), "w") as f:
            f.write(name + "\n")
        os.chmod("%s/%s" % (vol, name), 0o600)
    os.chown(vol + "/single", 3, 4)
    spec = mapped(world, "sh", "-c", "stat -c '%u %g' /v/f /s; cat /v/f; touch /v/new; chown 7:8 /v/new; stat -c '%u %g' /v/new; touch /r/x")
    for dst, src, how in (("/v", vol, ["rw"]), ("/s", vol + "/single", ["rw"]), ("/r", vol, ["ro"])):
        spec["mounts"].append({"destination": dst, "type": "bind", "source": src, "options": ["rbind", "idmap", *how]})
    b = own(world, spec)
    r = world.oci("run", "--bundle", b, world.id())
    if "MOUNT_ATTR_IDMAP" in r.stderr:
        print("not asked: mounts with maps of ids: " + r.stderr)
        return
    world.check("idmap inside", r.stdout == "0 0\n3 4\nf\n7 8\n" and r.returncode == 1 and "Read-only" in r.stderr, r)
    st = os.stat(vol + "/new")
    world.check("idmap outside", (st.st_uid, st.st_gid) == (7, 8), st)
    spec = world.spec("stat", "-c", "%u", "/v/f") # without a user namespace, by maps of the mount
    some = [{"containerID": 0, "hostID": 5000, "size": 100}]
    spec["mounts"].append({"destination": "/v", "type": "bind", "source": vol, "options": ["rbind"], "uidMappings": some, "gidMappings": some})
    r = world.oci("run", "--bundle", world.bundle(spec), world.id())
    world.check("idmap by the mount's own maps", r.stdout == "5000\n", r)
    del spec["mounts"][-1]["uidMappings"], spec["mounts"][-1]["gidMappings"]
    spec["mounts"][-1]["options"].append("idmap")
    r = world.oci("run", "--bundle", world.bundle(spec), world.id())
    world.check("idmap without maps", r.returncode == 1 and "idmap needs maps" in r.stderr, r)


def life(world):
    ident, out = world.id(), open(os.path.join(world.top, "life"), "w")
    b = own(world, mapped(world, "sh", "-c", "trap 'exit 9' TERM; while :; do sleep 0.1; done"))
    r = subprocess.run([world.runtime, "--root", world.states, "create", "--bundle", b, ident], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    pid = world.state(ident)["pid"]
    world.check("create", r.returncode == 0 and pid > 0, open(out.name).read())
    world.check("the proxy's own map", open("/proc/%d/uid_map" % pid).read().split() == ["0", str(BASE), "65536"])
    world.check("the proxy's user", os.stat("/proc/%d" % pid).st_uid == BASE)
    world.check("start", world.oci("start", ident).returncode == 0)
    r = world.oci("exec", "--user", "7:8", ident, "sh", "-c", "id -u; id -g; cat /proc/self/uid_map")
    world.check("exec", r.stdout.split() == ["7", "8", "0", str(BASE), "65536"], r)
    r = world.oci("exec", "--user", "70000", ident, "true")
    world.check("exec of a user who is not mapped", r.returncode == 255 and "unmapped user" in r.stderr, r)
    joined = mapped(world, "sh", "-c", "cat /proc/self/uid_map; touch /tmp/j; stat -c %u /tmp/j")
    joined["linux"]["namespaces"][-1]["path"] = "/proc/%d/ns/user" % pid
    del joined["linux"]["uidMappings"], joined["linux"]["gidMappings"]
    jb = own(world, joined)
    r = world.oci("run", "--bundle", jb, world.id())
    world.check("joined by a path", r.stdout.split() == ["0", str(BASE), "65536", "0"] and os.stat(jb + "/rootfs/tmp/j").st_uid == BASE, r)
    world.check("pause", world.oci("pause", ident).returncode == 0 and world.oci("resume", ident).returncode == 0)
    world.check("kill", world.oci("kill", ident, "TERM").returncode == 0 and world.wait(ident, "stopped"))
    world.check("delete", world.oci("delete", ident).returncode == 0)


def ordinary(world):
    """As a user who has one id, and nothing else."""
    if not shutil.which("setpriv"):
        print("not asked: an ordinary user, since setpriv is not installed")
        return
    top = os.path.join(world.top, "user")
    shutil.copytree(world.tree, top + "/rootfs", symlinks=True)
    for d in ("bin", "run"):
        os.mkdir("%s/%s" % (top, d))
    shutil.copy(world.runtime, top + "/bin/sbx-oci")
    os.symlink("sbx-oci", top + "/bin/sbx")
    one = [{"containerID": 0, "hostID": NOBODY, "size": 1}]
    spec = mapped(world, "sh", "-c", "cat /proc/self/uid_map /proc/self/setgroups; touch /tmp/u; stat -c %u /tmp/u; exit 4", maps=one,
                  linux__resources={"memory": {"limit": 64 << 20}})
    spec["root"]["path"] = "rootfs"
    with open(top + "/config.json", "w") as f:
        json.dump(spec, f)
    subprocess.run(["chown", "-Rh", "%d:%d" % (NOBODY, NOBODY), top], check=True)
    env = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": top + "/run"}
    as_user = ["setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY, "--clear-groups"]
    r = subprocess.run(as_user + [top + "/bin/sbx-oci", "run", world.id()], cwd=top, env=env, stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=60)
    world.check("an ordinary user", r.returncode == 4 and r.stdout.split() == ["0", str(NOBODY), "1", "deny", "0"], r)
    world.check("that limits are not held is said", r.stderr.count("not held") == 1, r)
    plain = top + "/plain"
    os.makedirs(plain)
    os.symlink("../rootfs", plain + "/rootfs")
    os.chown(plain, NOBODY, NOBODY)
    r = subprocess.run(as_user + [top + "/bin/sbx-oci", "spec", "--rootless"], cwd=plain, env=env, capture_output=True, text=True)
    world.check("spec --rootless", r.returncode == 0, r)
    with open(plain + "/config.json") as f:
        spec = json.load(f)
    spec["process"].update(terminal=False, args=["sh", "-c", "id -u; cat /proc/self/uid_map"])
    with open(plain + "/config.json", "w") as f:
        json.dump(spec, f)
    r = subprocess.run(as_user + [top + "/bin/sbx-oci", "run", world.id()], cwd=plain, env=env, stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=60)
    world.check("as it says", (r.stdout.split(), r.stderr) == (["0", "0", str(NOBODY), "1"], ""), r)
    world.check("nothing of it is left", os.listdir(top + "/run/sbx-oci") == [])
    r = subprocess.run(as_user + ["unshare", "-Ur", top + "/bin/sbx", "run", "--", "/bin/true"], env=env, stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=60)
    world.check("sbx run as root of a user namespace with one id", r.returncode == 0, r)


def main():
    if os.geteuid() != 0:
        skip("this test makes files of many owners: it is started as root")
    world = World(sys.argv[1])
    os.chmod(world.top, 0o755)
    try:
        maps(world)
        refused(world)
        idmaps(world)
        life(world)
        ordinary(world)
    finally:
        status = world.end()
    sys.exit(status)


if __name__ == "__main__":
    main()
