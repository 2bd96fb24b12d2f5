#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""quota.py SBX: where a quota ends (EDQUOT), --bind :rw says so as natively; --save-changes and --apply say so and leave
what was there. On ext4 with usrquota or btrfs with a group's limit, in a file; 77: neither can be had."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

SBX = os.path.realpath(sys.argv[1])
USER = ["setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups"]
WRITE = r"""
import errno, os, sys
fd = os.open(sys.argv[1] + "/f", os.O_WRONLY | os.O_CREAT, 0o644)
try:
    for i in range(64): os.write(fd, os.urandom(1 << 16)); os.fsync(fd)
    print("written")
except OSError as e: print(errno.errorcode[e.errno])
"""
WAYS = {
    "ext4": """mkfs.ext4 -qF -O quota {image} && mount -o loop,usrquota {image} {at} && quotaon {at} 2>/dev/null;
               setquota -u 54321 0 2048 0 0 {at} && mkdir {at}/d""",
    "btrfs": """mkfs.btrfs -q {image} && mount -o loop {image} {at} && btrfs quota enable {at} &&
                btrfs subvolume create {at}/d >/dev/null && btrfs qgroup limit 2M {at}/d""",
}


def run(*args, cwd="/"):
    env = {"PATH": "/usr/bin:/bin", "HOME": f"{TOP}/home", "LC_ALL": "C.UTF-8"}
    return subprocess.run([*USER, *args], cwd=cwd, env=env, capture_output=True, text=True, timeout=100, check=False)


def check(what, ok, more):
    if not ok:
        print("FAILED", what, more)
    return not ok


def fresh(d):
    """What was removed may be counted until it is on the disk that it is gone."""
    for p in d.iterdir():
        if p.is_dir():
            shutil.rmtree(p)
        else:
            p.unlink()
    for _ in range(100):
        os.sync()
        try:
            (d / "old").write_bytes(bytes(1 << 18))
            (d / "old").write_text("old\n")
            break
        except OSError:
            time.sleep(0.1)
    os.chown(d / "old", 54321, 54321)
    os.sync()


def tests(d):
    bad = 0
    fresh(d)
    native = run("/usr/bin/python3", "-c", WRITE, str(d)).stdout
    bad += check("natively", native == "EDQUOT\n", native)
    fresh(d)
    r = run(SBX, "run", "--bind", f"{d}:/share:rw", "--", "/usr/bin/python3", "-c", WRITE, "/share")
    bad += check("--bind :rw", r.stdout == native, r)
    for name in "a", "c":  # before and after what does not fit
        fresh(d)
        r = run(SBX, "run", "--apply=always", "--", "sh", "-c", f"head -c {4 << 20} /dev/urandom >big; echo new >old; echo x >{name}", cwd=d)
        have = {p.name: p.read_bytes() for p in d.iterdir()}
        bad += check("--apply", r.returncode == 125 and "uota exceeded" in r.stderr and have == {"old": b"old\n"}, (r, list(have)))
    fresh(d)
    os.mkdir(f"{TOP}/work")
    os.chown(f"{TOP}/work", 54321, 54321)
    (d / "saved").mkdir()
    os.chown(d / "saved", 54321, 54321)
    r = run(SBX, "run", "--save-changes", str(d / "saved"), "--", "sh", "-c", f"head -c {4 << 20} /dev/urandom >big", cwd=f"{TOP}/work")
    bad += check("--save-changes", r.returncode == 125 and "uota exceeded" in r.stderr and not list((d / "saved").rglob("big")), r)
    return bad


def main():
    """In a mount namespace of its own: nothing is left of it."""
    if os.geteuid() != 0:
        print("skipped: only root can mount a file system with quotas")
        return 77
    if len(sys.argv) == 2:
        return subprocess.run(["unshare", "-m", sys.executable, *sys.argv, "inside"], check=False).returncode
    for name, script in WAYS.items():
        with open(f"{TOP}/image", "wb") as f:
            f.truncate(256 << 20)
        p = subprocess.run(["sh", "-c", script.format(image=f"{TOP}/image", at=f"{TOP}/at")], capture_output=True, text=True, check=False)
        if p.returncode == 0:
            d = pathlib.Path(f"{TOP}/at/d")
            os.chown(d, 54321, 54321)
            try:
                bad = tests(d)
            finally:
                subprocess.run(["umount", "-l", f"{TOP}/at"], check=False)
            print(f"{name}: {bad} failed")
            return bool(bad)
        subprocess.run(["umount", "-l", f"{TOP}/at"], stderr=subprocess.DEVNULL, check=False)
        print(f"no {name} with a quota here:", p.stderr.strip().replace("\n", "; "))
    print("skipped: no file system with a quota can be had here")
    return 77


with tempfile.TemporaryDirectory(prefix="sbx-quota-") as TOP:
    os.chmod(TOP, 0o755)
    shutil.copy(SBX, f"{TOP}/sbx")
    SBX = f"{TOP}/sbx"
    for name in "at", "home":
        os.mkdir(f"{TOP}/{name}")
    if os.geteuid() == 0:
        os.chown(f"{TOP}/home", 54321, 54321)
    status = main()
sys.exit(status)
