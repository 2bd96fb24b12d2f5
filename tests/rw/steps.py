#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""steps.py DIR: every operation on files, with what each says. rw.py runs it natively and inside."""
import ctypes
import errno
import fcntl
import mmap
import os
import random
import socket
import stat
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
AT = -100


def say(what, f, *args, **kw):
    try:
        out = f(*args, **kw)
    except OSError as e:
        out = errno.errorcode[e.errno]
    print("%s: %s" % (what, out), flush=True)
    return out


def call(name, *args):
    """A call of the C library; 0 or more, or the error."""
    r = getattr(libc, name)(*args)
    if r < 0:
        raise OSError(ctypes.get_errno(), name)
    return r


def put(name, data, mode="wb"):
    with open(name, mode) as f:
        return f.write(data)


def get(name):
    with open(name, "rb") as f:
        return f.read()


def shape(name):
    st = os.lstat(name)
    return (oct(st.st_mode), st.st_size if not stat.S_ISDIR(st.st_mode) else 0, st.st_nlink, st.st_uid, st.st_gid)


def names():
    say("create", put, "a", b"hello")
    say("shape", shape, "a")
    say("excl", os.open, "a", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    say("mkdir", os.mkdir, "d", 0o750)
    say("mkdir again", os.mkdir, "d")
    say("mkdir in nothing", os.mkdir, "no/d")
    say("in a file", os.open, "a/b", os.O_RDONLY)
    say("symlink", os.symlink, "a", "l")
    say("readlink", os.readlink, "l")
    say("through it", get, "l")
    say("nofollow", os.open, "l", os.O_RDONLY | os.O_NOFOLLOW)
    say("loop", os.symlink, "loop", "loop")
    say("through the loop", get, "loop")
    say("dangling", os.symlink, "nothing", "dangle")
    say("create through it", put, "dangle", b"made")
    say("it is there", get, "nothing")
    say("link", os.link, "a", "d/hard")
    say("nlink", shape, "a")
    say("same", lambda: os.stat("a").st_ino == os.stat("d/hard").st_ino)
    say("link a directory", os.link, "d", "e")
    say("link over", os.link, "a", "l")
    say("rmdir full", os.rmdir, "d")
    say("unlink a directory", os.unlink, "d")
    say("rmdir a file", os.rmdir, "a")
    say("unlink", os.unlink, "d/hard")
    say("nlink again", shape, "a")
    say("unlink nothing", os.unlink, "d/hard")
    say("fifo", os.mkfifo, "fifo", 0o622)
    say("shape", shape, "fifo")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        say("socket", s.bind, "sock")
        s.listen()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as c:
            say("connect", c.connect, "sock")
    say("shape", shape, "sock")
    say("long", put, "n" * 256, b"")
    say("longest", put, "n" * 255, b"x")
    say("dot", os.rmdir, ".")
    say("list", lambda: sorted((e.name, e.is_dir(follow_symlinks=False)) for e in os.scandir(".")))
    deep = "deep"
    for i in range(40):
        os.mkdir(deep)
        deep += "/x%d" % i
    say("deep", put, os.path.dirname(deep) + "/f", b"bottom")
    say("read there", get, os.path.dirname(deep) + "/f")


def renames():
    for n in "1", "2":
        put(n, n.encode())
    say("rename", os.rename, "1", "3")
    say("over", os.rename, "3", "2")
    say("content", get, "2")
    say("gone", os.path.exists, "1")
    put("4", b"4")
    say("noreplace", call, "renameat2", AT, b"4", AT, b"2", 1)
    say("exchange", call, "renameat2", AT, b"4", AT, b"2", 2)
    say("both", lambda: (get("2"), get("4")))
    say("exchange nothing", call, "renameat2", AT, b"4", AT, b"5", 2)
    os.mkdir("r1")
    os.mkdir("r2")
    put("r1/f", b"f")
    say("directory over a full one", os.rename, "r2", "r1")
    say("directory over an empty one", os.rename, "r1", "r2")
    say("in it", get, "r2/f")
    say("into itself", os.rename, "r2", "r2/x")
    say("file over directory", os.rename, "2", "r2")
    say("directory over file", os.rename, "r2", "2")
    fd = os.open("r2/f", os.O_RDWR)
    os.rename("r2", "r3")
    say("open over a move", os.write, fd, b"moved")
    os.rename("r3/f", "r3/g")
    say("fstat over a move", lambda: os.fstat(fd).st_size)
    say("by the new name", get, "r3/g")
    os.unlink("r3/g")
    say("unlinked", lambda: (os.fstat(fd).st_nlink, os.pread(fd, 10, 0)))
    say("fchmod without a name", os.fchmod, fd, 0o640)
    say("utime without a name", os.utime, fd, (1, 2))
    say("truncate without a name", os.ftruncate, fd, 2)
    say("shape", lambda: (oct(os.fstat(fd).st_mode), os.fstat(fd).st_size))
    os.close(fd)


def data():
    fd = os.open("data", os.O_RDWR | os.O_CREAT, 0o600)
    blob = random.Random(7).randbytes(3000000)
    say("large", os.write, fd, blob)
    say("back", lambda: os.pread(fd, len(blob), 0) == blob)
    say("pwrite", os.pwrite, fd, b"zz", 5000000)
    say("size", lambda: os.fstat(fd).st_size)
    say("hole", lambda: os.pread(fd, 4, 4000000))
    say("end", os.lseek, fd, 0, os.SEEK_END)
    say("data", os.lseek, fd, 0, os.SEEK_DATA)
    say("beyond", os.lseek, fd, 6000000, os.SEEK_DATA)
    say("vector", os.pwritev, fd, [b"ab", b"cd"], 10)
    say("and back", os.pread, fd, 4, 10)
    say("truncate", os.ftruncate, fd, 100)
    say("by name", os.truncate, "data", 200)
    say("size", lambda: os.fstat(fd).st_size)
    say("allocate", os.posix_fallocate, fd, 0, 70000)
    say("size", lambda: os.fstat(fd).st_size)
    say("punch", call, "fallocate", fd, 3, ctypes.c_long(0), ctypes.c_long(4096))
    say("punched", os.pread, fd, 4, 10)
    say("fsync", os.fsync, fd)
    say("fdatasync", os.fdatasync, fd)
    d = os.open(".", os.O_RDONLY)
    say("directory fsync", os.fsync, d)
    say("syncfs", call, "syncfs", d)
    os.sync()
    say("copy", lambda: os.copy_file_range(fd, os.open("copy", os.O_WRONLY | os.O_CREAT), 60000))
    say("read only", lambda: os.write(os.open("data", os.O_RDONLY), b"x"))
    say("write only", lambda: os.read(os.open("data", os.O_WRONLY), 1))
    say("trunc", lambda: os.close(os.open("data", os.O_WRONLY | os.O_TRUNC)))
    say("size", lambda: os.fstat(fd).st_size)
    ro = os.open("made-ro", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o444)
    say("made read-only and written", os.write, ro, b"git does so")
    os.close(ro)
    say("again", lambda: os.geteuid() == 0 or os.open("made-ro", os.O_WRONLY))


def appends():
    pids = []
    for who in b"AB":
        pid = os.fork()
        if not pid:
            fd = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            for _ in range(50):
                os.write(fd, bytes([who]) * 5000 + b"\n")
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
    lines = get("log").split(b"\n")
    say("appended whole", lambda: (len(lines), all(len(set(x)) <= 1 and len(x) in (0, 5000) for x in lines)))
    os.unlink("log")
    fd = os.open("log", os.O_RDWR | os.O_CREAT, 0o644)
    os.write(fd, b"12345")
    os.lseek(fd, 0, 0)
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
    say("append", os.write, fd, b"6")
    say("position", os.lseek, fd, 0, 1)
    fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    say("not any more", os.pwrite, fd, b"0", 0)
    say("content", get, "log")
    os.close(fd)


def maps():
    fd = os.open("map", os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(fd, 8192)
    with mmap.mmap(fd, 8192) as m:
        m[4090:4100] = b"0123456789"
        say("map shows in read", os.pread, fd, 10, 4090)
        os.pwrite(fd, b"by write", 100)
        say("write shows in map", lambda: bytes(m[100:108]))
        say("flush", m.flush)
        pid = os.fork()
        if not pid:
            m[0:5] = b"child"
            os._exit(0)
        os.waitpid(pid, 0)
        say("shared with a child", lambda: bytes(m[0:5]))
    with mmap.mmap(fd, 8192, flags=mmap.MAP_PRIVATE) as m:
        m[0:5] = b"alone"
    say("private stays", os.pread, fd, 5, 0)
    ro = os.open("map", os.O_RDONLY)
    say("write map of a read-only file", lambda: mmap.mmap(ro, 4096))


def attributes():
    put("attr", b"x")
    say("chmod", os.chmod, "attr", 0o604)
    say("sticky", os.chmod, "attr", 0o1604)
    say("shape", shape, "attr")
    say("times", os.utime, "attr", ns=(1000000001, 2000000002))
    say("are", lambda: (os.stat("attr").st_atime_ns, os.stat("attr").st_mtime_ns))
    say("of a link", os.utime, "l", ns=(5, 6), follow_symlinks=False)
    say("are", lambda: os.lstat("l").st_mtime_ns)
    say("chown to itself", os.chown, "attr", os.getuid(), os.getgid())
    say("chown", os.chown, "attr", 12345, 23456)
    say("shape", shape, "attr")
    say("chown a link", os.chown, "l", 12345, -1, follow_symlinks=False)
    say("xattr", os.setxattr, "attr", "user.a", b"value")
    say("create", os.setxattr, "attr", "user.a", b"v", os.XATTR_CREATE)
    say("replace", os.setxattr, "attr", "user.b", b"v", os.XATTR_REPLACE)
    say("get", os.getxattr, "attr", "user.a")
    say("none", os.getxattr, "attr", "user.none")
    say("list", lambda: sorted(a for a in os.listxattr("attr") if a.startswith("user.")))
    say("on a directory", os.setxattr, "d", "user.dir", b"1")
    say("on a link", os.setxattr, "l", "user.l", b"1", follow_symlinks=False)
    say("second", os.setxattr, "attr", "user.b", b"2" * 1000)
    say("remove", os.removexattr, "attr", "user.b")
    say("remove again", os.removexattr, "attr", "user.b")
    os.mkdir("sgid")
    say("set-gid directory", os.chmod, "sgid", 0o2775)
    os.mkdir("sgid/sub")
    say("inherited", shape, "sgid/sub")
    os.umask(0o027)
    put("masked", b"")
    say("umask", shape, "masked")
    os.umask(0o022)
    say("statvfs", lambda: os.statvfs(".").f_namemax)


def temporary():
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o640)
    say("write", os.write, fd, b"temporary")
    say("nlink", lambda: os.fstat(fd).st_nlink)
    say("link", os.link, "/proc/self/fd/%d" % fd, "tmp-linked", follow_symlinks=True)
    say("content", get, "tmp-linked")
    say("shape", shape, "tmp-linked")
    os.close(fd)


def locks():
    f = os.open("lk", os.O_RDWR | os.O_CREAT, 0o600)
    g = os.open("lk", os.O_RDWR)

    def ofd(fd, kind, start, length, cmd=37):
        return fcntl.fcntl(fd, cmd, struct.pack("hhqqi4x", kind, 0, start, length, 0))[0:2] == b"" or "ok"
    say("flock", fcntl.flock, f, fcntl.LOCK_SH)
    say("shared", fcntl.flock, g, fcntl.LOCK_SH | fcntl.LOCK_NB)
    say("exclusive", fcntl.flock, g, fcntl.LOCK_EX | fcntl.LOCK_NB)
    say("un", fcntl.flock, f, fcntl.LOCK_UN)
    say("now", fcntl.flock, g, fcntl.LOCK_EX | fcntl.LOCK_NB)
    say("ofd", ofd, f, fcntl.F_WRLCK, 0, 10)
    say("ofd other", ofd, g, fcntl.F_RDLCK, 5, 10)
    say("ofd beside", ofd, g, fcntl.F_RDLCK, 10, 0)
    say("ofd off", ofd, f, fcntl.F_UNLCK, 0, 0)
    say("ofd other now", ofd, g, fcntl.F_WRLCK, 5, 10)
    os.close(g)
    say("posix", fcntl.lockf, f, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 0)
    say("posix upgrade on another", lambda: fcntl.lockf(os.open("lk", os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 0))
    r, w = os.pipe()
    pid = os.fork()
    if not pid:
        say("child", fcntl.lockf, f, fcntl.LOCK_SH | fcntl.LOCK_NB, 10, 5)
        say("child beside", fcntl.lockf, f, fcntl.LOCK_SH | fcntl.LOCK_NB, 10, 10)
        os.write(w, b"x")
        fcntl.lockf(f, fcntl.LOCK_EX, 10, 0)
        os._exit(7)
    os.read(r, 1)
    libc.usleep(50000)
    say("given up by a close", os.close, os.open("lk", os.O_RDONLY))
    say("child waited", lambda: os.waitpid(pid, 0)[1])


os.chdir(sys.argv[1])
os.umask(0o022)
for part in names, renames, data, appends, maps, attributes, temporary, locks:
    print("-- " + part.__name__, flush=True)
    part()
