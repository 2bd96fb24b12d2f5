#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""images.py SBX: squashfs and EROFS images, as mksquashfs and mkfs.erofs make them in all their ways.

A tree is packed, shown inside by --image or mounted there, and looked at (images/look.py): what is seen is
what is seen natively of the tree itself. Then damaged images.
"""
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

SBX = os.path.realpath(sys.argv[1])
PYTHON = "/usr/bin/python3"
LOOK = pathlib.Path(__file__).resolve().parent / "images"
TOP = pathlib.Path(tempfile.mkdtemp(prefix="images-", dir="/tmp"))
TREE = TOP / "tree"
bad = []

for tool in ("mksquashfs", "mkfs.erofs"):
    if not shutil.which(tool):
        print("SKIP: no", tool)
        sys.exit(77)


def check(what, ok, more=""):
    if not ok:
        bad.append(what)
        print("FAILED: %s %s" % (what, more), flush=True)


def make_tree():
    rnd = random.Random(1)
    noise = rnd.randbytes(300000)
    text = b"".join(b"line %d of a text that packs well\n" % (i % 997) for i in range(90000))
    TREE.mkdir()
    for n in (0, 1, 63, 511, 512, 4095, 4096, 4097, 8191, 70000, 131072, 131073, 300000):
        (TREE / ("noise%d" % n)).write_bytes(noise[:n])
        (TREE / ("text%d" % n)).write_bytes(text[:n])
    (TREE / "some").write_bytes(text)
    (TREE / "mixed").write_bytes(text[:50000] + noise[:60000] + text[1000:200000] + noise[:777])
    (TREE / "zeros").write_bytes(bytes(3000000))
    with open(TREE / "holes", "wb") as f:
        for at in (0, 1 << 20, (5 << 20) + 12345):
            f.seek(at)
            f.write(noise[:5000])
        f.truncate(6 << 20)
    os.link(TREE / "some", TREE / "another name")
    os.symlink("some", TREE / "link")
    os.symlink("x" * 4000, TREE / "long link")
    os.mkfifo(TREE / "fifo")
    (TREE / ("n" * 250)).write_bytes(b"long")
    (TREE / "äöü\n\\").write_bytes(b"odd")
    many = TREE / "many"
    many.mkdir()
    for i in range(3000):
        (many / ("file number %d" % (i * 7919 % 3000))).write_bytes(b"%d" % i)
    deep = TREE
    for i in range(30):
        deep = deep / ("d%d" % i)
    deep.mkdir(parents=True)
    (deep / "end").write_bytes(b"of it")
    (TREE / "empty").mkdir()
    os.chmod(TREE / "text512", 0o4751)
    if os.geteuid() == 0:
        os.chown(TREE / "text511", 1234, 70000)
        os.mknod(TREE / "null", 0o20666, os.makedev(1, 3))
    try:
        os.setxattr(TREE / "some", "user.a", b"value")
        os.setxattr(TREE / "some", "user.long", noise[:3000])
        os.setxattr(TREE / "many", "user.a", b"value")
    except OSError:
        print("(this file system has no extended attributes)")
    for top, dirs, files in os.walk(TREE, topdown=False): # rglob would follow the link that is too long
        for path in [*dirs, *files, "."]:
            os.utime(os.path.join(top, path), (1700000000, 1700000000), follow_symlinks=False)


def run(*argv, **kw):
    return subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False, **kw)


def natively(tree):
    r = run(PYTHON, str(LOOK / "look.py"), str(tree))
    assert r.returncode == 0, r.stderr
    return r.stdout


def inside(*options, args):
    return run(SBX, "run", "--bind", "%s:/look:ro" % LOOK, *options, "--", PYTHON, "/look/look.py", *args,
               cwd="/")


def compare(what, got, wanted):
    if got.returncode == 0 and got.stdout == wanted:
        return
    a, b = wanted.splitlines(), got.stdout.splitlines()
    first = next((i for i in range(min(len(a), len(b))) if a[i] != b[i]), min(len(a), len(b)))
    check(what, False, "status %d %s\n  wanted %s\n  got    %s" % (
        got.returncode, got.stderr[-600:], str(a[first : first + 1])[:300], str(b[first : first + 1])[:300]))


SQUASHFS = [
    ["-comp", "gzip"], ["-comp", "xz"], ["-comp", "lz4"], ["-comp", "zstd"],
    ["-comp", "gzip", "-b", "4096"], ["-comp", "zstd", "-b", "1M", "-no-fragments"],
    ["-comp", "lz4", "-Xhc", "-always-use-fragments"], ["-noI", "-noD", "-noF", "-noX", "-noId"],
    ["-comp", "xz", "-Xbcj", "x86", "-no-duplicates", "-no-exports"],
]
EROFS = [
    [], ["-zlz4"], ["-zlz4hc,12", "-C65536"], ["-zlz4", "-Elegacy-compress"], ["-zlz4hc", "-Eztailpacking"],
    ["-zlz4", "-C1048576", "-Efragments"], ["-zlz4hc", "-Eztailpacking,fragments,dedupe", "-C16384"],
    ["-zlz4", "-Eall-fragments"], ["--chunksize=4096"], ["--chunksize=65536", "-Eforce-chunk-indexes"],
    ["-Eforce-inode-compact", "-T1700000000"], ["-x-1"], ["-x1"], ["-zlzma", "-C65536"], ["-zdeflate"],
    ["-zzstd"],
]


def pack(kind, i, options):
    image = TOP / ("%s%d" % (kind, i))
    if kind == "squashfs":
        r = run("mksquashfs", str(TREE), str(image), "-noappend", "-quiet", "-no-progress", *options)
    else:
        r = run("mkfs.erofs", *options, str(image), str(TREE))
    if r.returncode != 0:
        text = (r.stdout + r.stderr).strip().splitlines()
        print("(%s %s is not to be had: %s)" % (kind, " ".join(options), text[-1:] or r.returncode))
        image.unlink(missing_ok=True)
        return None
    return image


def all_ways():
    wanted = natively(TREE)
    no_xattrs = "\n".join(line.split(" user.")[0] for line in wanted.splitlines()) + "\n"
    done = []
    for kind, ways in (("squashfs", SQUASHFS), ("erofs", EROFS)):
        for i, options in enumerate(ways):
            image = pack(kind, i, options)
            if not image:
                continue
            got = inside("--image", "%s:/img:ro" % image, args=["/img"])
            compare("%s %s" % (kind, " ".join(options)), got, no_xattrs if "-x-1" in options else wanted)
            done.append((kind, image))
    for kind in ("squashfs", "erofs"):
        image = next(i for k, i in done if k == kind)
        got = inside("--bind", "%s:/image:ro" % image, "--tmpfs", "/mnt",
                     args=["mount", "/image", kind, "/mnt"])
        compare("mount -t " + kind, got, wanted)
    return done


def uses(image):
    """A program out of an image; writing, which stays in memory, or fails."""
    r = run(SBX, "run", "--image", "%s:/img" % image, "--", "/bin/sh", "-c",
            "echo more >>/img/text1 && cat /img/text1 && rm /img/fifo && ls /img/fifo", cwd="/")
    check("written in memory", r.stdout == "lmore\n" and "No such file" in r.stderr, r.stdout + r.stderr)
    r = run(SBX, "run", "--image", "%s:/img:ro" % image, "--", "/bin/sh", "-c", "echo >/img/new", cwd="/")
    check("not written", "Read-only file system" in r.stderr, r.stderr)
    program = TOP / "program"
    program.mkdir()
    shutil.copy("/bin/echo", program / "echo")
    run("mksquashfs", str(program), str(TOP / "p"), "-noappend", "-quiet", "-no-progress")
    r = run(SBX, "run", "--image", "%s:/img:ro" % (TOP / "p"), "--", "/img/echo", "hello", cwd="/")
    check("a program", r.stdout == "hello\n", r.stdout + r.stderr)
    r = run(SBX, "run", "--image", "%s:/img" % __file__, "--", "true", cwd="/")
    check("no image", r.returncode == 125 and "neither a squashfs nor an EROFS image" in r.stderr, r.stderr)


def unknown(image):
    """What a later mkfs.erofs might use is refused when it is mounted, as Linux does."""
    for what, at, value, word in (("an algorithm", 84, 1 << 4, "Operation not supported"),
                                  ("a feature", 80, 1 << 30, "Invalid argument")):
        data = bytearray(image.read_bytes())
        data[1024 + 80] |= 2
        data[1024 + at : 1024 + at + 4] = (int.from_bytes(data[1024 + at : 1024 + at + 4], "little") | value).to_bytes(
            4, "little")
        (TOP / "unknown").write_bytes(data)
        r = inside("--bind", "%s:/image:ro" % (TOP / "unknown"), "--tmpfs", "/mnt",
                   args=["mount", "/image", "erofs", "/mnt"])
        check("EROFS with %s that is not known" % what, r.returncode != 0 and word in r.stderr, r.stderr[-300:])


def damaged(images):
    rnd = random.Random(2)
    broken = TOP / "broken"
    broken.mkdir()
    for kind, image in images:
        whole = image.read_bytes()
        for i in range(6):
            data = bytearray(whole)
            if i == 0:
                data = data[: rnd.randrange(2000, len(data))]
            for _ in range(rnd.randrange(1, 60)):
                # Most of what steers is at the beginning or at the end.
                at = rnd.randrange(len(data))
                where = rnd.randrange(3)
                at = at if where == 0 else min(at, 20000 * (1 + at % 7)) if where == 1 else len(data) - 1 - at % min(
                    len(data), 60000)
                data[at] = rnd.choice((0, 1, 255, 127, 128, rnd.randrange(256)))
            data[:4] = whole[:4]
            data[1024:1028] = whole[1024:1028]
            (broken / ("%s-%d-%s" % (image.name, i, kind))).write_bytes(data)
    r = inside("--bind", "%s:/broken:ro" % broken, "--tmpfs", "/mnt", "--timeout=200", args=["broken", "/broken"])
    check("damaged images", r.returncode == 0 and r.stdout == "looked at True True\n",
          "status %d %s%s" % (r.returncode, r.stdout, r.stderr[-800:]))


try:
    make_tree()
    images_made = all_ways()
    uses(images_made[0][1])
    unknown(next(i for k, i in images_made if k == "erofs"))
    damaged(images_made)
finally:
    shutil.rmtree(TOP)
print("FAILED" if bad else "ok")
sys.exit(bool(bad))
