#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The network of a sandbox against servers of the test's own, in a network namespace of its own.

network.py SBX [NAME...]     all tests, or those whose names begin so

Everything "outside" is an address of the namespace's lo: a public one, private ones, the address of
clouds' metadata, IPv6. Names are answered by a nameserver of the test's that lies when it is asked to.
"""
import os
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from procs import children, comm

SBX = os.path.abspath(sys.argv[1])
PUBLIC, PUBLIC2, PRIVATE, METADATA = "93.184.216.34", "93.184.216.35", "10.9.9.9", "169.254.169.254"
PUBLIC6, PRIVATE6 = "2606:2800:220:1::1", "fd00:9::9"
PY = "/usr/bin/python3"


def enter():
    """Into a network and mount namespace of our own, or 77."""
    if os.environ.get("SBX_NETWORK_TEST") == "in":
        return
    if os.geteuid() != 0:
        print("skipped: only root may make a network of its own here")
        sys.exit(77)
    env = dict(os.environ, SBX_NETWORK_TEST="in")
    if subprocess.run(["unshare", "-n", "-m", "true"], capture_output=True).returncode:
        print("skipped: unshare -n is refused here")
        sys.exit(77)
    sys.exit(subprocess.run(["unshare", "-n", "-m", "--", sys.executable, *sys.argv], env=env).returncode)


def furnish():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for a in (PUBLIC, PUBLIC2, PRIVATE, METADATA):
        subprocess.run(["ip", "addr", "add", a + "/32", "dev", "lo"], check=True)
    for a in (PUBLIC6, PRIVATE6):
        subprocess.run(["ip", "addr", "add", a + "/128", "dev", "lo", "nodad"], check=True)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    os.makedirs("/tmp/sbx-network", exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/tmp/sbx-network"], check=True)  # others have one, too
    with open("/tmp/sbx-network/resolv.conf", "w") as f:
        f.write("nameserver 127.0.0.1\n")
    real = os.path.realpath("/etc/resolv.conf")
    subprocess.run(["mount", "--bind", "/tmp/sbx-network/resolv.conf", real], check=True)


class Echo(socketserver.BaseRequestHandler):
    """Says who asks and whom; then echoes, until the end is told; then says "bye"."""

    def handle(self):
        self.request.sendall(b"hello\n")
        while True:
            try:
                b = self.request.recv(65536)
            except OSError:
                return
            if not b:
                break
            self.request.sendall(b)
        self.request.sendall(b"bye\n")


class Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 2048

    def handle_error(self, request, client_address):
        pass


class Tcp6(Tcp):
    address_family = socket.AF_INET6


class UdpEcho(threading.Thread):
    def __init__(self, addr, family=socket.AF_INET):
        super().__init__(daemon=True)
        self.s = socket.socket(family, socket.SOCK_DGRAM)
        self.s.bind(addr)
        self.start()

    def run(self):
        while True:
            b, a = self.s.recvfrom(65536)
            self.s.sendto(b"echo " + b, a)


class Dns:
    """A nameserver. zone: name -> list of (type, data) or a function of (query, name, type)."""

    def __init__(self):
        self.zone = {}
        self.asked = []
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 53))
        self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind(("127.0.0.1", 53))
        self.tcp.listen(50)
        threading.Thread(target=self.serve_udp, daemon=True).start()
        threading.Thread(target=self.serve_tcp, daemon=True).start()

    @staticmethod
    def name(n):
        return b"".join(bytes([len(p)]) + p.encode() for p in n.split(".") if p) + b"\0"

    def record(self, name, typ, data, ttl=5):
        if typ == 1:
            data = socket.inet_aton(data)
        elif typ == 28:
            data = socket.inet_pton(socket.AF_INET6, data)
        elif typ == 5:
            data = self.name(data)
        return self.name(name) + struct.pack(">HHIH", typ, 1, ttl, len(data)) + data

    def answer(self, q, tcp):
        at, labels = 12, []
        while q[at]:
            labels.append(q[at + 1:at + 1 + q[at]].decode())
            at += 1 + q[at]
        typ = struct.unpack(">H", q[at + 1:at + 3])[0]
        question = q[12:at + 5]
        written = ".".join(labels)
        name = written.lower()
        self.asked.append((written, typ, tcp))
        zone = self.zone.get(name)
        if callable(zone):
            return zone(self, q, question, name, typ, tcp)
        if zone is None:
            return q[:2] + struct.pack(">HHHHH", 0x8183, 1, 0, 0, 0) + question
        records = b""
        n = 0
        for r in zone:
            owner, (t, d) = (r[0], r[1:3]) if len(r) == 3 else (name, r)
            if t in (typ, 5):
                records += self.record(owner, t, d)
                n += 1
        if not tcp and len(records) > 400:
            return q[:2] + struct.pack(">HHHHH", 0x8380, 1, 0, 0, 0) + question
        return q[:2] + struct.pack(">HHHHH", 0x8180, 1, n, 0, 0) + question + records

    def serve_udp(self):
        while True:
            q, a = self.udp.recvfrom(4096)
            r = self.answer(q, False)
            for one in r if isinstance(r, list) else [r]:
                if one is not None:
                    self.udp.sendto(one, a)

    def serve_tcp(self):
        while True:
            c, _ = self.tcp.accept()
            n = struct.unpack(">H", c.recv(2, socket.MSG_WAITALL))[0]
            r = self.answer(c.recv(n, socket.MSG_WAITALL), True)
            c.sendall(struct.pack(">H", len(r)) + r)
            c.close()


dns = None


def sbx(options, code, *args, timeout=60):
    p = subprocess.run([SBX, "run", "--timeout=50", *options, "--", PY, "-c", code, *args],
                       capture_output=True, text=True, timeout=timeout, cwd="/tmp/sbx-network")
    return p.stdout, p.stderr, p.returncode


def inside(options, code, *args):
    out, err, rc = sbx(options, "import os,socket,sys,time,errno,struct,select,threading\n"
                       "def reach(h,p,f=None):\n"
                       "    try:\n"
                       "        s=socket.create_connection((h,p),5)\n"
                       "        return s.recv(6).decode().strip()\n"
                       "    except socket.gaierror as e: return 'name'\n"
                       "    except OSError as e: return errno.errorcode.get(e.errno, str(e))\n" + code, *args)
    if rc != 0:
        raise AssertionError(f"status {rc}: {err}")
    return out, err


def same(a, b):
    if a != b:
        raise AssertionError(f"{a!r} is not {b!r}")


def has(text, what):
    if what not in text:
        raise AssertionError(f"no {what!r} in {text!r}")


# ---- rules ----

def test_none():
    out, _ = inside([], f"print(reach('{PUBLIC}', 80), reach('127.0.0.1', 80))")
    same(out, "ENETUNREACH ECONNREFUSED\n")
    for options, want in (([], ["sbx-gofer", "sbx-sentry"]),  # no broker without a network
                          (["--net=host"], ["sbx-gofer", "sbx-net", "sbx-sentry"])):
        p = subprocess.Popen([SBX, "run", *options, "--", "sh", "-c", "echo up; sleep 5"], stdout=subprocess.PIPE)
        p.stdout.readline()
        for _ in range(100):  # the broker may still have the name that it was born with
            if "sbx" not in (names := sorted(map(comm, children(p.pid)))):
                break
            time.sleep(0.05)
        # The cleaner is there where the second fence is.
        same([c for c in names if c != "sbx-cleaner"], want)
        p.kill()
        p.wait()


def test_cidr():
    out, err = inside(["--allow-net", f"{PUBLIC}:80"],
                      f"print(reach('{PUBLIC}',80), reach('{PUBLIC}',81), reach('{PUBLIC2}',80),"
                      f"reach('{METADATA}',80), reach('{PRIVATE}',80))")
    same(out, "hello EACCES EACCES EACCES EACCES\n")
    has(err, f"sbx: the network refused {PUBLIC}:81 (1 time); --allow-net {PUBLIC}:81")
    out, _ = inside(["--allow-net", "93.184.216.0/24", "--deny-net", PUBLIC2],
                    f"print(reach('{PUBLIC}',80), reach('{PUBLIC}',81), reach('{PUBLIC2}',80))")
    same(out, "hello hello EACCES\n")
    out, _ = inside(["--allow-net", f"[{PUBLIC6}]:80"], f"print(reach('{PUBLIC6}',80), reach('{PRIVATE6}',80))")
    same(out, "hello EACCES\n")


def test_any():
    """* is every address that is nobody's private business."""
    out, _ = inside(["--allow-net", "*:80"],
                    f"print(reach('{PUBLIC}',80), reach('{PUBLIC6}',80), reach('{PRIVATE}',80), reach('{METADATA}',80),"
                    f"reach('{PRIVATE6}',80), reach('{PUBLIC}',81), reach('::ffff:{METADATA}',80))")
    same(out, "hello hello EACCES EACCES EACCES EACCES EACCES\n")


