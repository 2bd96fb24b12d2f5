#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rules that change while a sandbox runs (sbx net), against the servers of network.py.

rules.py SBX [NAME...]
"""
import json
import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

import network
from network import METADATA, PRIVATE, PUBLIC, PUBLIC2, PY, SBX, has, same
from procs import child

TOP = tempfile.mkdtemp(prefix="rules-")
os.chmod(TOP, 0o755)
ENV = dict(os.environ, XDG_RUNTIME_DIR=TOP)

AGENT = r"""
import os,socket,sys,time,errno,struct,select,threading
def name(e): return errno.errorcode.get(e.errno, str(e))
def reach(h,p):
    try:
        s=socket.create_connection((h,p),5)
        return s.recv(6).decode().strip()
    except socket.gaierror as e: return 'name'
    except OSError as e: return name(e)
def tried(f,*a):
    try: return f(*a)
    except OSError as e: return name(e)
def opened(h,p=80):
    s=socket.create_connection((h,p),5); assert s.recv(6)==b'hello\n'; return s
print('up')
while True:
    n=sys.stdin.buffer.readline()
    if not n: break
    code=sys.stdin.buffer.read(int(n)).decode()
    try: r=eval(code) if not code.startswith('do:') else exec(code[3:])
    except Exception as e: r='%s: %s' % (type(e).__name__, e)
    print(repr(r), flush=True)
