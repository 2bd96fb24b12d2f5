#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TCP under load, and programs that live on the network, against the servers of network.py.

load.py SBX [NAME...]
"""
import hashlib
import http.server
import io
import json
import os
import resource
import selectors
import shutil
import socket
import subprocess
import tarfile
import threading
import time

import network
from network import METADATA, PRIVATE, PUBLIC, SBX, inside, same

TOP = "/tmp/sbx-network"


def many_server(port, n):
    """In a process of its own: says hello to n connections at once, echoes a byte of each, waits for their ends."""
    s = socket.create_server((PUBLIC, port), backlog=4096)
    pid = os.fork()
    if pid:
        s.close()
        return pid
    resource.setrlimit(resource.RLIMIT_NOFILE, (n + 100, max(n + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    sel = selectors.DefaultSelector()
    s.setblocking(False)
    sel.register(s, selectors.EVENT_READ)
    ended = 0
    while ended < n:
        for key, _ in sel.select(30) or os._exit(1):
            if key.fileobj is s:
                a, _ = s.accept()
                sel.register(a, selectors.EVENT_READ)
                continue
            b = key.fileobj.recv(100)
            if b:
                key.fileobj.send(b)
            else:
                sel.unregister(key.fileobj)
                key.fileobj.close()
                ended += 1
    os._exit(0)


def test_ten_thousand():
    """As many connections as that, all open at once, each with a byte there and back, each with its end."""
    n = 10000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < 20000:
        print(f"  a hard limit of {hard} files is too low for {n} connections: 1000 instead")
        n = 1000
    pid = many_server(7201, n)
    out, _ = inside(["--allow-net", PUBLIC], f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({n}+100, {n}+100))
ss=[]
for i in range({n}):
    s=socket.create_connection(('{PUBLIC}',7201)); s.send(struct.pack('I',i)); ss.append(s)
for i,s in enumerate(ss): assert struct.unpack('I', s.recv(4))[0]==i
for s in ss: s.shutdown(socket.SHUT_WR)
for s in ss: assert s.recv(1)==b''
print(len(ss))
""")
    same(out, f"{n}\n")
    same(os.waitpid(pid, 0)[1], 0)


def test_half_close():
    """Each direction ends by itself, with all that was written before, however late it is read."""
    ls = socket.create_server((PUBLIC, 7202))
    got = []

    def serve():
        a, _ = ls.accept()
        time.sleep(0.3)
        h, n = hashlib.sha256(), 0
        while b := a.recv(1 << 16):
            h.update(b)
            n += len(b)
        got.append((n, h.hexdigest()))
        a.sendall(b"answer" * 100000)
        a.close()

    t = threading.Thread(target=serve)
    t.start()
    out, _ = inside(["--allow-net", PUBLIC], f"""
import hashlib
d=os.urandom(5000000); s=socket.create_connection(('{PUBLIC}',7202)); s.sendall(d); s.shutdown(socket.SHUT_WR)
p=select.poll(); p.register(s, select.POLLIN|select.POLLRDHUP); assert p.poll(20000)
n=0
while b:=s.recv(1<<16): n+=len(b); time.sleep(0.001)
assert p.poll(0)[0][1] & select.POLLHUP
print(n, len(d), hashlib.sha256(d).hexdigest())
""")
    t.join(20)
    same(out, f"600000 {got[0][0]} {got[0][1]}\n")


def test_full_backlog():
    """A server whose queue is full: a connect waits, as natively, and is taken when there is room."""
    ls = socket.create_server((PUBLIC, 7203), backlog=0)
    out, _ = inside(["--allow-net", PUBLIC], f"""
ss=[socket.socket() for i in range(6)]
p=select.poll()
for s in ss: s.setblocking(False); assert s.connect_ex(('{PUBLIC}',7203))==errno.EINPROGRESS; p.register(s, select.POLLOUT)
time.sleep(0.7)
ready=p.poll(0)
assert 0 < len(ready) < 6, len(ready)
s=socket.socket(); s.settimeout(0.4)
try: s.connect(('{PUBLIC}',7203)); print('connected')
except socket.timeout: print('waits')
""")
    same(out, "waits\n")
    ls.close()
    # And ours: more at once than a program's own queue has room for. As natively some are not answered, and try again.
    code = """
s=socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('0.0.0.0',8000)); s.listen(3)
print('up', flush=True); time.sleep(1)
for i in range(100000): a,_=s.accept(); a.sendall(b'%d' % i); a.close(); time.sleep(0.002)
"""
    p = subprocess.Popen([SBX, "run", "--timeout=50", "-p", f"{PUBLIC}:7204:8000", "--", network.PY, "-c", "import socket,time\n" + code],
                         stdout=subprocess.PIPE, cwd=TOP)
    p.stdout.readline()
    got = []

    def client():
        mine = 0
        while mine < 10 and p.poll() is None:
            try:
                with socket.create_connection((PUBLIC, 7204), 0.5) as c:
                    got.append(int(c.recv(10)))
                    mine += 1
            except OSError:
                pass

    ts = [threading.Thread(target=client) for _ in range(20)]
    for t in ts:
        t.start()
    for t in ts:
        t.join(45)
    p.kill()
    p.wait()
    same((len(got), len(set(got))), (200, 200))


