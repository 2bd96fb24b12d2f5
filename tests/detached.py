#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""detached.py SBX [--user]: run -d, logs, stats, ps -a and --json, wait, stop, rm."""
import json
import os
import signal
import subprocess
import time

from everyday import check, finish, quiet, setup

SBX, TOP = setup(__file__)
ENV = dict(os.environ, XDG_RUNTIME_DIR=str(TOP), HOME=str(TOP / "home"), LC_ALL="C.UTF-8")
RUN = TOP / "sbx"
HALF = 8 << 20


def sbx(*args, **more):
    r = subprocess.run([SBX, *args], capture_output=True, text=True, env=ENV, cwd="/usr", timeout=60,
                       **({"stdin": subprocess.DEVNULL} if "input" not in more else {}), **more)
    r.stderr = quiet(r.stderr)
    return r


def until(what, test, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if test():
            return
        time.sleep(0.05)
    check(what, False)


def begins_and_ends():
    began = time.monotonic()
    r = sbx("run", "-d", "--name", "one", "--", "sh", "-c", "echo out; echo err >&2; sleep 3; echo more; exit 7")
    check("-d prints the name, and does not wait", (r.returncode, r.stdout, r.stderr) == (0, "one\n", "") and time.monotonic() - began < 3, r)
    check("it runs", [o["name"] for o in json.loads(sbx("ps", "--json").stdout)] == ["one"])
    check("wait", sbx("wait", "one").stdout == "7\n")
    r = sbx("logs", "one")
    check("logs", (r.returncode, r.stdout, r.stderr) == (0, "out\nmore\n", "err\n"), r)
    check("wait, when it has ended", sbx("wait", "one").stdout == "7\n")
    check("ps", len(sbx("ps").stdout.splitlines()) == 1)
    check("ps -a", sbx("ps", "-a").stdout.splitlines()[1].split()[:3] == ["one", "exit", "7"], sbx("ps", "-a").stdout)
    o = json.loads(sbx("ps", "-a", "--json").stdout)[0]
    check("ps -a --json", o["status"] == 7 and o["command"][:2] == ["sh", "-c"] and o["ended"] >= o["since"], o)
    check("rm", sbx("rm", "one").returncode == 0 and os.listdir(RUN) == [], os.listdir(RUN))
    r = sbx("run", "-d", "true")
    check("a name of its own", r.stdout.startswith("box-") and len(r.stdout) == 13, r)
    until("it ends", lambda: not json.loads(sbx("ps", "--json").stdout))
    sbx("rm", r.stdout.strip())
    r = sbx("run", "-d", "--rm", "--name", "gone", "--", "sh", "-c", "echo x")
    until("--rm leaves nothing", lambda: os.listdir(RUN) == [])


def failures():
    for args, status, says in ((("--", "nosuchprogram"), 127, "nor a command in PATH"), (("--rootfs", "/nowhere", "true"), 125, "--rootfs"),
                               (("--bind", "/nowhere", "true"), 125, "--bind"), (("--apply", "true"), 125, "-d leaves it"),
                               (("/etc/passwd",), 126, "permission denied"), (("--user", "no-such-user", "true"), 125, "no-such-user")):
        r = sbx("run", "-d", "--name", "bad", *args)
        check("-d %s" % (args,), r.returncode == status and r.stdout == "" and says in r.stderr and r.stderr.count("\n") == 1, r)
    check("nothing is left of them", os.listdir(RUN) == [], os.listdir(RUN))
    for args, says in ((("logs",), "give a name"), (("logs", "none"), "no sandbox named none"), (("logs", "../x"), "no sandbox named"),
                       (("wait",), "give a name"), (("wait", "none"), "no sandbox named none"), (("stop",), "give a name"),
                       (("stop", "none"), "no sandbox named none"), (("stop", "-t", "x", "none"), "no time"), (("rm",), "give a name"),
                       (("rm", "none"), "nothing is left"), (("stats", "none"), "no sandbox named none"), (("stats", "-x"), "unknown option"),
                       (("ps", "x"), "unknown argument")):
        r = sbx(*args)
        check(str(args), r.returncode == 125 and says in r.stderr and r.stderr.count("\n") == 1 and r.stdout == "", r)


def script_on_stdin():
    r = sbx("run", "-d", "--name", "piped", "-", input="echo $((6 * 7)); cat; exit 3")
    check("- and -d", r.returncode == 0 and sbx("wait", "piped").stdout == "3\n" and sbx("logs", "piped").stdout == "42\n", r)
    sbx("rm", "piped")
    r = sbx("run", "-d", "--name", "noinput", "--", "cat", input="not for it")
    check("no input", sbx("wait", "noinput").stdout == "0\n" and sbx("logs", "noinput").stdout == "")
    sbx("rm", "noinput")


def followed():
    sbx("run", "-d", "--name", "count", "--", "sh", "-c", "i=0; while [ $i -lt 20 ]; do echo $i; i=$((i+1)); sleep 0.05; done; echo last >&2")
    r = sbx("logs", "-f", "count")
    check("logs -f ends with it", r.stdout == "".join("%d\n" % i for i in range(20)) and r.stderr == "last\n", r)
    sbx("rm", "count")
    # Faster than the bound, and read all the while: nothing is missing, though only the end of it is kept.
    lines = 3000000
    sbx("run", "-d", "--name", "much", "--", "sh", "-c", "sleep 0.3; seq %d" % lines)
    with subprocess.Popen([SBX, "logs", "-f", "much"], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as p:
        out, err = p.communicate(timeout=60)
    numbers = [int(x) for x in out.split()]
    check("logs -f of much", numbers == list(range(1, lines + 1)) or ("is gone" in err and numbers[-1] == lines and sorted(numbers) == numbers),
          (len(numbers), err))
    sizes = [os.stat(RUN / n).st_size for n in os.listdir(RUN) if n.startswith((".log.", ".old."))]
    check("the log is bounded", len(sizes) == 2 and max(sizes) <= HALF + 65536 and sum(sizes) >= HALF, sizes)
    kept = sbx("logs", "much").stdout
    check("its end is kept", kept.endswith("%d\n" % lines) and len(kept) >= HALF - 65536, len(kept))
    sbx("rm", "much")


def limits_and_notes():
    sbx("run", "-d", "--name", "late", "--timeout", "3", "--", "sleep", "60")
    check("a limit's status", sbx("wait", "late").stdout == "124\n", sbx("ps", "-a"))
    check("what sbx says is in the log", "time is limited" in sbx("logs", "late").stderr, sbx("logs", "late"))
    sbx("rm", "late")
    (TOP / "home").mkdir(exist_ok=True)
    work = TOP / "work"
    work.mkdir()
    subprocess.run([SBX, "run", "-d", "--name", "changes", "--changes", "--", "sh", "-c", "echo x >made"], cwd=work, env=ENV, check=True,
                   stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    check("--changes", sbx("wait", "changes").stdout == "0\n" and quiet(sbx("logs", "changes").stderr) == "A made\n", sbx("logs", "changes"))
    sbx("rm", "changes")


def stopping():
    sbx("run", "-d", "--name", "kind", "--", "sh", "-c", "trap 'echo bye; exit 4' TERM; echo up; while :; do sleep 0.05; done")
    until("kind is up", lambda: sbx("logs", "kind").stdout == "up\n")
    check("stop", sbx("stop", "kind").returncode == 0 and sbx("wait", "kind").stdout == "4\n" and sbx("logs", "kind").stdout == "up\nbye\n")
    sbx("run", "-d", "--name", "deaf", "--", "sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done")
    until("deaf is up", lambda: sbx("logs", "deaf").stdout == "up\n")
    check("rm of one that runs", "sbx stop deaf" in sbx("rm", "deaf").stderr)
    began = time.monotonic()
    check("stop -t", sbx("stop", "-t", "0.5", "deaf").returncode == 0 and sbx("wait", "deaf").stdout == "137\n" and
          0.4 < time.monotonic() - began < 10)
    r = sbx("run", "-d", "--name", "kind", "--", "sleep", "100")
    check("a name can be taken again", r.stdout == "kind\n" and sbx("logs", "kind").stdout == "", r)
    r = sbx("run", "-d", "--name", "kind", "true")
    check("but not while it runs", r.returncode == 125 and "there is a sandbox of that name" in r.stderr, r)
    pid = json.loads(sbx("ps", "--json").stdout)[0]["pid"]
    waiting = subprocess.Popen([SBX, "wait", "kind"], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(0.3)
    os.kill(pid, signal.SIGKILL)
    out, err = waiting.communicate(timeout=20)
    check("a killed front end", waiting.returncode == 125 and "without a status" in err and out == "", (out, err))
    check("ps -a of it", sbx("ps", "-a").stdout.count("killed") == 1, sbx("ps", "-a").stdout)
    sbx("rm", "kind", "deaf")


def stats():
    sbx("run", "-d", "--name", "busy", "--memory", "500M", "--pids", "50", "--", "python3", "-c",
        "import time\nx = b'1' * (60 << 20)\nend = time.time() + 30\nwhile time.time() < end: pass")
    sbx("run", "-d", "--name", "idle", "--", "sh", "-c", "sleep 60 & sleep 60")
    time.sleep(0.7)
    r = sbx("stats", "--once", "--json")
    rows = {o["name"]: o for o in map(json.loads, r.stdout.splitlines())}
    check("stats --json", set(rows) == {"busy", "idle"}, r)
    busy, idle = rows["busy"], rows["idle"]
    check("cpu", busy["cpu_ns"] > max(2e7, idle["cpu_ns"]), rows)
    until("a share of a cpu", lambda: json.loads(sbx("stats", "--once", "--json", "busy").stdout)["cpu_percent"] > 5)
    check("memory", 60 << 20 < busy["memory"] < 500 << 20 and busy["memory_limit"] == 500 << 20 and idle["memory"] < 40 << 20, rows)
    check("pids", busy["pids"] == 1 and busy["pids_limit"] == 50 and idle["processes"] >= 2, rows)
    check("no network", busy["net_sent"] is None)
    r = sbx("stats", "--once", "busy")
    check("stats, as text", len(r.stdout.splitlines()) == 2 and "500.0M" in r.stdout and "busy" in r.stdout, r.stdout)
    with subprocess.Popen([SBX, "stats", "--json", "busy"], env=ENV, stdout=subprocess.PIPE, text=True) as p:
        first, second = json.loads(p.stdout.readline()), json.loads(p.stdout.readline())
        check("stats, live", second["cpu_ns"] > first["cpu_ns"], (first, second))
        sbx("stop", "-t", "0", "busy")
        check("and ends with it", p.wait(timeout=20) == 0)
    sbx("stop", "-t", "0", "idle")
    sbx("rm", "busy", "idle")
    server = subprocess.Popen(["python3", "-c", "import socket\ns = socket.create_server(('127.0.0.1', 0))\nprint(s.getsockname()[1], flush=True)\n"
                               "c = s.accept()[0]\nn = 0\nwhile n < 300000: n += len(c.recv(65536))\nc.sendall(b'x' * 100000)\nc.recv(1)"],
                              stdout=subprocess.PIPE, text=True)
    port = int(server.stdout.readline())
    sbx("run", "-d", "--name", "net", "--allow-net", "127.0.0.1:%d" % port, "--", "python3", "-c",
        "import socket, time\ns = socket.create_connection(('127.0.0.1', %d))\ns.sendall(b'x' * 300000)\nn = 0\n"
        "while n < 100000: n += len(s.recv(65536))\nprint('done', flush=True)\ntime.sleep(60)" % port)
    until("the transfer", lambda: sbx("logs", "net").stdout == "done\n")
    o = json.loads(sbx("stats", "--once", "--json", "net").stdout)
    check("network", (o["net_sent"], o["net_received"]) == (300000, 100000), o)
    sbx("stop", "-t", "0", "net")
    server.kill()
    server.wait()
    sbx("rm", "net")


def kept():
    """Logs of those that have ended: the last sixteen."""
    for i in range(20):
        sbx("run", "-d", "--name", "n%d" % i, "--", "echo", str(i))
        sbx("wait", "n%d" % i)
    left = sorted(n for n in os.listdir(RUN) if n.startswith(".log."))
    check("sixteen are kept, and the newest", len(left) == 17 and ".log.n19" in left and ".log.n0" not in left, left)


for part in (begins_and_ends, failures, script_on_stdin, followed, limits_and_notes, stopping, stats, kept):
    part()
finish(TOP)