"""


class Box:
    """A named sandbox with a program inside that does what it is told."""

    def __init__(self, *options, name="box"):
        self.name = name
        self.p = subprocess.Popen([SBX, "run", "--timeout=120", "--name", name, *options, "--", PY, "-u", "-c", AGENT],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV,
                                  cwd="/tmp/sbx-network")
        if self.p.stdout.readline() != b"up\n":
            raise AssertionError(self.p.stderr.read().decode())

    def begin(self, code):
        code = code.encode()
        self.p.stdin.write(b"%d\n%s" % (len(code), code))
        self.p.stdin.flush()

    def result(self):
        return self.p.stdout.readline().decode().strip()

    def do(self, code):
        self.begin(code)
        return self.result()

    def net(self, *args, status=0):
        r = subprocess.run([SBX, "net", self.name, *args], capture_output=True, text=True, env=ENV, timeout=30)
        if r.returncode != status:
            raise AssertionError(f"sbx net {' '.join(args)}: status {r.returncode}: {r.stdout}{r.stderr}")
        return r.stdout if status == 0 else r.stderr

    def json(self):
        return json.loads(self.net("--json"))

    def child(self, name):
        pid = child(self.p.pid, name)
        if not pid:
            raise AssertionError(f"no {name}")
        return pid

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.p.stdin.close()
        try:
            self.err = self.p.stderr.read().decode()
            self.p.wait(20)
        except subprocess.TimeoutExpired:
            self.p.kill()
            raise
        finally:
            self.p.stdout.close()
            self.p.stderr.close()


class Server:
    """Takes connections and reads; knows how each ended, and how much came."""

    def __init__(self, port, addr=PUBLIC, backlog=4096):
        self.s = socket.create_server((addr, port), backlog=backlog)
        self.ends, self.bytes, self.taken, self.lock = [], 0, 0, threading.Lock()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                a, _ = self.s.accept()
            except OSError:
                return
            with self.lock:
                self.taken += 1
            threading.Thread(target=self.serve, args=(a,), daemon=True).start()

    def serve(self, a):
        how = "end"
        try:
            a.sendall(b"hello\n")
            while True:
                b = a.recv(65536)
                if not b:
                    break
                with self.lock:
                    self.bytes += len(b)
        except OSError as e:
            how = type(e).__name__
        a.close()
        with self.lock:
            self.ends.append(how)

    def wait_ends(self, n):
        for _ in range(100):
            if len(self.ends) >= n:
                return self.ends
            time.sleep(0.05)
        raise AssertionError(f"{len(self.ends)} of {n} have ended")

    def close(self):
        self.s.close()


def test_show():
    with Box("--allow-net", f"{PUBLIC}:80", "--deny-net", "10.0.0.0/8", "-p", "127.0.0.1:8099:80") as b:
        for _ in range(3):
            same(b.do(f"reach('{PUBLIC2}',80)"), "'EACCES'")
        same(b.do(f"reach('{PRIVATE}',80)"), "'EACCES'")
        b.do("tried(socket.getaddrinfo,'other.example',80)")
        same(b.net(), f"network   rules\n  allow-net  {PUBLIC}:80\n  deny-net   10.0.0.0/8\n  publish    127.0.0.1:8099:80\n"
                      f"refused so far:\n  {PUBLIC2}:80 (3 times)\n  {PRIVATE}:80 (1 time)\n  other.example (%d times)\n" %
             b.json()["refused"][2]["count"])
        same(b.net("allow", f"{PUBLIC2}:80,81"), "")
        b.net("remove", "10.0.0.0/8")
        j = b.json()
        same((j["network"], j["allow-net"], j["deny-net"], j["publish"], j["refused"][0]),
             ("rules", [f"{PUBLIC}:80", f"{PUBLIC2}:80,81"], [], ["127.0.0.1:8099:80"], {"target": f"{PUBLIC2}:80", "count": 3}))
        i = json.loads(subprocess.run([SBX, "inspect", "--json", "box"], capture_output=True, text=True, env=ENV).stdout)
        same(i["allow-net"], j["allow-net"])
        same(b.do(f"reach('{PUBLIC2}',80)"), "'hello'")


def test_cut():
    """An open connection ends as by a reset, for both ends, whatever its program is doing."""
    srv = Server(7101)
    with Box("--allow-net", PUBLIC, "--allow-net", PUBLIC2) as b:
        b.do(f"do:global s,t,u,v; s,t,u=[opened('{PUBLIC}',7101) for i in range(3)]; v=opened('{PUBLIC2}')")
        b.do("do:e=select.epoll(); e.register(t, select.EPOLLIN|select.EPOLLET)")
        b.begin("tried(s.recv,1)")  # sleeps in it
        time.sleep(0.2)
        same(b.net("remove", PUBLIC), "3 connections were closed\n")
        same(b.result(), "'ECONNRESET'")
        same(b.do("(tried(s.recv,1), tried(s.send,b'x'))"), "(b'', 'EPIPE')")
        same(b.do("(e.poll(5)[0][1] & (select.EPOLLHUP|select.EPOLLERR)) == select.EPOLLHUP|select.EPOLLERR"), "True")
        same(b.do("(t.getsockopt(socket.SOL_SOCKET,socket.SO_ERROR)==errno.ECONNRESET, tried(t.recv,1))"), "(True, b'')")
        same(b.do("(tried(u.send,b'x'), tried(u.send,b'x'), u.close())"), "('ECONNRESET', 'EPIPE', None)")
        same(srv.wait_ends(3), ["ConnectionResetError"] * 3)
        same(b.do(f"(v.send(b'abc'), v.recv(3), reach('{PUBLIC}',80))"), "(3, b'abc', 'EACCES')")
        same(b.net("deny", "93.184.0.0/16:80"), "1 connection was closed\n")
        same(b.do(f"(tried(v.recv,1), reach('{PUBLIC2}',80))"), "('ECONNRESET', 'EACCES')")
        same(b.net("remove", "93.184.0.0/16:80"), "")
        same(b.do(f"reach('{PUBLIC2}',80)"), "'hello'")
    srv.close()


def test_end_is_the_same():
    """That the broker has a connection, too, changes nothing of how it is closed."""
    srv = Server(7102)
    with Box("--allow-net", PUBLIC) as b:
        code = f"do:s=opened('{PUBLIC}',7102); s.sendall(b'q'*100000); %s; s.close()"
        b.do(code % "pass")
        same(srv.wait_ends(1)[-1], "end")
        same(srv.bytes, 100000)
        b.do(code % "s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii',1,0))")
        same(srv.wait_ends(2)[-1], "ConnectionResetError")
        b.do(code % "s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii',1,5))")
        same(srv.wait_ends(3)[-1], "end")
        b.do(code % "s.shutdown(socket.SHUT_WR)")
        same(srv.wait_ends(4)[-1], "end")
        ls = socket.create_server((PUBLIC, 7103))
        b.begin(f"do:s=socket.create_connection(('{PUBLIC}',7103)); s.recv(1); s.close()")  # leaves something unread
        a, _ = ls.accept()
        a.sendall(b"xyz")
        try:
            same(a.recv(1), b"a reset")
        except ConnectionResetError:
            pass
        b.result()
        # SO_LINGER with a time waits for it, as natively, where the other end takes nothing
        b.begin(f"""do:
