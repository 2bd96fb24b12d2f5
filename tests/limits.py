#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""limits.py SBX [--user]: --memory --pids --cpus --cpu-time --timeout --file-size --disk --output.

What a program that goes beyond sees, what the user is told, and that nothing is left of it.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SBX = os.path.realpath(sys.argv[1])
if "--user" in sys.argv and os.geteuid() == 0:
    with tempfile.TemporaryDirectory(prefix="limits-") as top:
        os.chmod(top, 0o755)
        shutil.copy(SBX, top + "/sbx")
        shutil.copy(__file__, top + "/limits.py")
        sys.exit(subprocess.run(["setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups", "python3",
                                 top + "/limits.py", top + "/sbx"], cwd="/", check=False).returncode)
bad = []
MiB = 1 << 20


def run(options, command, **more):
    return subprocess.run([SBX, "run"] + options + ["--"] + command, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=120, cwd="/usr", **more)


def expect(options, script, status, says, out=None):
    r = run(options, ["/bin/sh", "-c", script])
    lines = [line for line in r.stderr.splitlines() if line.startswith("sbx: ") and "neither user namespaces" not in line and
             "and not held by a cgroup" not in line]
    good = r.returncode == status and (out is None or r.stdout == out) and \
        ([] if says is None else ["sbx: " + says]) == lines
    if not good:
        bad.append(options)
        print("FAILED: %s: status %d, %r, %r" % (options, r.returncode, r.stdout[:200], r.stderr[:400]))


def groups():
    """Those of other tests that run meanwhile, which have a network or are measured, left out."""
    return {str(p) for p in pathlib.Path("/sys/fs/cgroup").glob("**/sbx-*") if not p.name.startswith(("sbx-net-", "sbx-bench"))}


HOG = "exec python3 -c 'x = bytearray(400 << 20)'"
SPIN = "while :; do :; done"
END = " (--%s): the program was ended"


def ends():
    for option in ("--memory=100M", "-m100m"):
        r = run([option], ["python3", "-c", "x = bytearray(400 << 20)"])
        if r.returncode != 137 or "memory is limited to 100 MiB (--memory)" not in r.stderr:
            bad.append(option)
            print("FAILED: %s: %d %r" % (option, r.returncode, r.stderr))
    expect(["--memory=100M"], "python3 -c 'x = bytearray(20 << 20)'", 0, None)
    expect(["--cpu-time=0.4"], SPIN, 124, "processor time is limited to 0.4 s" + END % "cpu-time")
    expect(["--cpu-time=0.6"], "for i in 1 2 3; do (%s) & done; wait" % SPIN, 124,
           "processor time is limited to 0.6 s" + END % "cpu-time")
    expect(["--cpu-time=0.5"], "while :; do /bin/true; done", 124, "processor time is limited to 0.5 s" + END % "cpu-time")
    expect(["--cpu-time=1h"], "sleep 0.1", 0, None)
    expect(["--timeout=0.3"], "sleep 100", 124, "time is limited to 0.3 s" + END % "timeout")
    expect(["--output=10"], "echo 12345; echo 6789; echo more; sleep 100", 153,
           "output is limited to 10 bytes" + END % "output", "12345\n6789")
    for _ in range(20):  # who is refused and ends at once is not faster than the word about it
        expect(["--output=10"], "exec yes", 153, "output is limited to 10 bytes" + END % "output", "y\ny\ny\ny\ny\n")
    expect(["--output=10"], "echo 12345 >&2; echo 678", 0, None, "678\n")
    expect(["--file-size=4K"], "cd /tmp; head -c 5000 /dev/zero >f; stat -c %s f; ulimit -f", 0, None, "4096\n8\n")
    expect(["--disk=1M"], "cd /tmp; head -c 3000000 /dev/zero >f 2>/dev/null || echo full; rm f; echo x >g && cat g", 0, None, "full\nx\n")
    expect(["--pids=6"], "for i in 1 2 3 4 5 6 7 8; do sleep 0.2 & done 2>/dev/null; echo not reached", 2, None, "")
    expect(["--cpus=1"], "nproc; grep -c ^processor /proc/cpuinfo", 0, None, "1\n1\n")
    expect(["--cpus=%d" % (os.cpu_count() + 5)], "nproc", 0, None, "%d\n" % len(os.sched_getaffinity(0)))


def fraction():
    """Half a cpu, where there is a cgroup; else that is said."""
    r = run(["--cpus=0.5"], ["bash", "-c", "for i in 1 2; do (while :; do :; done) & done; sleep 2; kill %1 %2; wait; times"])
    if "needs a cgroup" in r.stderr:
        print("left out: half a cpu, which needs a cgroup: " + r.stderr.strip())
        return
    minutes, seconds = r.stdout.splitlines()[1].split()[0].rstrip("s").split("m")
    used = 60 * int(minutes) + float(seconds)
    if r.returncode or not 0.2 <= used <= 1.6:
        bad.append("--cpus=0.5")
        print("FAILED: --cpus=0.5: %s s of cpu time in 2 s, %r" % (used, r.stderr))


def killed():
    """Nothing is left of a sandbox whose front end was killed."""
    before = groups()
    p = subprocess.Popen([SBX, "run", "--memory=1G", "--cpus=0.5", "--", "sleep", "100"], stdin=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, cwd="/usr")
    time.sleep(0.5)
    made = groups() - before
    os.kill(p.pid, signal.SIGKILL)
    p.wait()
    end = time.monotonic() + 10
    while groups() - before and time.monotonic() < end:
        time.sleep(0.05)
    print("cgroups of a sandbox: %d" % len(made))
    if groups() - before:
        bad.append("killed")
        print("FAILED: left behind: %s" % (groups() - before))


def refused():
    for option, says in (("--memory=x", "give a size"), ("--memory=0", "nothing can run"), ("--pids=-1", "give a number"),
                         ("--cpus=0", "give a number"), ("--cpus=inf", "give a number"), ("--cpu-time=x", "give seconds"),
                         ("--output=1X", "give a size"), ("--disk=99999999999999999999", "give a size"), ("--file-size=", "give a size")):
        r = run([option], ["/bin/true"])
        if r.returncode != 125 or says not in r.stderr or r.stderr.count("\n") != 1:
            bad.append(option)
            print("FAILED: %s: %d %r" % (option, r.returncode, r.stderr))


had = groups()
ends()
fraction()
killed()
refused()
if groups() - had:
    bad.append("groups")
    print("FAILED: left behind: %s" % (groups() - had))
print("%d failed" % len(bad))
sys.exit(bool(bad))
