#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bites.py UNFENCED BUILD NAME

The tests of ordinary promises are attacks, too: each passes in sbx-unfenced as it is, and the checks named here
fail when SBX_UNFENCED leaves out what holds them. Else the test would not see a hole.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

UNFENCED, BUILD, NAME = os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2]), sys.argv[3]
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TRIES = 6


def guest(name):
    return ["{sbx}", "run", "--timeout=60", os.path.join(BUILD, "guest", name)]


def script(name, *args):
    return [sys.executable, "-B", os.path.join(HERE, name), "{sbx}", *args]


# What: the fences left out, more of the environment, the command, and each a pattern that must be printed then.
BITES = {
    "profile-trust": ("trust", {}, script("profiles.py"),
                      ["FAILED: without a terminal.*stdout='author"]),
    "profile-links": ("profilelinks", {}, script("profiles.py"), ["FAILED: a link to /", "FAILED: by a link"]),
    "learn-links": ("learnlinks", {}, script("learn.py"), ["FAILED: nor by a link that was planted"]),
    "learn-names": ("learnnames", {}, script("learn.py"), ["FAILED: a name is not two"]),
    "rules": ("cut", {"SBX_WITHOUT": "bpf"}, script("network/rules.py", "cut", "udp", "race"), ["FAIL cut", "FAIL udp", "FAIL race.* is late"]),
    "permission-files": ("permission", {}, guest("permission"), [r"look: failed: stat\(\"closed/f\""]),
    "permission-others": ("permission", {}, guest("others"), ["kill: 0,", "read: 1,", "mem: 0,", "stop: 0,"]),
    "death": ("deathsig,pidns", {}, [sys.executable, os.path.join(HERE, "hostile/death/death.py"), "{sbx}", "--moments", "3", "still"],
              [r"FAILED: \d+ processes are left"]),
    "cleaner": ("cleaner", {}, [sys.executable, os.path.join(HERE, "hostile/death/death.py"), "{sbx}", "--moments", "2", "cgroups"],
                [r"FAILED: left: .*sbx-"]),
    "apply": ("applylinks,landlock", {}, script("hostile/apply.py"), ["FAILED: nothing outside is written"]),
    "names-squat": ("namesdir", {}, script("hostile/names.py", "squat"),
                    ["FAILED: a directory: nobody comes to the impostor: c", "FAILED: a link: nobody comes to the impostor: .*c4"]),
    "names-peer": ("peercred", {}, script("hostile/names.py", "peer"), ["FAILED: another user is not heard"]),
    "names-links": ("endlink", {}, script("hostile/names.py", "links"), ["FAILED: links that come later", "FAILED: the canary"]),
    "logs": ("logbound", {}, script("hostile/names.py", "flood"), ["FAILED: large: two files"]),
    "blanks": ("patience", {}, [os.path.join(BUILD, "tests/unit-platform-blank-unfenced")], [":a_shortage_is_waited_for"]),
}


def run(command, sbx, words, more):
    env = {**os.environ, **more}
    if words:
        env["SBX_UNFENCED"] = words
    r = subprocess.run([a.replace("{sbx}", sbx) for a in command], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, errors="replace", timeout=250)
    return r.returncode, r.stdout


def main():
    words, more, command, wanted = BITES[NAME]
    top = tempfile.mkdtemp(prefix="bites-")
    os.chmod(top, 0o755)
    try:
        for name in ("sbx-unfenced", "sbx-toml"):  # profiles are read by what lies beside sbx
            shutil.copy(os.path.join(os.path.dirname(UNFENCED), name), os.path.join(top, name.replace("sbx-unfenced", "sbx")))
        sbx = os.path.join(top, "sbx")
        status, text = run(command, sbx, "", more)
        if status == 77:
            print(text)
            return 77
        if status:
            print("FAILED: it does not pass with its fences:\n" + text)
            return 1
        for _ in range(TRIES):  # a race is not won each time
            status, text = run(command, sbx, words, more)
            bad = [w for w in wanted if not re.search(w, text)] + ([] if status else ["a status"])
            if not bad:
                break
        for w in bad:
            print("DOES NOT BITE: without %s nothing says %r" % (words, w))
        print("without %s: status %d%s" % (words, status, "\n" + text if bad else "; " + "; ".join(wanted)))
        return bool(bad)
    finally:
        shutil.rmtree(top)


sys.exit(main())