def test_mapped():
    """An address is the same however it is written."""
    out, _ = inside(["--allow-net", f"{PUBLIC}:80", "--deny-net", PUBLIC2],
                    f"print(reach('::ffff:{PUBLIC}',80), reach('::ffff:{PUBLIC2}',80), reach('::{PUBLIC2}',80),"
                    f"reach('64:ff9b::{METADATA}',80), reach('64:ff9b::{PUBLIC2}',80))")
    same(out, "hello EACCES EACCES EACCES EACCES\n")


def test_host():
    out, _ = inside(["--net=host", "--deny-net", METADATA],
                    f"print(reach('{PUBLIC}',80), reach('{PRIVATE}',80), reach('{METADATA}',80), reach('127.0.0.1',80))")
    same(out, "hello hello EACCES hello\n")


def test_loopback():
    """lo is the sandbox's own; the host's only by number, and who listens inside comes first."""
    out, _ = inside(["--allow-net", PUBLIC], "print(reach('127.0.0.1', 80), reach('0.0.0.0', 80))")
    same(out, "ECONNREFUSED ECONNREFUSED\n")
    out, _ = inside(["--allow-net", "127.0.0.1:80"],
                    "print(reach('127.0.0.1', 80))\n"
                    "s=socket.create_server(('127.0.0.1',80))\n"
                    "c=socket.create_connection(('127.0.0.1',80)); a,_=s.accept(); a.sendall(b'inside')\n"
                    "print(c.recv(6).decode())", )
    same(out, "hello\ninside\n")