s=socket.create_connection(('{PUBLIC}',7103)); s.setblocking(False)
while tried(s.send,b'q'*100000)!='EAGAIN': pass
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii',1,1)); t=time.time(); s.close(); took=time.time()-t
""")
        c, _ = ls.accept()
        b.result()
        if not 0.9 < float(b.do("took")) < 3:
            raise AssertionError("close did not wait for its linger time: " + b.do("took"))
        ls.close()
        with open(f"/proc/{b.child('sbx-net')}/limits") as f:
            f.read()
        held = lambda: len(os.listdir(f"/proc/{b.child('sbx-net')}/fd"))
        before = held()
        b.do(f"[reach('{PUBLIC}',80) for i in range(50)][0]")
        for _ in range(100):  # what the broker still holds of one that is closed goes a moment later
            if held() <= before:
                break
            time.sleep(0.1)
        same(held() <= before, True)
    srv.close()


def test_without_the_sentry():
    """Cut by the broker alone: a sentry that does nothing at all cannot prevent it."""
    srv = Server(7104)
    with Box("--allow-net", PUBLIC) as b:
        b.do(f"do:s=opened('{PUBLIC}',7104)")
        pid = b.child("sbx-sentry")
        os.kill(pid, signal.SIGSTOP)
        try:
            same(b.net("remove", PUBLIC), "1 connection was closed\n")
            same(srv.wait_ends(1), ["ConnectionResetError"])
        finally:
            os.kill(pid, signal.SIGCONT)
        same(b.do("tried(s.recv,1)"), "'ECONNRESET'")
    srv.close()


def test_under_way():
    """A connect that waits for its answer, and one whose answer is on its way to the sentry."""
    full = socket.create_server((PUBLIC, 7105), backlog=0)
    fill = []
    for _ in range(3):  # the queue is full: what comes now is not answered
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex((PUBLIC, 7105))
        fill.append(s)
    time.sleep(0.2)
    srv = Server(7106)
    with Box("--allow-net", PUBLIC) as b:
        b.begin(f"tried(socket.create_connection,('{PUBLIC}',7105),20)")
        time.sleep(0.5)
        t = time.time()
        same(b.net("remove", PUBLIC), "1 connection was closed\n")
        same(b.result(), "'EACCES'")
        if time.time() - t > 2:
            raise AssertionError("late")
        b.net("allow", PUBLIC)
        pid = b.child("sbx-sentry")
        b.do("do:q=socket.socket(); q.setblocking(False)")
        b.do(f"q.connect_ex(('{PUBLIC}',7106))")
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.1)
        b.net("remove", PUBLIC)
        os.kill(pid, signal.SIGCONT)
        b.do("time.sleep(0.2)")
        has("'ECONNRESET' 'EACCES' b'hello\\n'", b.do("tried(q.recv,6)"))
        if srv.taken:
            same(srv.wait_ends(1), ["ConnectionResetError"])
    full.close()
    srv.close()


def test_udp():
    with Box("--allow-net", f"{PUBLIC}:5000") as b:
        b.do("do:s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)")
        b.do(f"do:c=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); c.settimeout(2); c.connect(('{PUBLIC}',5000))")
        ask = f"(s.sendto(b'a',('{PUBLIC}',5000)), s.recv(9), c.send(b'c'), c.recv(9))"
        same(b.do(ask), "(1, b'echo a', 1, b'echo c')")
        b.net("remove", f"{PUBLIC}:5000")
        b.do("time.sleep(0.1)")
        same(b.do(f"[tried(c.send,b'x'), tried(s.sendto,b'x',('{PUBLIC}',5000)), time.sleep(0.2), "
                  f"tried(s.sendto,b'x',('{PUBLIC}',5000))][-1]"), "'EACCES'")
        b.net("allow", f"{PUBLIC}:5000")
        b.do(f"tried(s.sendto,b'z',('{PUBLIC}',5000))")
        b.do("time.sleep(0.2)")
        b.do("do:\nfor q in (s,c):\n  q.setblocking(False)\n  while tried(q.recv,9)!='EAGAIN': pass\n  q.settimeout(2)")
        b.do("(tried(c.send,b'c'), time.sleep(0.2), tried(c.recv,9))")
        same(b.do(ask), "(1, b'echo a', 1, b'echo c')")


def test_names():
    """A name's rule: a connection by it stays when others change, and goes with it."""
    network.dns.zone["a.rules.example"] = [(1, PUBLIC)]
    with Box("--allow-net", "a.rules.example:80", "--allow-net", PRIVATE) as b:
        b.do("do:s=opened('a.rules.example')")
        same(b.net("remove", PRIVATE), "")
        same(b.do("(s.send(b'abc'), s.recv(3))"), "(3, b'abc')")
        same(b.net("remove", "a.rules.example:80"), "1 connection was closed\n")
        same(b.do("(tried(s.recv,1), reach('a.rules.example',80))"), "('ECONNRESET', 'name')")
        b.net("allow", "*.rules.example")
        same(b.do("reach('a.rules.example',80)"), "'hello'")
        same(b.do(f"reach('{METADATA}',80)"), "'EACCES'")


