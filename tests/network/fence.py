#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The second fence: a net broker that checks nothing (sbx-unfenced) is held by eBPF all the same.

fence.py UNFENCED [NAME...]    77: this host has no such fence
"""
import os
import socket
import subprocess
import sys
import time

import network
from network import PRIVATE, PRIVATE6, PUBLIC, PUBLIC2, PUBLIC6, PY, SBX, same
from procs import child

# Whatever is asked for, this broker does; Landlock would hold TCP's ports.
TAKEN = {"SBX_UNFENCED": "netpolicy,landlock"}


def tries(options, code, without=None, args=()):
    env = dict(os.environ, **TAKEN)
    if without:
        env["SBX_WITHOUT"] = without
    p = subprocess.run([SBX, "run", "--timeout=50", *options, "--", PY, "-c", """
import errno,socket,sys,time
def reach(h,p):
    try:
        s=socket.create_connection((h,p),1.5)
        return s.recv(6).decode().strip()
    except socket.timeout: return 'nothing'
    except OSError as e: return errno.errorcode.get(e.errno, str(e))
def ask(h,p,kind=socket.AF_INET):
    s=socket.socket(kind, socket.SOCK_DGRAM); s.settimeout(1.5)
    try: s.sendto(b'a',(h,p)); return s.recv(9).decode()
    except socket.timeout: return 'nothing'
    except OSError as e: return errno.errorcode.get(e.errno, str(e))
""" + code, *args], capture_output=True, text=True, env=env, timeout=60, cwd="/tmp/sbx-network")
    if p.returncode:
        raise AssertionError(f"status {p.returncode}: {p.stderr}")
    return p.stdout


WAYS = (f"print(reach('{PUBLIC}',80), reach('{PUBLIC}',81), reach('{PUBLIC2}',80), reach('{PRIVATE}',80),"
        f"reach('{PUBLIC6}',80), reach('{PRIVATE6}',80), ask('{PUBLIC}',5000), ask('{PUBLIC2}',5000))")
RULES = ["--allow-net", f"{PUBLIC}:80,5000", "--allow-net", f"[{PUBLIC6}]:80"]


def test_bites():
    """With the fence what no rule allows gets no answer; without it, this broker reaches everything."""
    same(tries(RULES, WAYS), "hello nothing nothing nothing hello nothing echo a nothing\n")
    same(tries(RULES, WAYS, without="bpf"), "hello hello hello hello hello hello echo a echo a\n")


def test_names_hold_ports():
    """Of a name, the ports, and public addresses alone."""
    same(tries(["--allow-net", "any.example:80", "--allow-net", f"{PUBLIC2}:5000"], WAYS),
         "hello nothing hello nothing hello nothing nothing echo a\n")


def test_host():
    same(tries(["--net=host", "--deny-net", PUBLIC2], WAYS), "hello hello nothing hello hello hello echo a nothing\n")


def test_names_are_asked():
    network.dns.zone["fence.example"] = [(1, PUBLIC)]
    same(tries(["--allow-net", "fence.example:80"], "print(reach('fence.example',80))"), "hello\n")


def test_changes():
    """A change acts on what is open, in the hands of whoever."""
    env = dict(os.environ, **TAKEN)
    p = subprocess.Popen([SBX, "run", "--timeout=50", "--name", "fenced", "--allow-net", f"{PUBLIC}:80", "--", PY, "-uc", f"""
import socket
s=socket.create_connection(('{PUBLIC}',80)); s.recv(6); s.settimeout(1)
while input():
    try: t=socket.create_connection(('{PUBLIC2}',80),1); t.recv(6); r='reached'; t.close()
    except OSError: r='nothing'
    try: s.send(b'a'); r+=' echo' if s.recv(1) else ' end'
    except OSError as e: r+=' nothing'
    print(r)