def test_bad_input():
    for options, what in ((["--allow-net", "1.2.3.4/33"], "0 to 32"), (["--allow-net", "1.2.3.4:0"], "1 to 65535"),
                          (["--allow-net", "a..b"], "empty"), (["--allow-net", "*x"], "stands alone"),
                          (["--allow-net", "10.0.0.1/8"], "bits behind"), (["--net=some"], "none or host"),
                          (["--net=none", "-p", "1:1"], "nothing"), (["--deny-net", "a.b"], "--allow-net"),
                          (["--allow-net", "a.b", "--deny-net", "a.b"], "both say"),
                          (["-p", "x"], "HOSTPORT"), (["-p", "80:80"], "in use"), (["-p", "1:2/sctp"], "tcp"),
                          (["--net=host", "--allow-net", "a.b"], "allows all"), (["--allow-net", "localhost"], "itself"),
                          (["--allow-net", "1.2.3.4.5"], "no address")):
        _, err, rc = sbx(options, "print(1)")
        same(rc, 125)
        has(err, what)
        same(err.count("\n"), 1)


# ---- names ----

def test_names():
    dns.zone["good.example"] = [(1, PUBLIC), (28, PUBLIC6)]
    dns.zone["a.sub.example"] = [(1, PUBLIC2)]
    dns.zone["bad.example"] = [(1, PUBLIC)]
    dns.asked.clear()
    out, err = inside(["--allow-net", "good.example:80", "--allow-net", "*.sub.example"],
                      f"print(reach('{PUBLIC}', 80))\n"  # not before it is resolved
                      "print(reach('good.example',80), reach('GOOD.example.',80), reach('a.sub.example',81), reach('sub.example',80),"
                      "reach('good.example',81), reach('bad.example',80))\n"
                      f"print(reach('{PUBLIC}', 80), reach('{PUBLIC}', 81))")
    same(out, "EACCES\nhello hello hello name EACCES name\nhello EACCES\n")
    has(err, "sbx: the network refused good.example:81")
    has(err, "sbx: the network refused bad.example (")
    same([a for a in dns.asked if a[0].lower() == "bad.example"], [])  # it went nowhere
    if all(a[0] == a[0].lower() for a in dns.asked):
        raise AssertionError("letters of queries are not in random case")


def test_names_lead_nowhere_else():
    """A name that leads to the metadata, a private network, loopback, or through mapped forms of these."""
    dns.zone["rebind.example"] = [(1, METADATA), (1, PRIVATE), (1, "127.0.0.1"), (1, "0.0.0.0"), (1, "100.64.0.1"),
                                  (28, "::1"), (28, PRIVATE6), (28, "::ffff:" + METADATA), (28, "64:ff9b::a9fe:a9fe"),
                                  (28, "fd00:ec2::254"), (28, "2002:a9fe:a9fe::1")]
    dns.zone["mixed.example"] = [(1, METADATA), (1, PUBLIC)]
    out, _ = inside(["--allow-net", "*.example"],
                    "try: print(socket.getaddrinfo('rebind.example',80))\n"
                    "except socket.gaierror: print('none')\n"
                    "print([a[4][0] for a in socket.getaddrinfo('mixed.example',80,socket.AF_INET,socket.SOCK_STREAM)])\n"
                    f"print(reach('{METADATA}',80), reach('{PRIVATE}',80))")
    same(out, f"none\n['{PUBLIC}']\nEACCES EACCES\n")
    out, _ = inside(["--allow-net", "*.example", "--allow-net", "10.9.0.0/16"], "print(reach('rebind.example',80))")
    same(out, "hello\n")  # by number it may


def test_rebind_after_check():
    """The name's second answer is another address: the first is let through, the second is not."""
    turn = []

    def zone(d, q, question, name, typ, tcp):
        if typ != 1:
            return q[:2] + struct.pack(">HHHHH", 0x8180, 1, 0, 0, 0) + question
        turn.append(1)
        a = PUBLIC if len(turn) == 1 else PRIVATE
        return q[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0) + question + d.record(name, 1, a, ttl=0)

    dns.zone["flip.example"] = zone
    out, _ = inside(["--allow-net", "flip.example"],
                    "print(reach('flip.example',80), reach('flip.example',80))")
    same(out, "hello name\n")


