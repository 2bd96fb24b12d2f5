#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""taken_toml.py SBX TAKEN [--bites]: a reader of profiles that was taken over (taken_toml.cpp) gets nowhere.

It lies beside a copy of sbx, which starts it for --profile. With --bites it has no filter: then all that only the
filter holds succeeds.
"""
import os
import shutil
import socket
import subprocess
import sys
import tempfile

SBX, TAKEN, BITES = os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2]), "--bites" in sys.argv
TOP = tempfile.mkdtemp(prefix="taken-toml-")
bad = []


def main():
    shutil.copy(SBX, TOP + "/sbx")
    shutil.copy(TAKEN, TOP + "/sbx-toml")
    with open(TOP + "/canary", "w", encoding="utf-8") as f:
        f.write("canary\n")
    shutil.copy(TOP + "/canary", TOP + "/gone")
    victim = subprocess.Popen(["sleep", "300"])
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)

        def reader(deed, more=None):
            with open(TOP + "/p.toml", "w", encoding="utf-8") as f:
                f.write(deed + "\n")
            # A descriptor that the caller left open is not its either.
            return subprocess.run([TOP + "/sbx", "run", "--profile", TOP + "/p.toml", "--print-profile"], capture_output=True, text=True,
                                  timeout=100, check=False, stdin=subprocess.DEVNULL, pass_fds=more or ())

        held = os.open(TOP + "/canary", os.O_RDONLY)
        deeds = [("read " + TOP + "/canary", "canary"), ("write " + TOP + "/canary", ""), ("ptrace %d" % victim.pid, "attached"),
                 ("kill %d" % victim.pid, "killed"), ("connect %d" % server.getsockname()[1], "connected"), ("exec /bin/true", ""),
                 ("code", "new code"), ("remove " + TOP + "/gone", "removed")]
        for deed, says in deeds:
            r = reader(deed)
            through = "GOT=" + says in r.stdout if says else False
            if BITES and says and not through:
                bad.append("does not bite: %s: %s" % (deed, r))
            if not BITES and (r.returncode != 125 or "signal 31" not in r.stderr):
                bad.append("%s: it was not ended: %s" % (deed, r))
        # What limits and closed descriptors hold, filter or none.
        for deed, says in (("inherited", "GOT="), ("memory", "GOT=")):
            r = reader(deed, more=[held])
            if r.stdout.strip() not in ('env = ["GOT="]', ""):
                bad.append("%s: %s" % (deed, r))
        r = reader("fork")
        if os.geteuid() and "a child" in r.stdout:  # root is held to no number of processes: by the filter
            bad.append("fork: %s" % r)
        for deed, how in () if BITES else (("spin", "signal 9"), ("flood", "its reader was ended")):
            r = reader(deed)
            if r.returncode != 125 or how not in r.stderr:
                bad.append("%s: %s" % (deed, r))
        passed = []
        if not BITES:
            for nr in range(0, 470):
                if nr in (0, 1, 3, 9, 10, 11, 12, 25, 202, 231, 262, 318, 335, 336):  # what passes; what no filter is asked about
                    continue
                r = reader("call %d" % nr)
                if "signal 31" not in r.stderr:
                    passed.append(nr)
        if passed:
            bad.append("calls that pass: %s" % passed)
        os.close(held)
        try:
            server.accept()
            if not BITES:
                bad.append("somebody came")
        except OSError:
            if BITES:
                bad.append("does not bite: nobody came")
    with open(TOP + "/canary", encoding="utf-8") as f:
        changed = f.read() != "canary\n"
    if changed and not BITES or os.path.exists(TOP + "/gone") == BITES:
        bad.append("files: %s" % changed)
    if (victim.poll() is not None) != BITES:
        bad.append("the victim: %s" % victim.poll())
    victim.kill()
    victim.wait()


try:
    main()
finally:
    shutil.rmtree(TOP)
for b in bad:
    print("FAILED:", b)
print("%d failed" % len(bad))
sys.exit(bool(bad))
