# SPDX-License-Identifier: Apache-2.0
"""What the tests of everyday use share: sbx beside its reader of profiles, a folder, checks that are counted."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

bad = []


def check(what, ok, more=""):
    if not ok:
        bad.append(what)
        print("FAILED: %s %s" % (what, more))


def setup(script):
    """Where sbx is, and a folder; with --user all of it again as one who is not root."""
    top = pathlib.Path(tempfile.mkdtemp(prefix="everyday-"))
    top.chmod(0o755)
    given = pathlib.Path(os.path.realpath(sys.argv[1]))
    if "--user" not in sys.argv or os.geteuid() != 0:
        return str(given), top
    for name in ("sbx", "sbx-toml"):
        shutil.copy(given.parent / name, top / name)
    shutil.copy(script, top / "test.py")
    shutil.copy(__file__, top / "everyday.py")
    os.chmod(top / "test.py", 0o644)
    status = subprocess.run(["setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups", "python3", "-B", str(top / "test.py"),
                             str(top / "sbx")], cwd="/", check=False).returncode
    shutil.rmtree(top)
    sys.exit(status)


def quiet(text):
    """What sbx prints, less what a host without fences is told of each time."""
    return "".join(line for line in text.splitlines(True) if not line.startswith("*** ") and "neither user namespaces" not in line and "not held by a cgroup" not in line)


def finish(top):
    subprocess.run(["chmod", "-Rf", "u+rwx", str(top)], check=False)
    shutil.rmtree(top, ignore_errors=True)
    print("%d failed" % len(bad))
    sys.exit(bool(bad))