def test_cname():
    dns.zone["alias.example"] = [("alias.example", 5, "there.other"), ("there.other", 1, PUBLIC)]
    dns.zone["stray.example"] = [("stray.example", 5, "there.other"), ("elsewhere.other", 1, PUBLIC2)]
    out, _ = inside(["--allow-net", "*.example"],
                    f"print(reach('alias.example',80), reach('stray.example',80), reach('{PUBLIC2}',80), reach('there.other',80))")
    same(out, "hello name EACCES name\n")
    out, _ = inside(["--allow-net", "*.example", "--deny-net", "*.other"], "print(reach('alias.example',80))")
    same(out, "name\n")


def test_spoofed():
    """Answers with another id, another question, other letters, before the true one: passed over."""
    def zone(d, q, question, name, typ, tcp):
        def made(head, quest, a):
            return head + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0) + quest + d.record(name, 1, a)
        if typ != 1:
            return q[:2] + struct.pack(">HHHHH", 0x8180, 1, 0, 0, 0) + question
        other = bytes(c ^ 0x20 if 65 <= c & 0xdf <= 90 else c for c in question[:-4]) + question[-4:]
        return [made(bytes([q[0] ^ 1, q[1]]), question, PUBLIC2), made(q[:2], other, PUBLIC2), q[:11], b"", b"\xff" * 300,
                q[:2] + b"\x81\x80\0\1\xff\xff\0\0\0\0" + question, ] + [None]

    def true(d, q, question, name, typ, tcp):
        if typ != 1:
            return q[:2] + struct.pack(">HHHHH", 0x8180, 1, 0, 0, 0) + question
        return zone(d, q, question, name, typ, tcp)[:5] + [
            q[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0) + question + d.record(name, 1, PUBLIC)]

    dns.zone["spoof.example"] = true
    dns.zone["liar.example"] = zone
    out, _ = inside(["--allow-net", "*.example"],
                    f"print(reach('spoof.example',80), reach('{PUBLIC2}',80), reach('liar.example',80))")
    same(out, "hello EACCES name\n")


def test_dns_loops():
    """A chain of names without an end, records that point into themselves."""
    dns.zone["loop.example"] = [("loop.example", 5, "loop.example")]

    def zone(d, q, question, name, typ, tcp):
        return q[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0) + question + b"\xc0\x1e" * 200

    dns.zone["point.example"] = zone
    out, _ = inside(["--allow-net", "*.example"], "print(reach('loop.example',80), reach('point.example',80))")
    same(out, "name name\n")


def test_dns_tcp():
    """An answer that is too long comes by TCP, on both sides."""
    dns.zone["many.example"] = [(1, f"93.184.{i}.1") for i in range(100)]
    out, _ = inside(["--allow-net", "*.example"],
                    "print(len(socket.getaddrinfo('many.example',80,socket.AF_INET,socket.SOCK_STREAM)))")
    same(out, "100\n")


def test_dns_denied():
    dns.zone["x.example"] = [(1, PUBLIC)]
    out, _ = inside(["--allow-net", "*", "--deny-net", "x.example"], f"print(reach('x.example',80), reach('{PUBLIC}',80))")
    same(out, "name hello\n")


# ---- TCP ----

def test_learn():
    """By the name that was asked for; by number what no name may lead to, or what was asked for so."""
    dns.zone["good.example"] = [(1, PUBLIC)]
    dns.zone["inner.example"] = [(1, PRIVATE)]
    code = ("import socket,sys\ndef reach(h,p): return socket.create_connection((h,p),5).recv(6).decode().strip()\n"
            f"print(reach('good.example',80), reach('good.example',81), reach('inner.example',80), reach('{PUBLIC2}',81))")
    p = subprocess.run([SBX, "learn", "-o", "/tmp/sbx-network/p.toml", "--", PY, "-c", code], capture_output=True, text=True, timeout=60,
                       cwd="/tmp/sbx-network", check=False)
    same((p.stdout, p.returncode), ("hello hello hello hello\n", 0))
    with open("/tmp/sbx-network/p.toml", encoding="ascii") as f:
        got = [line for line in f if line.startswith("allow-net")]
    rules = sorted([f"{PRIVATE}:80", f"{PUBLIC2}:81"]) + ["good.example:80,81"]
    same(got, ["allow-net = [%s]\n" % ", ".join('"%s"' % r for r in rules)])
    same(sbx(["--profile", "/tmp/sbx-network/p.toml", "--allow-net", "inner.example"], code)[0], "hello hello hello hello\n")