def test_loopback():
    with Box("--allow-net", PUBLIC) as b:
        same(b.do("reach('127.0.0.1',80)"), "'ECONNREFUSED'")
        b.net("allow", "127.0.0.1:80")
        same(b.do("reach('127.0.0.1',80)"), "'hello'")
        b.do("do:s=opened('127.0.0.1')")
        same(b.net("remove", "127.0.0.1:80"), "1 connection was closed\n")
        same(b.do("tried(s.recv,1)"), "'ECONNRESET'")
        # Until the sentry has heard of it, the broker is asked once more, and refuses.
        for _ in range(100):
            if (said := b.do("reach('127.0.0.1',80)")) != "'EACCES'":
                break
            time.sleep(0.05)
        same(said, "'ECONNREFUSED'")


def test_bad_input():
    with Box("--allow-net", PUBLIC, "--deny-net", PUBLIC2) as b:
        before = b.net()
        for args, what in (
                (("allow", PRIVATE, "not a name:80"), "sbx: net box: not a name:80: no name has such a character\n"),
                (("allow", PRIVATE, PUBLIC2), f"sbx: net box: {PUBLIC2}: a rule denies just that; remove it first\n"),
                (("deny", PUBLIC), f"sbx: net box: {PUBLIC}: a rule allows just that; remove it first\n"),
                (("remove", PUBLIC, PRIVATE), f"sbx: net box: {PRIVATE}: there is no such rule; see sbx net NAME\n"),
                (("allow",), "sbx: net: give a name: sbx net [--json] NAME, or sbx net NAME allow|deny|remove RULE...\n"),
                (("permit", PUBLIC), "sbx: net: give a name: sbx net [--json] NAME, or sbx net NAME allow|deny|remove RULE...\n")):
            same(b.net(*args, status=125), what)
        same(b.net(), before)  # nothing half done
        b.net("allow", PUBLIC)  # it is there already
        same(b.net(), before)
        many = [f"10.1.{i >> 8}.{i & 255}" for i in range(257)]
        for at in range(0, 240, 60):
            b.net("allow", *many[at:at + 60])
        has(b.net("allow", *many[240:257], status=125), "there are 256 rules")
    with Box() as b:
        same(b.net("allow", PUBLIC, status=125),
             "sbx: net box: no network: the sandbox was started without one; start it with --allow-net\n")
        has(b.net(), "a loopback of its own")
    with Box("--net=host") as b:
        has(b.net("allow", PUBLIC, status=125), "--net=host allows all; remove what denies it")
        b.net("deny", PUBLIC2)
        same(b.do(f"(reach('{PUBLIC}',80), reach('{PUBLIC2}',80))"), "('hello', 'EACCES')")


def test_owner_only():
    with Box("--allow-net", PUBLIC) as b:
        r = subprocess.run([SBX, "net", "box", "remove", PUBLIC], capture_output=True, text=True, env=ENV, user=65534, group=65534,
                           extra_groups=[])
        same(r.returncode, 125)
        same(b.do(f"reach('{PUBLIC}',80)"), "'hello'")


