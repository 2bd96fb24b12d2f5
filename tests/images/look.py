# SPDX-License-Identifier: Apache-2.0
"""look.py DIR: everything that can be seen of a tree, one line for each object; run natively and inside.

look.py mount IMAGE TYPE DIR: mounts it, by mount(2) and by fsopen(2), and looks at it.
look.py broken DIR: mounts each image of the directory, which are damaged, and looks at what is there.
"""
import ctypes
import errno
import hashlib
import mmap
import os
import stat
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def call(number, *args):
    r = libc.syscall(number, *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    if r < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r


def mount(source, target, kind):
    call(165, source.encode(), target.encode(), kind.encode(), 0, None)


def umount(target):
    call(166, target.encode(), 0)


def contents(path, size):
    h = hashlib.sha256()
    with open(path, "rb", buffering=0) as f:
        while piece := f.read(100003):
            h.update(piece)
        read = h.hexdigest()
        if size:
            with mmap.mmap(f.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ) as m:
                if hashlib.sha256(m).hexdigest() != read:
                    read += " MAPPED OTHERWISE"
                f.seek(size // 2)
                if f.read(50) != m[size // 2 : size // 2 + 50]:
                    read += " SOUGHT OTHERWISE"
    return read


def line(top, path):
    st = os.lstat(path)
    what = [os.path.relpath(path, top), "%o" % st.st_mode, st.st_uid, st.st_gid, int(st.st_mtime)]
    if stat.S_ISLNK(st.st_mode):
        what.append(os.readlink(path))
    elif stat.S_ISREG(st.st_mode):
        what += [st.st_nlink, st.st_size, contents(path, st.st_size)]
    elif stat.S_ISDIR(st.st_mode):
        names = [(e.name, e.inode(), e.is_dir(follow_symlinks=False)) for e in os.scandir(path)]
        what += [st.st_nlink, len(names)]
        for name, number, is_dir in names:
            there = os.lstat(os.path.join(path, name))
            if there.st_ino != number or stat.S_ISDIR(there.st_mode) != is_dir:
                what.append("LISTED OTHERWISE: " + name)
    elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
        what.append(st.st_rdev)
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        if name.startswith("user."):
            what += [name, os.getxattr(path, name, follow_symlinks=False)]
    print(*what)


def look(top):
    line(top, top)
    for where, dirs, files in os.walk(top):
        dirs.sort()
        for name in sorted(dirs + files):
            line(top, os.path.join(where, name))


def look_broken(top):
    """What is refused is refused with an error that Linux has for it; nothing hangs, nobody dies."""
    wanted = (errno.EUCLEAN, errno.EIO, errno.EINVAL, errno.ENOMEM, errno.ENOENT, errno.ELOOP)
    mounted = errors = 0
    for name in sorted(os.listdir(top)):
        try:
            mount(os.path.join(top, name), "/mnt", "erofs" if "erofs" in name else "squashfs")
        except OSError as e:
            assert e.errno in wanted, (name, e)
            continue
        mounted += 1
        seen = 0
        for where, dirs, files in os.walk("/mnt", onerror=None):
            for n in sorted(dirs + files):
                path = os.path.join(where, n)
                seen += 1
                try:
                    st = os.lstat(path)
                    os.listxattr(path, follow_symlinks=False)
                    if stat.S_ISLNK(st.st_mode):
                        os.readlink(path)
                    if stat.S_ISREG(st.st_mode):
                        with open(path, "rb") as f:
                            f.read(1 << 20)
                            f.seek(max(0, st.st_size - 10000))
                            f.read(10000)
                except OSError as e:
                    errors += 1
                    assert e.errno in wanted, (name, path, e)
                if seen > 400:
                    dirs.clear()
                    break
        umount("/mnt")
    print("looked at", mounted > 0, errors > 0)


if sys.argv[1] == "broken":
    look_broken(sys.argv[2])
elif sys.argv[1] == "mount":
    image, kind, top = sys.argv[2:]
    mount(image, top, kind)
    look(top)
    try:
        open(os.path.join(top, "new"), "w", encoding="ascii")
    except OSError as e:
        assert e.errno == errno.EROFS, e
    else:
        print("WRITTEN TO")
    umount(top)
    fd = call(430, kind.encode(), 0)  # fsopen
    call(431, fd, 1, b"source", image.encode(), 0)  # fsconfig
    call(431, fd, 6, None, None, 0)
    tree = call(432, fd, 0, 0)  # fsmount
    call(429, tree, b"", -100, top.encode(), 4)  # move_mount
    assert os.listdir(top)
    umount_fails = False
    with open(os.path.join(top, "some"), "rb"):
        try:
            umount(top)
        except OSError as e:
            umount_fails = e.errno == errno.EBUSY
    assert umount_fails
    os.close(tree)
else:
    look(sys.argv[1])