def test_tcp():
    out, _ = inside(["--allow-net", PUBLIC], f"""
s=socket.create_connection(('{PUBLIC}',80))
assert s.recv(6)==b'hello\\n'
assert s.getpeername()==('{PUBLIC}',80)
assert s.getsockname()[1] > 0
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
assert s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 33)
info=s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
assert info[0]==1 and len(info)==104, info[:4]
s.sendall(b'abcdef')
assert s.recv(3, socket.MSG_PEEK)==b'abc'
assert s.recv(6, socket.MSG_WAITALL)==b'abcdef'
try: s.recv(1, socket.MSG_DONTWAIT); assert 0
except BlockingIOError: pass
s.settimeout(0.2)
try: s.recv(1); assert 0
except socket.timeout: pass
s.settimeout(None)
s.shutdown(socket.SHUT_WR)
assert s.recv(100)==b'bye\\n'
assert s.recv(100)==b''
try: s.send(b'x'); assert 0
except BrokenPipeError: pass
s.close()
# half a second of a big transfer, both ways
s=socket.create_connection(('{PUBLIC}',80)); s.recv(6)
data=os.urandom(1<<20)*8
got=bytearray()
def reader():
    while len(got) < len(data): got.extend(s.recv(1<<20))
th=threading.Thread(target=reader); th.start()
s.sendall(data); th.join()
assert bytes(got)==data
print('ok')
""")
    same(out, "ok\n")


def test_tcp_nonblocking():
    out, _ = inside(["--allow-net", "93.184.216.0/24", "--allow-net", "10.0.0.0/8"], f"""
s=socket.socket(); s.setblocking(False)
assert s.connect_ex(('{PUBLIC}',80))==errno.EINPROGRESS
p=select.poll(); p.register(s, select.POLLOUT)
assert p.poll(5000)[0][1] & select.POLLOUT
assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)==0
assert s.connect_ex(('{PUBLIC}',80)) in (0, errno.EISCONN)
assert s.connect_ex(('{PUBLIC}',80))==errno.EISCONN
e=select.epoll(); e.register(s, select.EPOLLIN|select.EPOLLET)
assert e.poll(5) and s.recv(6)==b'hello\\n'
s.sendall(b'x'); assert e.poll(5) and s.recv(6)==b'x'
# nobody listens
s=socket.socket(); s.setblocking(False)
assert s.connect_ex(('{PUBLIC}',9))==errno.EINPROGRESS
p=select.poll(); p.register(s, select.POLLOUT)
ev=p.poll(5000)[0][1]
assert ev & select.POLLERR and ev & select.POLLHUP, ev
assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)==errno.ECONNREFUSED
s=socket.socket()
assert s.connect_ex(('{PUBLIC}',9))==errno.ECONNREFUSED
s.connect(('{PUBLIC}',80)); assert s.recv(6)==b'hello\\n'   # and again with the same socket
# a connect that is given up
s=socket.socket(); s.setblocking(False); s.connect_ex(('{PUBLIC}',80)); s.close()
print('ok')
""")
    same(out, "ok\n")


def test_tcp_reset():
    """SO_LINGER of zero resets; a reset is seen."""
    ls = socket.create_server((PUBLIC, 7001))
    seen = []

    def serve():
        a, _ = ls.accept()
        try:
            a.recv(10)
            seen.append("end")
        except ConnectionResetError:
            seen.append("reset")
        b, _ = ls.accept()
        b.recv(1)  # a reset at once would be the connect's own error, as natively
        b.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        b.close()

    t = threading.Thread(target=serve)
    t.start()
    out, _ = inside(["--allow-net", PUBLIC], f"""
s=socket.create_connection(('{PUBLIC}',7001))
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii',1,0)); s.close()
s=socket.create_connection(('{PUBLIC}',7001))
s.send(b'x')
try: print(s.recv(1))
except ConnectionResetError: print('reset')
""")
    t.join(5)
    same(out, "reset\n")
    same(seen, ["reset"])


def test_tcp_urgent():
    ls = socket.create_server((PUBLIC, 7002))
    got = []

    def serve():
        a, _ = ls.accept()
        time.sleep(0.3)
        got.append(a.recv(1, socket.MSG_OOB))
        got.append(a.recv(10))
        a.send(b"!", socket.MSG_OOB)
        try:
            a.recv(1)
        except ConnectionResetError:
            pass

    t = threading.Thread(target=serve)
    t.start()
    out, _ = inside(["--allow-net", PUBLIC], f"""
s=socket.create_connection(('{PUBLIC}',7002))
assert s.send(b'abcX', socket.MSG_OOB)==4
p=select.poll(); p.register(s, select.POLLPRI); assert p.poll(5000)
print(s.recv(1, socket.MSG_OOB))
""")
    t.join(5)
    same(out, "b'!'\n")
    same(got, [b"X", b"abc"])