def test_race():
    """Once the change has returned nothing that was sent later arrives, by connections old or new, TCP or UDP."""
    came, lock = [], threading.Lock()
    srv = socket.create_server((PUBLIC, 7110), backlog=4096)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((PUBLIC, 7110))

    def take(read):
        try:
            while b := read():
                for stamp, in struct.iter_unpack("d", b[:len(b) & ~7]):
                    with lock:
                        came.append(stamp)
        except OSError:
            pass

    def serve(c):
        f = c.makefile("rb")
        take(lambda: f.read(8))

    def accept():
        try:
            while True:
                threading.Thread(target=serve, args=(srv.accept()[0],), daemon=True).start()
        except OSError:
            pass

    threading.Thread(target=accept, daemon=True).start()
    threading.Thread(target=lambda: take(lambda: udp.recv(8)), daemon=True).start()
    with Box("--allow-net", f"{PUBLIC}:7110") as b:
        b.do("do:import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))")
        b.do(f"""do:
on=True
def stamp(): return struct.pack('d',time.time())
def anew(): # a connection for each word
    while on:
        try:
            s=socket.create_connection(('{PUBLIC}',7110)); s.send(stamp()); s.close()
        except OSError: time.sleep(0.003)
def kept(): # those that are open, as long as they are
    while on:
        ss=[]
        try:
            while on:
                if len(ss)<20: ss.append(socket.create_connection(('{PUBLIC}',7110)))
                for s in ss: s.send(stamp())
                time.sleep(0.001)
        except OSError: time.sleep(0.003)
def spray(): # with and without a peer
    s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); c=None
    while on:
        try:
            s.sendto(stamp(),('{PUBLIC}',7110))
            if not c: c=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); c.connect(('{PUBLIC}',7110))
            c.send(stamp())
            time.sleep(0.001)
        except OSError: c=None; time.sleep(0.003)
def nonblocking(): # many under way at once
    while on:
        ss=[]
        for i in range(30):
            s=socket.socket(); s.setblocking(False); s.connect_ex(('{PUBLIC}',7110)); ss.append(s)
        for s in ss:
            try: s.send(stamp())
            except OSError: pass
            s.close()
        time.sleep(0.003)
ths=[threading.Thread(target=f) for f in (anew,anew,kept,kept,spray,nonblocking)]
for t in ths: t.start()
""")
        late = 0
        for i in range(15):
            b.net("allow", f"{PUBLIC}:7110")
            at = len(came)
            for _ in range(200):
                if len(came) > at + 50:
                    break
                time.sleep(0.02)
            else:
                raise AssertionError(f"round {i}: nothing comes")
            if i % 2:
                b.net("remove", f"{PUBLIC}:7110")
            else:
                b.net("deny", "93.184.216.0/24:7110")
            done = time.time()
            time.sleep(0.3)
            with lock:
                late += sum(stamp > done for stamp in came)
                came.clear()
            if i % 2 == 0:
                b.net("remove", "93.184.216.0/24:7110")
        b.do("do:on=False\nfor t in ths: t.join()")
        if late:
            raise AssertionError(f"{late} words: what was sent after a change is late")
    srv.close()
    udp.close()


def test_load():
    """Rules come and go under a thousand busy connections and as many attempts: what is cut is silent."""
    srv = Server(7107)
    with Box("--allow-net", f"{PUBLIC}:7107") as b:
        b.do("do:import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))")
        b.do(f"""do:
on=True; tries=0
def work():
    global tries
    while on:
        try:
            ss=[opened('{PUBLIC}',7107) for i in range(60)]
            while on:
                for s in ss: s.send(b'q'*1000)
                time.sleep(0.001)
        except OSError: tries+=1; time.sleep(0.001)
ths=[threading.Thread(target=work) for i in range(16)]
for t in ths: t.start()
""")
        for i in range(12):
            at = srv.taken
            for _ in range(200):
                if srv.taken > at + 100:
                    break
                time.sleep(0.02)
            else:
                raise AssertionError(f"round {i}: {srv.taken - at} connections")
            b.net("remove", f"{PUBLIC}:7107")
            time.sleep(0.15)  # what was on its way
            now = srv.bytes, srv.taken
            time.sleep(0.2)
            same((srv.bytes, srv.taken), now)
            same(len(srv.ends), srv.taken)
            b.net("allow", f"{PUBLIC}:7107")
        b.do("do:on=False\nfor t in ths: t.join()")
        time.sleep(0.3)
        before = len(os.listdir(f"/proc/{b.child('sbx-net')}/fd"))
        if before > 20:
            raise AssertionError(f"the broker still has {before} descriptors")
    srv.close()


if __name__ == "__main__":
    network.main(globals())
