#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""cpython.py SBX [MODULE...]: CPython's own test suite, each module natively and inside.

What each test says is compared, and how the module ends. Without modules: all, which is hours; PART=2/8 in the
environment takes each eighth one from the second on, today/8 another eighth each day. Known differences stand in
KNOWN, with their reason.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

PYTHON = "/usr/bin/python3.11"
SECONDS = int(os.environ.get("SECONDS_EACH", "420"))
USE = "all,-network,-urlfetch,-cpu,-largefile,-gui,-audio"
SPOKEN = re.compile(r"(?:^|\.\.\. )(ok|FAIL|ERROR|expected failure|unexpected success|skipped)\b")
NAME = re.compile(r"^(\w+) \(([\w.<>]+)\)")
KNOWN = {
    "test_socket": "UDP-Lite is not there",
    "test_shutil": "of a fresh tmpfs nothing is used",
    "test_time": "the clock may not be set",
    "test_spwd": "/etc/shadow is not shown",
    "test_uuid": "ip and ifconfig are not shown to an ordinary user",
    "test_subprocess": "runs two that skip themselves natively",
}


def verdicts(text):
    found, name = {}, None
    for line in text.splitlines():
        if m := NAME.match(line):
            name = m[2] if m[2].endswith("." + m[1]) else f"{m[2]}.{m[1]}"
        if name and (m := SPOKEN.search(line)):
            found[name] = m[1]
            name = None
    return found


def run(module, sbx):
    """How it ends, and what each of its tests says."""
    command = ["timeout", "-k", "5", str(SECONDS), PYTHON, "-m", "test", "-u", USE, "-v", module]
    if sbx:
        command = [sbx, "run", f"--timeout={SECONDS + 30}s", "--", *command]
    top = tempfile.mkdtemp(prefix="cpython.")
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": top, "LANG": "C.UTF-8", "TERM": "dumb", "USER": "user",
           "LOGNAME": "user", "SHELL": "/bin/sh"}
    try:
        r = subprocess.run(command, cwd=top, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, errors="replace")
    finally:
        subprocess.call(["chmod", "-R", "u+rwx", top], stderr=subprocess.DEVNULL)
        shutil.rmtree(top, ignore_errors=True)
    return r.returncode, verdicts(r.stdout)


def main():
    sbx, modules = os.path.realpath(sys.argv[1]), sys.argv[2:]
    if not os.path.exists("/usr/lib/python3.11/test/test_os.py"):
        print("libpython3.11-testsuite is missing")
        return 77
    if not modules:
        listed = subprocess.run([PYTHON, "-m", "test", "--list-tests"], capture_output=True, text=True, check=True)
        part, of = os.environ.get("PART", "1/1").split("/")
        first = int(time.time() // 86400) % int(of) if part == "today" else int(part) - 1
        modules = listed.stdout.split()[first::int(of)]
    wrong = tests = 0
    for module in modules:
        (status, native), (inside_status, inside) = run(module, None), run(module, sbx)
        differ = [f"{t}: {native.get(t)} natively, {inside.get(t)} inside"
                  for t in sorted(native.keys() | inside.keys()) if native.get(t) != inside.get(t)]
        tests += len(native)
        if status != inside_status:
            differ.append(f"status {status} natively, {inside_status} inside")
        if differ:
            wrong += module not in KNOWN
            print(f"{module}: {'differs (' + KNOWN[module] + ')' if module in KNOWN else 'FAILED'}", *differ,
                  sep="\n    ", flush=True)
    print(f"{len(modules)} modules, {tests} tests natively; {wrong} differ for no known reason")
    return wrong > 0


sys.exit(main())