def test_tcp_many():
    """A thousand connections at once."""
    out, _ = inside(["--allow-net", PUBLIC], f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
ss=[]
for i in range(1000):
    s=socket.socket(); s.setblocking(False); assert s.connect_ex(('{PUBLIC}',80))==errno.EINPROGRESS; ss.append(s)
p=select.poll()
for s in ss: p.register(s, select.POLLIN)
left={{s.fileno():s for s in ss}}
while left:
    for fd,ev in p.poll(20000) or sys.exit('stuck with %d' % len(left)):
        assert left.pop(fd).recv(6)==b'hello\\n'; p.unregister(fd)
print(len(ss))
""")
    same(out, "1000\n")


# ---- from outside ----

def test_publish():
    code = """
s=socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('0.0.0.0',8000)); s.listen(2)
print('up', flush=True)
for i in range(int(sys.argv[1])):
    a,p=s.accept()
    a.sendall(b'inside ' + p[0].encode()); a.shutdown(socket.SHUT_WR); a.recv(1); a.close()
s.close()
print('closed', flush=True)
time.sleep(1)
"""
    p = subprocess.Popen([SBX, "run", "--timeout=50", "-p", f"{PUBLIC}:7100:8000", "--", PY, "-c",
                          "import socket,sys,time\n" + code, "6"], stdout=subprocess.PIPE, text=True)
    try:
        same(p.stdout.readline(), "up\n")
        cs = [socket.create_connection((PUBLIC, 7100), 10) for _ in range(6)]  # more than its backlog
        for c in cs:
            same(c.recv(100), b"inside " + PUBLIC.encode())
            c.close()
        same(p.stdout.readline(), "closed\n")
        for _ in range(50):  # the broker hears of it a moment later
            if socket.socket().connect_ex((PUBLIC, 7100)) == 111:
                break
            time.sleep(0.02)
        same(socket.socket().connect_ex((PUBLIC, 7100)), 111)
    finally:
        p.kill()
        p.wait()
    out, _ = inside(["-p", "7101:8001"], f"print(reach('{PUBLIC}', 80))")
    same(out, "EACCES\n")  # publishing lets nothing out


def test_publish_ipv6():
    """A port of an IPv6 address alone, and one of both kinds, to who listens inside for either."""
    for listen, family in (("('0.0.0.0',8000)", "AF_INET"), ("('::',8000)", "AF_INET6")):
        p = subprocess.Popen([SBX, "run", "--timeout=50", "-p", f"[{PUBLIC6}]:7110:8000", "-p", "7111:8001", "--", PY, "-c",
                              f"""
import socket
ls = [socket.create_server(({listen}[0], port), family=socket.{family}) for port in (8000, 8001)]
print('up', flush=True)
for l in (ls[0], ls[1], ls[1]):
    a,p=l.accept()
    assert a.getpeername()==p and a.getsockname()[1]==l.getsockname()[1], (a.getpeername(), p, a.getsockname())
    a.sendall(p[0].encode()); a.close()
"""], stdout=subprocess.PIPE, text=True)
        try:
            same(p.stdout.readline(), "up\n")
            same(socket.socket().connect_ex((PUBLIC, 7110)), 111)
            six, four = ("10.0.2.2", PUBLIC) if family == "AF_INET" else (PUBLIC6, "::ffff:" + PUBLIC)
            same(socket.create_connection((PUBLIC6, 7110), 10).recv(100).decode(), six)
            same(socket.create_connection((PUBLIC6, 7111), 10).recv(100).decode(), six)
            same(socket.create_connection((PUBLIC, 7111), 10).recv(100).decode(), four)
            same(p.wait(), 0)
        finally:
            p.kill()
            p.wait()


def test_publish_udp():
    code = """
import socket
s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0',8053))
print('up', flush=True)
while True:
    b,a=s.recvfrom(65536)
    s.sendto(b'from inside: '+b, a)
"""
    p = subprocess.Popen([SBX, "run", "--timeout=50", "-p", "7153:8053/udp", "--", PY, "-c", code],
                         stdout=subprocess.PIPE, text=True)
    try:
        same(p.stdout.readline(), "up\n")
        for host, family in (("127.0.0.1", socket.AF_INET), (PUBLIC6, socket.AF_INET6)):
            c = socket.socket(family, socket.SOCK_DGRAM)
            c.settimeout(5)
            c.sendto(b"x" * 100, (host, 7153))
            same(c.recv(1000), b"from inside: " + b"x" * 100)
    finally:
        p.kill()
        p.wait()


def test_host_listen():
    taken = socket.create_server(("", 7199))
    p = subprocess.Popen([SBX, "run", "--timeout=50", "--net=host", "--", PY, "-c", """
