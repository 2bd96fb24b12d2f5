#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""side.py DIR WHAT: one side of rw.py's tests, natively or in a sandbox."""
import ctypes
import errno
import fcntl
import mmap
import os
import struct
import sys
import time

OFD_SETLK, OFD_SETLKW = 37, 38


def take(f, kind, wait):
    if kind == "flock":
        fcntl.flock(f, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    elif kind == "posix":
        fcntl.lockf(f, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), 10, 5)
    else:
        fl = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 5, 10, 0)
        fcntl.fcntl(f, OFD_SETLKW if wait else OFD_SETLK, fl)


def lock(what, kind):
    with open("lock", "a+") as f:
        try:
            take(f, kind, what == "wait")
        except OSError as e:
            print(errno.errorcode[e.errno])
            return
        print("held", flush=True)
        while what == "hold" and not os.path.exists("go"):
            time.sleep(0.02)


EVENTS = {0x1: "ACCESS", 0x2: "MODIFY", 0x4: "ATTRIB", 0x8: "CLOSE_WRITE", 0x10: "CLOSE_NOWRITE", 0x20: "OPEN",
          0x40: "MOVED_FROM", 0x80: "MOVED_TO", 0x100: "CREATE", 0x200: "DELETE"}


def watch():
    libc = ctypes.CDLL(None)
    fd = libc.inotify_init()
    libc.inotify_add_watch(fd, b".", 0xfff)
    print("ready", flush=True)
    seen = []
    while "CREATE:stop" not in seen:
        buf = os.read(fd, 65536)
        at = 0
        while at < len(buf):
            _, mask, _, n = struct.unpack_from("iIII", buf, at)
            seen.append("%s:%s" % (EVENTS.get(mask, hex(mask)), buf[at + 16:at + 16 + n].rstrip(b"\0").decode()))
            at += 16 + n
    print(" ".join(seen))


def journal():
    fd = os.open("log", os.O_WRONLY | os.O_CREAT, 0o644)
    print("ready", flush=True)
    for i in range(1000000):
        os.write(fd, b"%07d\n" % i)
        os.fsync(fd)
        os.write(1, b"synced %d.\n" % i)


def make():
    end = time.monotonic() + 2
    while time.monotonic() < end:
        os.close(os.open("f", os.O_RDWR | os.O_CREAT, 0o644))
        try:
            os.unlink("f")
        except FileNotFoundError:
            pass
    print("ok")


def excl():
    """Counts the names that this side made first."""
    n = 0
    for i in range(300):
        try:
            os.close(os.open("name%d" % i, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            n += 1
        except FileExistsError:
            pass
    print(n)


def counter(f, add):
    """A count in a shared map, under a lock of the file."""
    fcntl.lockf(f, fcntl.LOCK_EX)
    n = struct.unpack_from("q", add, 0)[0]
    struct.pack_into("q", add, 0, n + 1)
    fcntl.lockf(f, fcntl.LOCK_UN)


def maps():
    """Adds 500 to the count in the file, through a map."""
    with open("map", "r+b") as f, mmap.mmap(f.fileno(), 4096) as m:
        for _ in range(500):
            counter(f, m)
    print("ok")


def full():
    """What each operation says where there is no room, no quota, or no right to write at all."""
    def one(f):
        try:
            return f() or "ok"
        except OSError as e:
            return errno.errorcode[e.errno]

    def fill():
        fd = os.open("fill", os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            while True:
                os.write(fd, b"x" * 65536)
        finally:
            os.close(fd)
    print(one(fill), one(lambda: os.mkdir("d")), one(lambda: os.rename("have", "moved")),
          one(lambda: os.truncate("have", 0)), one(lambda: os.chmod("have", 0o640)),
          one(lambda: os.posix_fallocate(os.open("have", os.O_RDWR), 0, 1 << 24)))


def answer():
    print("ready", flush=True)
    for line in sys.stdin:
        op, *args = line.split()
        try:
            if op == "stat":
                out = str(os.stat(args[0]).st_size)
            elif op == "read":
                with open(args[0], encoding="utf-8") as f:
                    out = f.read().replace("\n", " ")
            elif op == "write":
                with open(args[0], "w", encoding="utf-8") as f:
                    f.write(args[1])
                out = "ok"
            else:
                os.chdir(args[0])
                out = "ok"
        except OSError as e:
            out = errno.errorcode[e.errno]
        print(out, flush=True)


os.chdir(sys.argv[1])
if sys.argv[2] in ("hold", "try", "wait"):
    lock(*sys.argv[2:4])
else:
    {"watch": watch, "journal": journal, "make": make, "answer": answer, "excl": excl, "map": maps,
     "full": full}[sys.argv[2]]()
