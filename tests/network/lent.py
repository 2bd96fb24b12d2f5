#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sockets that are lent to the stub (docs/decisions/sockets-lent-to-stubs.md).

lent.py SBX HOSTILE

A program that sends and receives in every way does so natively and inside, with the same answers; that its
calls were done without the sentry is told by --stats. Then the guest `hostile` keeps what it was lent.
"""
import contextlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

SBX, HOSTILE = (os.path.abspath(p) for p in sys.argv[1:3])
PY = "/usr/bin/python3"

PROGRAM = r"""
import array, errno, os, select, signal, socket, struct, subprocess, sys, threading, time
PORT = int(sys.argv[1])
def name(f, *a):
    try: return f(*a)
    except OSError as e: return errno.errorcode.get(e.errno, type(e).__name__)
def new(kind):  # what the server is to do with it
    s = socket.create_connection(("127.0.0.1", PORT))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.sendall(kind)
    return s
def turns(s, n=12):  # often enough that it is lent
    for i in range(n):
        s.send(b"x"); assert s.recv(1) == b"x"
    return s
def echo(): return turns(new(b"E"))
def say(what, *r): print(what, *r, flush=True)

s = echo(); turns(s, 3000); say("turns")
s.settimeout(0.1); say("timeout", name(s.recv, 1)); s.settimeout(9); turns(s); s.settimeout(None); turns(s)
s.setblocking(False); say("nonblocking", name(s.recv, 1)); s.send(b"a")
while name(s.recv, 1) != b"a": pass
s.setblocking(True); turns(s)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 50000)); say("rcvtimeo", name(s.recv, 1))
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 0)); turns(s)
s.sendall(b"abcdef"); say("peek", s.recv(3, socket.MSG_PEEK), s.recv(6, socket.MSG_WAITALL), name(s.recv, 1, socket.MSG_DONTWAIT))
turns(s)

# a signal: the handler runs while a call waits there, which goes on, or ends with EINTR
hit = []
signal.signal(signal.SIGALRM, lambda *a: hit.append(1))
s.send(b"D"); assert s.recv(1) == b"D"
signal.setitimer(signal.ITIMER_REAL, 0.1); t = time.monotonic(); s.send(b"W"); r = s.recv(1); say("signal", r, len(hit), time.monotonic() - t > 0.25)
class Out(Exception): pass
def leave(*a): raise Out
signal.signal(signal.SIGALRM, leave); signal.setitimer(signal.ITIMER_REAL, 0.1)
try: s.recv(1)
except Out: say("interrupted")
turns(s)
# stops and goes on
pid = os.fork()
if pid == 0:
    s = echo(); s.send(b"W"); say("stopped", s.recv(1)); os._exit(0)
time.sleep(0.2); os.kill(pid, signal.SIGSTOP); time.sleep(0.1); os.kill(pid, signal.SIGCONT); os.waitpid(pid, 0)

# the end of it: FIN with the last descriptor, wherever the others are
def ended(how, f, s):
    tell = new(b"T"); tell.sendall(struct.pack("!H", s.getsockname()[1])); f(); r = tell.recv(9); say("ends by", how, r); tell.close()
s = echo(); ended("close", s.close, s)
s = echo(); s.send(b"U"); time.sleep(0.1); ended("close with data", s.close, s)
s = echo(); s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); turns(s); ended("linger 0", s.close, s)
s = echo(); d = s.dup(); turns(d); s.close(); turns(d); ended("the last of two", d.close, d)
s = echo(); a, b = os.pipe(); os.set_inheritable(s.fileno(), False); ended("dup2 over it", lambda: os.dup2(a, s.fileno()), s); os.write(b, b"p"); say("pipe", os.read(s.detach(), 9))
s = echo(); ended("shutdown", lambda: s.shutdown(socket.SHUT_WR), s); say("after shutdown", name(s.send, b"x"), s.recv(1)); s.close()
s = echo(); pid = os.fork()
if pid == 0:
    turns(s); s.close(); os._exit(0)
os.waitpid(pid, 0); turns(s); ended("close after a fork", s.close, s)
s = echo(); pid = os.fork()
if pid == 0:
    time.sleep(0.3); turns(s); os._exit(0)