import socket
try: socket.create_server(('',7199)); print('bound')
except OSError as e: print(e.errno)
s=socket.create_server(('',7200)); print('up', flush=True)
a,_=s.accept(); a.sendall(b'ok')
"""], stdout=subprocess.PIPE, text=True)
    same(p.stdout.readline(), "98\n")
    same(p.stdout.readline(), "up\n")
    same(socket.create_connection((PUBLIC, 7200), 5).recv(10), b"ok")
    same(p.wait(), 0)
    taken.close()
    bind = "\nfor a in ('127.0.0.1',7201),('0.0.0.0',7202),('0.0.0.0',0): s=socket.socket(2,2); s.bind(a)"
    _, err = inside(["--net=host"], bind)  # not done, and said
    same(err, "sbx: UDP port 7202 was not bound on the host; -p 7202:7202/udp\n")
    same(inside(["--net=host", "-p", "7202:7202/udp"], bind)[1], "")
    same(inside(["--allow-net", PUBLIC], bind)[1], "")


# ---- UDP and ICMP ----

def test_udp():
    out, err = inside(["--allow-net", f"{PUBLIC}:5000", "--allow-net", f"{PUBLIC2}:5000", "--allow-net", f"[{PUBLIC6}]:5000"], f"""
s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
for h in ('{PUBLIC}','{PUBLIC2}','{PUBLIC}'):
    s.sendto(b'a', (h,5000)); assert s.recvfrom(100)==(b'echo a',(h,5000))
c=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); c.settimeout(3)
c.connect(('{PUBLIC}',5000)); c.send(b'b'*30000); assert len(c.recv(65536))==30005
assert c.getpeername()==('{PUBLIC}',5000)
try: c.connect(('{METADATA}',5000)); print('reached')
except PermissionError: pass
s.sendto(b'a', ('{METADATA}',5000))
s.settimeout(0.5)
try: print(s.recv(10))
except socket.timeout: pass
v=socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); v.settimeout(3)
v.sendto(b'6', ('{PUBLIC6}',5000)); assert v.recv(10)==b'echo 6'
print('ok')
""")
    same(out, "ok\n")
    has(err, f"sbx: the network refused {METADATA}:5000 (2 times)")


def test_udp_last():
    """What was sent is sent, though its sender, and with it the sandbox, ends at once; from empty to the longest."""
    for kind, addr in ((socket.AF_INET, PUBLIC), (socket.AF_INET6, PUBLIC6)):
        s = socket.socket(kind, socket.SOCK_DGRAM)
        s.bind((addr, 5001))
        s.settimeout(5)
        for n in (0, 1, 1000, 65000 if kind == socket.AF_INET else 65400):
            host = f"[{addr}]" if kind == socket.AF_INET6 else addr
            inside(["--allow-net", f"{host}:5001"],
                   f"socket.socket({int(kind)}, socket.SOCK_DGRAM).sendto(b'q'*{n}, ('{addr}',5001)); os._exit(0)")
            same(s.recv(70000), b"q" * n)
        s.close()


def test_udp_burst():
    """So are those that followed it, in their order and from one port, though none waited for anything."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((PUBLIC, 5002))
    s.settimeout(5)
    for n in (2, 8, 64):
        inside(["--allow-net", f"{PUBLIC}:5002"],
               f"s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
               f"for i in range({n}): s.sendto(b'%d' % i, ('{PUBLIC}',5002))\nos._exit(0)")
        got = [s.recvfrom(100) for _ in range(n)]
        same([b for b, _ in got], [b"%d" % i for i in range(n)])
        same(len({a for _, a in got}), 1)
    s.close()


def test_ping():
    with open("/proc/sys/net/ipv4/ping_group_range", "w") as f:
        f.write("0 2147483647")
    out, _ = inside(["--allow-net", PUBLIC], f"""
s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP); s.settimeout(3)
s.sendto(b'\\x08\\0\\0\\0\\0\\0\\0\\1hello', ('{PUBLIC}',0))
b,a=s.recvfrom(100)
assert b[0]==0 and b[8:]==b'hello' and a[0]=='{PUBLIC}', (b,a)
print('ok')
""")
    same(out, "ok\n")


# ---- what programs look at ----

def test_interfaces():
    out, _ = inside(["--allow-net", PUBLIC], """
print(socket.if_nameindex())
print(open('/proc/net/route').read().count('eth0'))
""")
    same(out, "[(1, 'lo'), (2, 'eth0')]\n2\n")


