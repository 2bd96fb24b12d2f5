#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""processes.py SBX: what each process of a sandbox holds, seen from outside by root.

Descriptors by kind, capabilities, filters, limits, namespaces and root directories are held against
the tables here. A descriptor too many is one that a guest may come to use: a new kind of it belongs
into the table only with a reason, and into docs/security/hostile-sentry.md.
"""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from procs import children, tells

SBX = sys.argv[1]
USER = 54321  # who need not exist
O_ACCMODE, O_PATH = 3, 0o10000000
failures = []


def fail(text):
    failures.append(text)
    print("FAILED:", text)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def kind(pid, fd):
    """A descriptor's kind: what it is, and how it was opened."""
    link = os.readlink(f"/proc/{pid}/fd/{fd}")
    flags = int(re.search(r"flags:\s*(\d+)", read(f"/proc/{pid}/fdinfo/{fd}")).group(1), 8)
    mode = os.stat(f"/proc/{pid}/fd/{fd}").st_mode
    for name in ("socket", "pipe"):
        if link.startswith(name + ":"):
            return name
    if link.startswith("anon_inode:"):
        return link[len("anon_inode:"):].strip("[]")
    if link.startswith("/memfd:"):
        return "memfd"
    if re.fullmatch(r"(/proc)?/\d+/mem", link):
        return "mem of a stub"
    if flags & O_PATH:
        return "path of a directory" if mode & 0o170000 == 0o040000 else "path of a file"
    if mode & 0o170000 == 0o100000:
        return "file" if flags & O_ACCMODE == 0 else "file to write"
    if mode & 0o170000 == 0o040000:
        return "directory"
    return f"mode {mode:o}"


def kinds(pid, but=()):
    count = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        if int(fd) in but:
            continue
        try:
            k = kind(pid, fd)
        except FileNotFoundError:
            continue  # closed meanwhile
        count[k] = count.get(k, 0) + 1
    return count


def expect_fds(who, pid, table, but=()):
    """table: kind to (at least, at most)."""
    count = kinds(pid, but)
    for k in set(count) | set(table):
        low, high = table.get(k, (0, 0))
        if not low <= count.get(k, 0) <= high:
            fail(f"{who} holds {count.get(k, 0)} of kind {k}, not {low} to {high}: {count}")


def status(pid):
    return dict(line.split(":\t", 1) for line in read(f"/proc/{pid}/status").splitlines()
                if ":\t" in line)


def expect_fenced(who, pid, caps, bounding):
    s = status(pid)
    for key, want in (("CapInh", 0), ("CapPrm", caps), ("CapEff", caps), ("CapAmb", 0)):
        if int(s[key], 16) != want:
            fail(f"{who}: {key} is {s[key]}")
    if bounding is not None and int(s["CapBnd"], 16) != bounding:
        fail(f"{who}: CapBnd is {s['CapBnd']}")
    if s["NoNewPrivs"].strip() != "1" or s["Seccomp"].strip() != "2":
        fail(f"{who}: NoNewPrivs {s['NoNewPrivs']}, Seccomp {s['Seccomp']}")
    if s["Groups"].strip() not in ("", "65534"):
        fail(f"{who}: groups {s['Groups']}")


def expect_limits(who, pid, table):
    text = read(f"/proc/{pid}/limits")
    for name, most in table.items():
        line = re.search(rf"Max {name}\s+(\S+)\s+(\S+)", text)
        hard = line.group(2)
        if hard == "unlimited" or int(hard) > most:
            fail(f"{who}: {name} may be {hard}, not {most}")


def expect_apart(who, pid, front, spaces):
    for ns in spaces:
        if os.readlink(f"/proc/{pid}/ns/{ns}") == os.readlink(f"/proc/{front}/ns/{ns}"):
            fail(f"{who} is in the caller's {ns} namespace")


def expect_empty_root(who, pid):
    if os.listdir(f"/proc/{pid}/root") or os.path.samefile(f"/proc/{pid}/root", "/"):
        fail(f"{who} has a root with something in it")