ended("a child's exit", s.close, s); os.waitpid(pid, 0)
s = echo(); pid = os.fork()
if pid == 0: os.execv("/bin/true", ["true"])
os.waitpid(pid, 0); ended("close after an exec", s.close, s)
s = echo(); os.set_inheritable(s.fileno(), True)
code = "import socket,sys; s=socket.socket(fileno=int(sys.argv[1])); [(s.send(b'y'), s.recv(1)) for i in range(20)]; print('child', s.recv(0))"
say("exec", subprocess.run([sys.executable, "-c", code, str(s.fileno())], pass_fds=[s.fileno()], capture_output=True).stdout); turns(s); s.close()
s = echo(); x, y = socket.socketpair(); socket.send_fds(x, [b"f"], [s.fileno()]); ended("a message's end", lambda: (s.close(), x.close(), y.close()), s)
s = echo(); x, y = socket.socketpair(); socket.send_fds(x, [b"f"], [s.fileno()]); s.close(); f = socket.recv_fds(y, 1, 1)[1][0]; s = turns(socket.socket(fileno=f)); s.close()

# errors
s = echo(); s.send(b"R"); time.sleep(0.2); say("reset", name(s.recv, 1), name(s.recv, 1)); s.close()
s = echo(); s.send(b"C"); time.sleep(0.2); say("closed", s.recv(9)); say("pipe", [name(s.send, b"x"), time.sleep(0.2)][0], name(s.send, b"x")); s.close()
say("sigpipe", subprocess.run([sys.executable, "-c", "import signal,sys; signal.signal(signal.SIGPIPE, signal.SIG_DFL); exec(sys.stdin.read())"],
    input="import socket,time\ns=socket.create_connection(('127.0.0.1',%d)); s.send(b'E')\nfor i in range(20): s.send(b'x'); s.recv(1)\ns.send(b'C'); time.sleep(.2)\nfor i in range(9): s.send(b'x'); time.sleep(.05)" % PORT, text=True).returncode)

# much at once: blocked by room, and all of it
s = echo(); n = 3 << 20; got = []
def drain():
    k = 0
    while k < n: k += len(s.recv(65536))
    got.append(k)
t = threading.Thread(target=drain); t.start(); s.sendall(os.urandom(n)); t.join(); say("much", got)
s.send(b"Z"); s.settimeout(None); k = s.send(b"z" * (8 << 20)); say("one big send", k); s.close()

# readiness: what was read there is not ready here
s = echo(); e = select.epoll(); e.register(s, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
turns(s); r = []
for i in range(3): s.send(b"q"); time.sleep(0.05); r.append([v & select.EPOLLIN for _, v in e.poll(1)]); assert s.recv(1) == b"q"
say("edges", r, [v & select.EPOLLIN for _, v in e.poll(0)])
p = select.poll(); p.register(s, select.POLLIN); turns(s); say("poll", p.poll(0)); s.send(b"q"); say("poll", [v for _, v in p.poll()]); s.recv(1); say("select", select.select([s], [], [], 0)[0]); s.close()

# numbers that are used again, under threads that use them
bad = []
def churn():
    for i in range(60):
        s = echo(); f = s.fileno(); s.close()
        a, b = os.pipe(); os.write(b, b"P")
        if os.read(a, 1) != b"P": bad.append(i)
        os.close(a); os.close(b)
ts = [threading.Thread(target=churn) for i in range(4)]
[t.start() for t in ts]; [t.join() for t in ts]; say("churn", bad)
s = echo(); t = threading.Thread(target=lambda: say("closed under a reader", name(s.recv, 1))); t.start(); time.sleep(0.2)
f = s.detach(); os.close(f); s = echo(); new(b"K").recv(1); t.join(); say("and the other", s.recv(1))
"""


class Server:
    """Does to each connection what its first byte says, and knows how each ended, by the peer's port."""

    def __init__(self):
        self.s = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.s.getsockname()[1]
        self.new()
        threading.Thread(target=self.run, daemon=True).start()

    def new(self):
        self.ends, self.open, self.bytes, self.cond = {}, {}, 0, threading.Condition()

    def run(self):
        while True:
            c, peer = self.s.accept()
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(c, peer[1]), daemon=True).start()

    def serve(self, c, port):
        what, how = c.recv(1), b"FIN"
        try:
            if what == b"E":
                with self.cond:
                    self.open[port] = c
                    self.ends.pop(port, None)
                self.echo(c)
            elif what == b"T":
                (port,) = struct.unpack("!H", c.recv(2, socket.MSG_WAITALL))
                with self.cond:
                    self.cond.wait_for(lambda: port in self.ends, 5)
                    c.sendall(self.ends.get(port, b"open"))
                return
            elif what == b"K":  # everybody's connection that is open ends
                with self.cond:
                    for o in self.open.values():
                        with contextlib.suppress(OSError):
                            o.shutdown(socket.SHUT_WR)
                c.close()
                return
        except ConnectionResetError:
            how = b"RST"
        except OSError:
            return
        with self.cond:
            self.open.pop(port, None)
            self.ends[port] = how
            self.cond.notify_all()
        c.close()

    def echo(self, c):
        while True:
            b = c.recv(65536)
            if not b:
                return
            self.bytes += len(b)
            if b == b"W":
                time.sleep(0.4)
            elif b == b"R":
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                c.close()
                raise OSError
            elif b == b"C":
                c.close()
                raise OSError
            elif b == b"Z":
                time.sleep(0.3)
                while c.recv(1 << 20):
                    pass
                return
            c.sendall(b)