def test_programs():
    """Real programs against a real server: curl and git."""
    www = "/tmp/sbx-network/www"
    subprocess.run(f"""rm -rf {www} && mkdir -p {www} && cd {www} && echo page > page.txt &&
        git init -q r && cd r && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m one &&
        git update-server-info""", shell=True, check=True)
    dns.zone["www.example"] = [(1, PUBLIC)]
    srv = subprocess.Popen([PY, "-m", "http.server", "8080", "--bind", PUBLIC, "-d", www],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if socket.socket().connect_ex((PUBLIC, 8080)) == 0:
                break
            time.sleep(0.05)
        for cmd, what in ((["curl", "-sS", "http://www.example:8080/page.txt"], "page"),
                          (["sh", "-c", "git clone -q http://www.example:8080/r/.git /tmp/r && git -C /tmp/r log --format=%s"],
                           "one")):
            if subprocess.run(["which", cmd[0]], capture_output=True).returncode:
                print(f"  {cmd[0]} is not here")
                continue
            p = subprocess.run([SBX, "run", "--timeout=40", "--allow-net", "www.example:8080", "--", *cmd],
                               capture_output=True, text=True)
            same((p.stdout.strip(), p.returncode), (what, 0))
    finally:
        srv.kill()


def installers_tree(www):
    """What the package index of Python and the registry of npm look like, with a package each."""
    import base64, hashlib, io, json, tarfile, zipfile  # pylint: disable=import-outside-toplevel,multiple-imports
    os.makedirs(www + "/simple/tiny")
    wheel = "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{www}/simple/tiny/{wheel}", "w") as z:
        z.writestr("tiny.py", "print('a tiny wheel')\n")
        z.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        z.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr("tiny-1.0.dist-info/RECORD", "")
    with open(www + "/simple/tiny/index.html", "w") as f:
        f.write(f'<!DOCTYPE html><html><body><a href="{wheel}">{wheel}</a></body></html>')
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as t:
        for name, text in (("package.json", '{"name":"small","version":"1.0.0","main":"m.js"}'),
                           ("m.js", "console.log('a small package')")):
            info = tarfile.TarInfo("package/" + name)
            info.size = len(text)
            t.addfile(info, io.BytesIO(text.encode()))
    os.makedirs(www + "/files")
    with open(www + "/files/small-1.0.0.tgz", "wb") as f:
        f.write(out.getvalue())
    dist = {"tarball": "http://www.example:8081/files/small-1.0.0.tgz",
            "integrity": "sha512-" + base64.b64encode(hashlib.sha512(out.getvalue()).digest()).decode()}
    with open(www + "/small", "w") as f:
        json.dump({"name": "small", "dist-tags": {"latest": "1.0.0"},
                   "versions": {"1.0.0": {"name": "small", "version": "1.0.0", "main": "m.js", "dist": dist}}}, f)


def test_installers():
    """pip and npm from a server of the test's, which is the only one that they may reach."""
    www = "/tmp/sbx-network/index"
    subprocess.run(["rm", "-rf", www], check=True)
    installers_tree(www)
    dns.zone["www.example"] = [(1, PUBLIC)]
    srv = subprocess.Popen([PY, "-m", "http.server", "8081", "--bind", PUBLIC, "-d", www],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if socket.socket().connect_ex((PUBLIC, 8081)) == 0:
                break
            time.sleep(0.05)
        for have, cmd, what in (
                ([PY, "-m", "pip", "--version"],
                 f"{PY} -m pip --isolated install -q --no-cache-dir --index-url http://www.example:8081/simple "
                 f"--trusted-host www.example --target /tmp/t tiny && PYTHONPATH=/tmp/t {PY} -m tiny", "a tiny wheel"),
                (["/usr/bin/npm", "--version"],
                 "cd /tmp && /usr/bin/npm install --silent --no-audit --no-fund --registry http://www.example:8081/ small && "
                 "node -e 'require(\"small\")'", "a small package")):
            try:
                here = subprocess.run(have, capture_output=True, timeout=60).returncode == 0
            except OSError:
                here = False
            if not here:
                print(f"  {' '.join(have)}: not here")
                continue
            p = subprocess.run([SBX, "run", "--timeout=50", "--allow-net", "www.example:8081", "--", "sh", "-c", cmd],
                               capture_output=True, text=True, cwd="/tmp/sbx-network")
            if (p.stdout.strip(), p.returncode) != (what, 0):
                raise AssertionError(f"{cmd}: status {p.returncode}: {p.stdout}{p.stderr}")
    finally:
        srv.kill()


def main(tests):
    """tests: the functions named test_*, of a module."""
    global dns
    enter()
    furnish()
    dns = Dns()
    for a in (PUBLIC, PUBLIC2, PRIVATE, METADATA, "127.0.0.1"):
        for port in (80, 81):
            threading.Thread(target=Tcp((a, port), Echo).serve_forever, daemon=True).start()
    for a in (PUBLIC6, PRIVATE6):
        threading.Thread(target=Tcp6((a, 80), Echo).serve_forever, daemon=True).start()
    for a in (PUBLIC, PUBLIC2, METADATA):
        UdpEcho((a, 5000))
    UdpEcho((PUBLIC6, 5000), socket.AF_INET6)
    bad = 0
    for name, fn in list(tests.items()):
        if not name.startswith("test_") or not (not sys.argv[2:] or any(name[5:].startswith(w) for w in sys.argv[2:])):
            continue
        try:
            fn()
            print("ok  ", name[5:], flush=True)
        except Exception as e:  # pylint: disable=broad-except
            bad += 1
            print("FAIL", name[5:], type(e).__name__, e, flush=True)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main(globals())