def look_at_broker(broker, front, user):
    """Only where there is a network: the channel, a published port, what it waits by."""
    expect_fds("the broker", broker, {"socket": (2, 2), "eventpoll": (1, 1), "directory": (0, 1),
                                      "path of a directory": (0, 1)}, but=(0, 1, 2))
    for fd in (0, 1, 2):
        if os.readlink(f"/proc/{broker}/fd/{fd}") != "/dev/null":
            fail(f"the broker holds a stream of the caller's: {fd}")
    expect_fenced("the broker", broker, 0, 0)
    expect_limits("the broker", broker, {"core file size": 0, "msgqueue size": 0, "locked memory": 0,
                                         "file size": 0, "open files": 16384, "data size": 64 << 20})
    expect_apart("the broker", broker, front, ("user", "mnt", "pid", "ipc", "uts"))
    expect_empty_root("the broker", broker)
    uid = int(status(broker)["Uid"].split()[0])
    if uid != USER if user else uid < 0x78000000:
        fail(f"the broker is user {uid}")
    return uid


def look_at_second_gofer(gofer, front, user):
    """Only where something is shared live: its exports, an empty root, the channel; it writes by what it opens."""
    expect_fds("the second gofer", gofer, {"path of a directory": (2, 2), "socket": (1, 1)},
               but=(0, 1, 2))
    for fd in (0, 1, 2):
        if os.path.lexists(f"/proc/{gofer}/fd/{fd}") and os.readlink(f"/proc/{gofer}/fd/{fd}") != "/dev/null":
            fail(f"the second gofer holds a stream of the caller's: {fd}")
    # CAP_CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID: what root may do to files
    rights = 0 if user else 0b11111
    expect_fenced("the second gofer", gofer, rights, rights)
    expect_limits("the second gofer", gofer, {"core file size": 0, "msgqueue size": 0, "locked memory": 0,
                                              "nice priority": 0, "realtime priority": 0,
                                              "open files": 65536 + 128, "data size": 64 << 20})
    expect_apart("the second gofer", gofer, front, ("user", "mnt", "pid", "ipc"))
    expect_empty_root("the second gofer", gofer)
    uid = int(status(gofer)["Uid"].split()[0])
    if user and uid != USER:
        fail(f"the second gofer is user {uid}, not the caller")