def test_options_arrive():
    """What a program sets is what the host's socket has: seen by TCP_INFO and ss."""
    ls = socket.create_server((PUBLIC, 7205))
    code = f"""
s=socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 77)
s.connect(('{PUBLIC}',7205)); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
print(s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), s.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE), flush=True)
sys.stdin.read(1)
"""
    p = subprocess.Popen([SBX, "run", "--timeout=50", "--allow-net", PUBLIC, "--", network.PY, "-c", "import socket,sys\n" + code],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=TOP)
    same(p.stdout.readline(), "1 77\n")
    if shutil.which("ss"):
        line = subprocess.run(["ss", "-tno", "state", "established", "dst", PUBLIC, "dport", "=", ":7205"], capture_output=True,
                              text=True).stdout
        if "timer:(keepalive,1min1" not in line:
            raise AssertionError(f"no keepalive of 77 s: {line}")
    else:
        print("  ss is not here")
    p.communicate("x")
    ls.close()


def test_redirect():
    """An allowed server that sends its client on to a private address: the client does not get there."""
    class Redirect(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # pylint: disable=invalid-name
            self.send_response(302)
            self.send_header("Location", {"/m": f"http://{METADATA}/latest", "/p": f"http://{PRIVATE}:80/",
                                          "/n": "http://inner.redirect.example/", "/6": f"http://[::ffff:{METADATA}]/",
                                          "/d": "http://2851995903/"}[self.path])
            self.end_headers()

        def log_message(self, *args):  # pylint: disable=arguments-differ
            pass

    network.dns.zone["www.redirect.example"] = [(1, PUBLIC)]
    network.dns.zone["inner.redirect.example"] = [(1, PRIVATE)]
    srv = http.server.ThreadingHTTPServer((PUBLIC, 7206), Redirect)
    threading.Thread(target=srv.serve_forever, daemon=True).start()
    out, _ = inside(["--allow-net", "*.redirect.example", "--allow-net", "*:80"], """
import urllib.request
for path in '/m','/p','/n','/6','/d':
    try: print(urllib.request.urlopen('http://www.redirect.example:7206'+path, timeout=5).read())
    except urllib.error.URLError as e: print(type(e.reason).__name__)
""")
    same(out.split(), ["PermissionError", "PermissionError", "gaierror", "PermissionError", "PermissionError"])
    srv.shutdown()
    srv.server_close()


def test_families():
    """Families and kinds of sockets that would go around the broker: not there, or on the loopback only."""
    out, _ = inside(["--net=host"], f"""
def told(f,*args):
    try: return f(*args) or 'done'
    except OSError as e: return errno.errorcode[e.errno]
def try_(*kind):
    try: socket.socket(*kind); return 'made'
    except OSError as e: return errno.errorcode[e.errno]
ours=socket.AF_UNIX,socket.AF_INET,socket.AF_INET6,socket.AF_NETLINK,socket.AF_PACKET,socket.AF_VSOCK
print([(f,k) for f in range(1,46) if f not in ours for k in (1,2,3,4,5,10) if try_(f,k)=='made'])
print({{try_(f,2,p) for f in (2,10) for p in (33,132,136)}})
out=[]
for p in range(1,256):
    if try_(socket.AF_INET,socket.SOCK_RAW,p)=='made':
        s=socket.socket(socket.AF_INET,socket.SOCK_RAW,p)
        out+=[told(s.sendto,bytes(64),('{PUBLIC}',0)), told(s.connect,('{PUBLIC}',0))]
        s.close()
print(set(out) or {{'ENETUNREACH'}})
out=[]
for kind in socket.SOCK_RAW,socket.SOCK_DGRAM:
    s=socket.socket(socket.AF_PACKET,kind,socket.htons(3))
    for _,name in socket.if_nameindex():
        if name!='lo': out.append(told(s.bind,(name,0)))
    s.close()
print(set(out) or {{'ENODEV'}})
s=socket.socket(socket.AF_VSOCK,socket.SOCK_STREAM)
print({{told(s.connect,(cid,22)) for cid in (0,2,3,4,100)}})
""")
    lines = out.splitlines()
    same(lines[0], "[]")
    same("made" in lines[1], False)
    same(lines[2:], ["{'ENETUNREACH'}", "{'ENODEV'}", "{'ENODEV'}"])


def test_ssh():
    if not shutil.which("ssh") or not os.path.exists("/usr/sbin/sshd"):
        print("  no ssh and sshd here")
        return
    d = TOP + "/ssh"
    shutil.rmtree(d, ignore_errors=True)
    os.makedirs(d, 0o700)
    for key in "host", "id":
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{d}/{key}"], check=True)
    shutil.copy(d + "/id.pub", d + "/authorized")
    if not os.path.isdir("/run/sshd"):  # in this mount namespace alone
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
        os.mkdir("/run/sshd", 0o755)
    network.dns.zone["ssh.example"] = [(1, PUBLIC)]
    srv = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", d + "/host", "-p", "7207", "-o", f"ListenAddress={PUBLIC}",
                            "-o", "UsePAM=no", "-o", "StrictModes=no", "-o", f"AuthorizedKeysFile={d}/authorized", "-o", "PidFile=none",
                            "-o", "PermitRootLogin=yes"],
                           stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(100):
            if socket.socket().connect_ex((PUBLIC, 7207)) == 0:
                break
            time.sleep(0.05)
        p = subprocess.run([SBX, "run", "--timeout=40", "--allow-net", "ssh.example:7207", "--", "ssh", "-F", "/dev/null", "-p", "7207", "-i",
                            d + "/id", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes",
                            "root@ssh.example", "cat; echo over; exit 3"], input="there and back\n" * 1000, capture_output=True, text=True,
                           cwd=d)
        if (p.stdout, p.returncode) != ("there and back\n" * 1000 + "over\n", 3):
            raise AssertionError(f"status {p.returncode}: {p.stdout[-200:]}{p.stderr}")
    finally:
        srv.kill()
        srv.wait()