"""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd="/tmp/sbx-network")

    def ask():
        p.stdin.write("x\n")
        p.stdin.flush()
        return p.stdout.readline()

    def net(*args):
        subprocess.run([SBX, "net", "fenced", *args], check=True, env=env, capture_output=True)

    same(ask(), "nothing echo\n")
    net("allow", f"{PUBLIC2}:80")
    same(ask(), "reached echo\n")
    net("remove", f"{PUBLIC2}:80", f"{PUBLIC}:80")
    same(ask().split()[0], "nothing")
    p.kill()
    p.wait()


def published(options, without=None):
    """Who comes to a published UDP port is answered, TCP is served; whom does the port reach that did not come?"""
    env = dict(os.environ, **TAKEN)
    if without:
        env["SBX_WITHOUT"] = without
    p = subprocess.Popen([SBX, "run", "--timeout=50", "-p", "7700:700/udp", "-p", "7701:701", *options, "--", PY, "-uc", f"""
import socket
u=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('0.0.0.0',700)); u.settimeout(1.5)
t=socket.create_server(('0.0.0.0',701))
print('up')
for i in range(3):
    d,a=u.recvfrom(9); u.sendto(b're '+d,a)
    c,_=t.accept(); c.send(b're '+c.recv(9)); c.close()
for h in '{PUBLIC}', '{PUBLIC2}':
    u.sendto(b'a',(h,5000))
    try: print(h, u.recvfrom(9)[0].decode())
    except OSError: print(h, 'nothing')
"""], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd="/tmp/sbx-network")
    try:
        same(p.stdout.readline(), "up\n")
        for i, host in enumerate(["127.0.0.1", PRIVATE, "::1"]):
            kind = socket.AF_INET6 if ":" in host else socket.AF_INET
            s = socket.socket(kind, socket.SOCK_DGRAM)
            s.settimeout(5)
            s.sendto(b"%d" % i, (host, 7700))
            same(s.recv(9), b"re %d" % i)
            with socket.create_connection((host, 7701), 5) as c:
                c.send(b"%d" % i)
                same(c.recv(9), b"re %d" % i)
        return p.communicate(timeout=30)[0]
    finally:
        p.kill()
        p.wait()


def test_published():
    """A published UDP port leads to who came, and to what the rules allow; without the fence anywhere."""
    rule = ["--allow-net", f"{PUBLIC}:5000"]
    same(published(rule), f"{PUBLIC} echo a\n{PUBLIC2} nothing\n")
    same(published(rule, without="bpf"), f"{PUBLIC} echo a\n{PUBLIC2} echo a\n")


def test_left():
    """Nothing stays behind: not of a run that ended, nor of a front end that was killed; nor, after the next one, of
    one that was killed with its cleaner."""
    def left():
        r = subprocess.run(["find", "/sys/fs/cgroup", "-maxdepth", "6", "-type", "d", "-name", "sbx-net-*"], capture_output=True,
                           text=True)
        return {d for d in r.stdout.split() if not os.path.exists("/proc/" + d.rsplit("-", 1)[1])}

    before = left()
    tries(RULES, "pass")
    same(left() - before, set())
    for cleaner in True, False:
        p = subprocess.Popen([SBX, "run", *RULES, "--", "sh", "-c", "echo up; sleep 9"], stdout=subprocess.PIPE)
        p.stdout.readline()
        if not cleaner:
            pid = child(p.pid, "sbx-cleaner")
            if pid > 1:
                os.kill(pid, 9)
        p.kill()
        p.wait()
        for _ in range(100):
            if not left() - before:
                break
            time.sleep(0.05)
        if cleaner:
            same(left() - before, set())
    tries(RULES, "pass")
    same(left() - before, set())


if __name__ == "__main__":
    doctor = subprocess.run([SBX, "doctor"], capture_output=True, text=True).stdout
    if "  eBPF                   yes" not in doctor:
        print("skipped:", [line for line in doctor.splitlines() if "eBPF" in line])
        sys.exit(77)
    network.main(globals())
