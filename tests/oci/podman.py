#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""podman.py SBX: podman as root, with folders of its own, by runc and by sbx; they must say the same."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from bundle import rootfs, skip

LIMITS = ["--ulimit=nofile=100:100", "--ulimit=nproc=500:500"]  # its defaults are more than some hosts let runc set


class Podman:
    def __init__(self, sbx):
        self.top = tempfile.mkdtemp(prefix="podman-")
        runtime = os.path.join(self.top, "sbx-oci")
        os.symlink(os.path.realpath(sbx), runtime)
        self.runtimes = {"runc": shutil.which("runc"), "sbx": runtime}
        self.base = ["podman", "--root", self.top + "/s", "--runroot", self.top + "/r", "--tmpdir", self.top + "/t", "--storage-driver=vfs",
                     "--cgroup-manager=cgroupfs", "--events-backend=none"]

    def __call__(self, rt, *args, **more):
        more.setdefault("stdin", subprocess.DEVNULL)
        if "input" in more:
            more.pop("stdin")
        r = subprocess.run([*self.base, "--runtime", self.runtimes[rt], *args], capture_output=True, text=True, timeout=120, **more)
        r.stdout, r.stderr = (re.sub(r"\b[0-9a-f]{64}\b", "ID", t) for t in (r.stdout, r.stderr))
        r.stderr = re.sub(r"Error: \S+: .*?(exec:)", r"Error: \1", r.stderr)
        return r

    def end(self):
        self("sbx", "rm", "-af")
        for line in sorted(open("/proc/mounts").read().splitlines(), reverse=True):
            at = line.split()[1]
            if at.startswith(self.top + "/"):
                subprocess.run(["umount", "-l", at])
        shutil.rmtree(self.top, ignore_errors=True)


def answers(podman, rt):
    run = ("run", "--rm", "--network=none", *LIMITS)
    vol = "%s/vol-%s" % (podman.top, rt)
    os.makedirs(vol)
    with open(vol + "/f", "w") as f:
        f.write("host\n")
    out = {}

    def ask(name, *args, **more):
        r = podman(rt, *args, **more)
        out[name] = (r.returncode, r.stdout, r.stderr)
    ask("hi", *run, "box", "sh", "-c", "echo hi; echo err >&2; exit 3")
    ask("-i", *run, "-i", "box", "cat", input="piped\n")
    ask("missing", *run, "box", "nonsense")
    ask("not executable", *run, "box", "/etc/passwd")
    ask("-u -w", *run, "-u", "1000:5", "-w", "/tmp", "box", "sh", "-c", "id -u; id -g; pwd; umask")
    ask("-v", *run, "-v", vol + ":/v", "box", "sh", "-c", "cat /v/f; echo in >/v/g")
    ask("-v ro", *run, "-v", vol + ":/v:ro", "box", "sh", "-c", "echo x 2>/dev/null >/v/h || echo refused")
    ask("--tmpfs", *run, "--tmpfs", "/etc", "box", "sh", "-c", "cat /etc/passwd | wc -l; touch /etc/x && echo ok")
    ask("--read-only", *run, "--read-only", "box", "sh", "-c", "touch /x 2>/dev/null || echo refused; touch /tmp/x && echo tmp")
    ask("caps", *run, "box", "grep", "CapEff", "/proc/self/status")
    ask("--ulimit", *run, "box", "sh", "-c", "ulimit -n")
    ident = "c-" + rt
    r = podman(rt, "run", "-d", "--name", ident, "--network=none", *LIMITS, "box", "sh", "-c", "trap 'exit 6' TERM; echo line; while :; do sleep 0.1; done")
    out["-d"] = (r.returncode, r.stderr)
    time.sleep(0.3)
    ask("exec", "exec", ident, "sh", "-c", "echo in; exit 5")
    ask("exec -i", "exec", "-i", ident, "cat", input="through\n")
    out["exec missing"] = podman(rt, "exec", ident, "nonsense").returncode
    ask("logs", "logs", ident)
    podman(rt, "exec", ident, "touch", "/made")
    out["diff"] = sorted(podman(rt, "diff", ident).stdout.split("\n"))
    out["pause"] = podman(rt, "pause", ident).returncode
    out["unpause"] = podman(rt, "unpause", ident).returncode
    out["stop"] = podman(rt, "stop", ident).returncode
    ask("stopped", "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", ident)
    out["start"] = podman(rt, "start", ident).returncode
    out["rm -f"] = podman(rt, "rm", "-f", "-t", "0", ident).returncode
    ask("left", "ps", "-aq")
    return out


def main():
    if os.geteuid() != 0:
        skip("this test is podman as root")
    for need in ("podman", "conmon", "runc"):
        if not shutil.which(need):
            skip(need + " is not installed")
    podman = Podman(sys.argv[1])
    bad = []
    try:
        tree = rootfs(podman.top + "/tree")
        tar = podman.top + "/tree.tar"
        subprocess.run(["tar", "-C", tree, "-cf", tar, "."], check=True)
        r = podman("runc", "import", tar, "box")
        if r.returncode != 0:
            skip("podman import: %s" % r.stderr)
        theirs, ours = answers(podman, "runc"), answers(podman, "sbx")
        for name in theirs:
            if theirs[name] != ours[name]:
                bad.append(name)
                print("FAILED: %s\n  runc: %r\n  sbx:  %r" % (name, theirs[name], ours[name]))
        print("%d of %d as with runc" % (len(theirs) - len(bad), len(theirs)))
        if "-v" in sys.argv:
            print(json.dumps(ours, indent=1))
    finally:
        podman.end()
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