def test_cargo():
    """cargo fetches a crate from a registry of the test's (sparse, over HTTP)."""
    cargo = shutil.which("cargo")
    if shutil.which("rustup"):  # which has it in a home, that is not shown
        cargo = subprocess.run(["rustup", "which", "cargo"], capture_output=True, text=True).stdout.strip()
    if not cargo or subprocess.run([cargo, "--version"], capture_output=True).returncode:
        print("  no cargo here")
        return
    top = os.path.dirname(os.path.dirname(cargo))
    www = TOP + "/registry"
    shutil.rmtree(www, ignore_errors=True)
    os.makedirs(www + "/index/ti/ny")
    os.makedirs(www + "/dl/tiny/1.0.0")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as t:
        for name, text in (("Cargo.toml", '[package]\nname="tiny"\nversion="1.0.0"\n'), ("src/lib.rs", "pub fn one() -> i32 { 1 }\n")):
            info = tarfile.TarInfo("tiny-1.0.0/" + name)
            info.size = len(text)
            t.addfile(info, io.BytesIO(text.encode()))
    with open(www + "/dl/tiny/1.0.0/download", "wb") as f:
        f.write(out.getvalue())
    with open(www + "/index/config.json", "w") as f:
        json.dump({"dl": "http://cargo.example:7208/dl"}, f)
    with open(www + "/index/ti/ny/tiny", "w") as f:
        f.write(json.dumps({"name": "tiny", "vers": "1.0.0", "deps": [], "features": {}, "yanked": False,
                            "cksum": hashlib.sha256(out.getvalue()).hexdigest()}) + "\n")
    app = TOP + "/app"
    shutil.rmtree(app, ignore_errors=True)
    os.makedirs(app + "/src")
    with open(app + "/Cargo.toml", "w") as f:
        f.write('[package]\nname="app"\nversion="0.1.0"\nedition="2021"\n[dependencies]\ntiny="1"\n')
    with open(app + "/src/main.rs", "w") as f:
        f.write('fn main() { println!("{}", tiny::one()); }\n')
    config = ("--config 'source.crates-io.replace-with=\"own\"' "
              "--config 'source.own.registry=\"sparse+http://cargo.example:7208/index/\"'")
    network.dns.zone["cargo.example"] = [(1, PUBLIC)]
    srv = subprocess.Popen([network.PY, "-m", "http.server", "7208", "--bind", PUBLIC, "-d", www], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if socket.socket().connect_ex((PUBLIC, 7208)) == 0:
                break
            time.sleep(0.05)
        p = subprocess.run([SBX, "run", "--timeout=55", "--allow-net", "cargo.example:7208", "-e", "CARGO_HOME=/tmp/cargo", "-v", top + ":/tmp/rust:ro",
                            "-e", "PATH=/tmp/rust/bin:/usr/bin:/bin", "--", "sh", "-c", f"cargo fetch -q {config} && ls /tmp/cargo/registry/src/*"], capture_output=True, text=True, cwd=app, timeout=60)
        if (p.stdout, p.returncode) != ("tiny-1.0.0\n", 0):
            raise AssertionError(f"status {p.returncode}: {p.stdout}{p.stderr}")
    finally:
        srv.kill()


if __name__ == "__main__":
    network.main(globals())