def look(sbx, ring, user, net, live):
    front = sbx.pid
    sentry, gofer, *others = children(front)
    others = [p for p in others if read(f"/proc/{p}/comm") != "sbx-cleaner\n"]  # of the front end's: it hears nobody
    by_name = {read(f"/proc/{p}/comm").strip(): p for p in others}
    if len(by_name) != len(others) or set(by_name) != set(["sbx-net"] * net + ["sbx-gofer-rw"] * live):
        fail(f"other processes than expected: {by_name}")
    brokers = [by_name["sbx-net"]] if net else []
    broker_uids = {look_at_broker(p, front, user) for p in brokers}
    if live:
        look_at_second_gofer(by_name["sbx-gofer-rw"], front, user)
    zygote = children(sentry)[0]
    stubs = children(zygote)
    if [read(f"/proc/{p}/comm").strip() for p in (sentry, gofer, zygote)] != \
            ["sbx-sentry", "sbx-gofer", "sbx-stub"]:
        fail(f"other processes than expected: {sentry} {gofer} {zygote}")
    many = len(stubs) + 4  # a listener, a channel and a pidfd each; those being born
    # The front end: whom it watches, and its ends of two channels. 0 to 2 are the caller's.
    expect_fds("the front end", front, {"signalfd": (1, 1), "pidfd": (2 + net + live, 2 + net + live), "socket": (2, 2),
                                        # the second fence of the network, and who came to its ports
                                        "directory": (0, net), "bpf-prog": (0, net), "bpf-map": (0, net)},
               but=(0, 1, 2))
    # The gofer: its exports, an empty root, the channel; nothing to write to, no stream.
    expect_fds("the gofer", gofer, {"path of a directory": (1, 200), "path of a file": (1, 1),
                                    "file": (1, 1), "socket": (1, 1),
                                    "io_uring": (ring, ring)})
    # The sentry: channels to gofer, front end and zygote; the event thread's; its procfs and empty
    # root; for each stub what it is held by; files that the guest has open.
    # control, gofer, zygote, broker; the numbers of channels that are not there are taken (abi/hostfd.h)
    expect_fds("the sentry", sentry, {"socket": (8, 8), "eventpoll": (2, 2), "timerfd": (1, 3),
                                      "eventfd": (0, 1), "path of a directory": (0, 2),
                                      "directory": (0, 2), "seccomp notify": (1, many),
                                      "seccomp": (0, many), "memfd": (1, 2 * many),
                                      "pidfd": (1, many), "mem of a stub": (0, many),
                                      "file": (0, 200), "io_uring": (ring, ring)}, but=(0, 1, 2))
    expect_fds("the zygote", zygote, {"socket": (1, 1)})
    for stub in stubs:
        expect_fds("a stub", stub, {})
    dac = 0 if user else 1 << 2  # CAP_DAC_READ_SEARCH: what only root may read is shown as to root
    expect_fenced("the gofer", gofer, dac, dac)
    expect_fenced("the sentry", sentry, 0, 0)
    for p in [zygote] + stubs:
        expect_fenced("a stub", p, 0, None)
    none = {"core file size": 0, "msgqueue size": 0, "locked memory": 0, "nice priority": 0,
            "realtime priority": 0}
    # SHM_LOCK and memfd_secret keep pages in memory (docs/SECURITY.md).
    expect_limits("the sentry", sentry, {**none, "locked memory": 8 << 20})
    expect_limits("the gofer", gofer, {**none, "file size": 0, "open files": 65536 + 128})
    expect_limits("the gofer", gofer, {"data size": 64 << 20})
    expect_limits("the sentry", sentry, {"processes": 41000})
    if not user:
        expect_limits("the gofer", gofer, {"processes": 16})
    for p in [zygote] + stubs:
        # Its descriptors stay below the one that it may send to (platform/trap/zygote.c).
        expect_limits("a stub", p, {"core file size": 1, "processes": 40000, "open files": 4095})
    expect_apart("the sentry", sentry, front, ("user", "mnt", "pid", "ipc", "net", "uts", "cgroup"))
    expect_apart("the gofer", gofer, front, ("user", "mnt", "pid", "ipc"))
    for p in [zygote] + stubs:
        expect_apart("a stub", p, front, ("user", "mnt", "pid", "ipc", "net", "uts", "cgroup"))
        expect_apart("a stub", p, sentry, ("pid",))
    for p in [sentry, gofer, zygote] + stubs:
        expect_empty_root(f"process {p}", p)
    uids = {p: int(status(p)["Uid"].split()[0]) for p in [sentry, gofer, zygote] + stubs}
    if user and set(uids.values()) != {USER}:
        fail(f"other users than the caller: {uids}")
    if not user and (min(uids.values()) < 0x78000000 or uids[sentry] == uids[gofer] or
                     broker_uids & set(uids.values())):
        fail(f"not two ids that own nothing: {uids}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(top, ring, user, net, live):
    single = os.path.join(top, "single")
    with open(single, "w", encoding="utf-8") as f:
        f.write("inside")
    shared = os.path.join(top, "shared")
    os.makedirs(shared, exist_ok=True)
    env = {"PATH": "/usr/bin:/bin", "HOME": "/root"}
    if ring:
        env["SBX_RING"] = "1"
    up = os.path.join(top, "up")
    ids = {"user": USER, "group": USER, "extra_groups": []} if user else {}
    with open(up, "w", encoding="utf-8") as out:
        options = ["-p", f"127.0.0.1:{free_port()}:80"] if net else []
        options += [f"--bind={shared}:/live:rw"] if live else []
        sbx = subprocess.Popen([os.path.join(top, "sbx"), "run", f"--bind={single}:/single", *options, "/bin/sh", "-c",
                                "exec 5</single; echo up; sleep 30 & sleep 30"],
                               stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env,
                               close_fds=True, cwd="/", **ids)
    try:
        for _ in range(400):
            if os.path.getsize(up) and len(children(children(children(sbx.pid)[0])[0])) >= 3:
                break
            time.sleep(0.05)
        time.sleep(0.2)  # what is being opened or closed is done
        look(sbx, ring, user, net, live)
    finally:
        sbx.kill()
        sbx.wait()


if len(sys.argv) > 2:
    print(f"built with the {sys.argv[2]} sanitizer, which has descriptors and limits of its own")
    sys.exit(77)
if os.geteuid() != 0:
    print("not started by root, who alone may look at these processes")
    sys.exit(77)
if not tells():
    print("no lists of children in /proc here")
    sys.exit(77)
with tempfile.TemporaryDirectory() as d:
    os.chmod(d, 0o755)
    shutil.copy(SBX, os.path.join(d, "sbx"))
    for as_user in (False, True):
        for with_ring, with_net, with_live in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1)):
            run(d, with_ring, as_user, with_net, with_live)
sys.exit(1 if failures else 0)
