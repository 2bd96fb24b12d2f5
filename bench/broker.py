#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The net broker beside the same client run natively, by turns: servers outside, clients inside.

broker.py SBX [ROUNDS] [--runsc PATH]

Rows: a byte sent and answered, by a client in C (recv, poll, epoll) and in Python; a connection; MB/s
received; and iperf3, redis-benchmark and wrk where they are installed. Medians, the ratio (below 1 is
worse than native), and the processor seconds of one run: what is bought by spinning shows there.
--runsc adds gVisor with the host's sockets to the rows of C.
"""
import argparse
import contextlib
import json
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time

TURNS = r"""
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
#define N 10000
static double took[N];
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e6 + t.tv_nsec / 1e3; }
static int cmp(const void *a, const void *b) { return *(double *)a < *(double *)b ? -1 : 1; }
int main(int argc, char **argv)
{
    struct sockaddr_in a = { AF_INET, htons(atoi(argv[2])), { htonl(INADDR_LOOPBACK) } };
    int s = socket(AF_INET, SOCK_STREAM, 0), one = 1, set = epoll_create1(0);
    struct epoll_event e = { EPOLLIN };
    char b[1];

    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (argv[1][0] == 's') {
        setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(s, (void *)&a, sizeof a) || listen(s, 9))
            return 1;
        for (int c;;) {
            c = accept(s, 0, 0);
            setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            while (read(c, b, 1) == 1 && write(c, b, 1) == 1)
                ;
            close(c);
        }
    }
    if (connect(s, (void *)&a, sizeof a))
        return 1;
    epoll_ctl(set, EPOLL_CTL_ADD, s, &e);
    for (int i = 0; i < N; i++) {
        struct pollfd p = { s, POLLIN, 0 };
        double t = now();

        if (write(s, "x", 1) != 1)
            return 1;
        if (argv[1][0] == 'p')
            poll(&p, 1, -1);
        else if (argv[1][0] == 'e')
            epoll_wait(set, &e, 1, -1);
        if (read(s, b, 1) != 1)
            return 1;
        took[i] = now() - t;
    }
    qsort(took, N, sizeof *took, cmp);
    printf("%f\n", took[N / 2]);
}
"""

PYTHON = r"""
import socket, sys, time
what, port = sys.argv[1], int(sys.argv[2])
new = lambda: socket.create_connection(("127.0.0.1", port))
s = new()
t = time.perf_counter()
if what == "turn":
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.send(b"L")
    for i in range(3000): s.send(b"x"); s.recv(1)
    print((time.perf_counter() - t) / 3000 * 1e6)
elif what == "connection":
    for i in range(300): new().close()
    print((time.perf_counter() - t) / 300 * 1e6)
else:
    s.send(b"T"); buf = bytearray(1 << 18); n = 0
    while n < 512 << 20: n += s.recv_into(buf)
    print(n / (time.perf_counter() - t) / 1e6)
"""


def serve(c):
    with c, contextlib.suppress(OSError):
        what = c.recv(1)
        if what == b"L":
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while c.recv(1):
                c.send(b"y")
        elif what == b"T":
            block = b"z" * (1 << 20)
            for _ in range(512):
                c.sendall(block)


def python_server():
    ls = socket.create_server(("127.0.0.1", 0), backlog=1024)

    def accept():
        while True:
            threading.Thread(target=serve, args=(ls.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return ls.getsockname()[1]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def started(stack, argv, port):
    """A server of another's making, which ends with the stack."""
    p = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    stack.callback(p.wait)
    stack.callback(p.terminate)
    for _ in range(200):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return port
        time.sleep(0.02)
    raise SystemExit(f"{argv[0]} does not answer")