def sbx(server, argv, *options):
    return subprocess.run([SBX, "run", "--stats", "--timeout=120", f"--allow-net=127.0.0.1:{server.port}", *options, "--", *argv],
                          capture_output=True, text=True, timeout=150)


def honest(server):
    argv = [PY, "-c", PROGRAM, str(server.port)]
    native = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    server.new()
    inside = sbx(server, argv)
    if native.stdout != inside.stdout or "under a reader" not in native.stdout:
        a, b = native.stdout.split("\n"), inside.stdout.split("\n")
        for k in range(max(len(a), len(b))):
            n, i = (x[k] if k < len(x) else "(nothing)" for x in (a, b))
            if n != i:
                raise AssertionError(f"natively: {n}\ninside: {i}\n{native.stderr[-1500:]}{inside.stderr[-3000:]}")
        raise AssertionError(native.stdout + native.stderr + inside.stderr[-3000:])
    local = int(re.search(r"local (\d+)", inside.stderr).group(1))
    if local < 5000:
        raise AssertionError(f"only {local} calls were done without the sentry: nothing is lent")


class Canary(threading.Thread):
    """A port that nobody may reach."""

    def __init__(self):
        super().__init__(daemon=True)
        self.s = socket.create_server(("127.0.0.1", 0))
        self.port, self.taken = self.s.getsockname()[1], 0
        self.start()

    def run(self):
        while True:
            self.s.accept()
            self.taken += 1


def hostile(server):
    canary = Canary()
    r = sbx(server, [HOSTILE, "lentnet", str(server.port), str(canary.port)], "--user=0:0")
    if r.returncode or "kept" not in r.stdout or "REACHED" in r.stdout or canary.taken:
        raise AssertionError(f"status {r.returncode}, {canary.taken} at the forbidden port\n{r.stdout}{r.stderr[-2000:]}")


def changing(server):
    """What a hostile stub has kept ends when the rules change."""
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        env = dict(os.environ, XDG_RUNTIME_DIR=top)
        p = subprocess.Popen([SBX, "run", "--timeout=120", "--name=lent", "--user=0:0", f"--allow-net=127.0.0.1:{server.port}",
                              "--", HOSTILE, "lentnet", str(server.port), "9", "changes"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        out, before = [], None
        for line in p.stdout:
            out.append(line)
            if line == "kept\n":
                subprocess.run([SBX, "net", "lent", "remove", f"127.0.0.1:{server.port}"], check=True, env=env, timeout=30,
                               stdout=subprocess.DEVNULL)
                time.sleep(0.2)
                before = server.bytes
        err = p.stderr.read()
        if p.wait(30) or "cut\n" not in out or "REACHED" in "".join(out) or server.bytes != before:
            raise AssertionError("".join(out) + err[-2000:] + f"bytes: {before}, then {server.bytes}")


def main():
    server = Server()
    for name, test in ("honest", honest), ("hostile", hostile), ("changing", changing):
        server.new()
        test(server)
        print("ok", name, flush=True)


if __name__ == "__main__":
    main()