def rows(stack, tmp):
    """(name, unit, more is better, port, command, how its output is read)"""
    first = lambda out: float(out.split()[0])
    port = python_server()
    py = ["/usr/bin/python3", "-c", PYTHON]
    c = os.path.join(tmp, "turns")
    subprocess.run(["cc", "-O2", "-w", "-x", "c", "-", "-o", c], input=TURNS.encode(), check=True)
    turns = free_port()
    started(stack, [c, "s", str(turns)], turns)
    for how in "recv", "poll", "epoll":
        yield f"turn in C, {how}", "us", False, turns, [c, "x" if how == "recv" else how, str(turns)], first
    yield "turn in Python", "us", False, port, [*py, "turn", str(port)], first
    yield "connection", "us", False, port, [*py, "connection", str(port)], first
    yield "received by Python", "MB/s", True, port, [*py, "receive", str(port)], first
    if shutil.which("iperf3"):
        p = free_port()
        started(stack, ["iperf3", "-s", "-p", str(p)], p)
        got = lambda out: json.loads(out)["end"]["sum_received"]["bits_per_second"] / 8e6
        for name, more in ("sends", []), ("receives", ["-R"]):
            yield f"iperf3 {name}", "MB/s", True, p, ["iperf3", "-c", "127.0.0.1", "-p", str(p), "-t", "2", "-J", *more], got
    if shutil.which("redis-server") and shutil.which("redis-benchmark"):
        p = free_port()
        started(stack, ["redis-server", "--port", str(p), "--save", "", "--dir", tmp], p)
        got = lambda out: float(re.findall(r"([\d.]+) requests per second", out)[-1])
        for n, more in ("20 connections", ["-c", "20"]), ("1 connection", ["-c", "1"]):
            yield f"redis-benchmark, {n}", "1/s", True, p, ["redis-benchmark", "-p", str(p), "-q", *more, "-n", "30000", "-t", "get"], got
    if shutil.which("nginx") and shutil.which("wrk"):
        p = free_port()
        conf = os.path.join(tmp, "nginx.conf")
        with open(conf, "w") as f:
            f.write(f"daemon off; worker_processes 1; pid {tmp}/pid; error_log {tmp}/error;\n"
                    f"events {{}} http {{ access_log off; client_body_temp_path {tmp}/b; server {{ listen 127.0.0.1:{p};"
                    " location / { return 200 hello; } } }\n")
        started(stack, ["nginx", "-c", conf, "-p", tmp], p)
        got = lambda out: float(re.search(r"Requests/sec: *([\d.]+)", out).group(1))
        yield "wrk, 16 connections", "1/s", True, p, ["wrk", "-t1", "-c16", "-d2", f"http://127.0.0.1:{p}/"], got


def bundle(tmp, argv):
    d = os.path.join(tmp, "bundle")
    os.makedirs(d, exist_ok=True)
    config = {"ociVersion": "1.0.0", "root": {"path": "/", "readonly": True},
              "process": {"user": {"uid": 0, "gid": 0}, "args": argv, "env": ["PATH=/usr/bin:/bin"], "cwd": "/"},
              "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
              "linux": {"namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount")]}}
    with open(os.path.join(d, "config.json"), "w") as f:
        json.dump(config, f)
    return d


def run(side, args, port, argv, tmp, k):
    """The output, and the processor seconds of the client's side."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if side == "native":
        p = subprocess.run(argv, capture_output=True, text=True, check=True)
    elif side == "sbx":
        p = subprocess.run([args.sbx, "run", "--stats", f"--allow-net=127.0.0.1:{port}", "--", *argv],
                           capture_output=True, text=True, check=True)
        m = re.search(r"cpu ([\d.]+) ms user \+ ([\d.]+) ms system", p.stderr)
        return p.stdout, (float(m.group(1)) + float(m.group(2))) / 1e3
    else:
        p = subprocess.run([args.runsc, "--root", os.path.join(tmp, "runsc"), "--platform=systrap", "--network=host",
                            "--ignore-cgroups", "run", "-bundle", bundle(tmp, argv), f"bench-{os.getpid()}-{k}"],
                           capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return p.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("sbx")
    ap.add_argument("rounds", type=int, nargs="?", default=5)
    ap.add_argument("--runsc")
    args = ap.parse_args()
    with tempfile.TemporaryDirectory() as tmp, contextlib.ExitStack() as stack:
        if args.runsc:  # it leaves a mount
            stack.callback(subprocess.run, ["umount", os.path.join(tmp, "runsc", "null-netns")], stderr=subprocess.DEVNULL)
        print(f"{'':28}{'native':>10}{'sbx':>10}{'':>6}{'ratio':>7}   cpu s: native, sbx")
        for name, unit, more, port, argv, read in rows(stack, tmp):
            sides = ["native", "sbx"] + (["runsc"] if args.runsc and "in C" in name else [])
            got = {s: [] for s in sides}
            for k in range(args.rounds):
                for s in sides:
                    out, cpu = run(s, args, port, argv, tmp, f"{len(name)}{unit[0]}{k}")
                    got[s].append((read(out), cpu))
            n, s = (statistics.median(x[0] for x in got[w]) for w in ("native", "sbx"))
            cpu = (statistics.median(x[1] for x in got[w]) for w in ("native", "sbx"))
            also = f"   runsc {statistics.median(x[0] for x in got['runsc']):.1f} us" if "runsc" in got else ""
            print(f"{name:28}{n:10.1f}{s:10.1f} {unit:5}{s / n if more else n / s:7.2f}   "
                  + " ".join(f"{x:.2f}" for x in cpu) + also, flush=True)


if __name__ == "__main__":
    main()
