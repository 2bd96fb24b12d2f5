#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A DNS server and clients of it: names, aliases, texts, what is not there, over UDP (IPv4, IPv6) and TCP, many at once, new names.
command -v /usr/sbin/dnsmasq >/dev/null || { echo "dnsmasq is missing"; exit 77; }
D=$(mktemp -d); chmod 755 "$D"; echo 10.1.2.4 later.test >"$D/more"
/usr/sbin/dnsmasq --no-daemon --port=15353 --listen-address=127.0.0.1,::1 --bind-interfaces --no-resolv --no-hosts --addn-hosts="$D/more" \
    --address=/x.test/10.1.2.3 --address=/six.test/fd00::1 --cname=alias.test,later.test --txt-record=text.test,"a word" --mx-host=mail.test,later.test,5 \
    --local=/test/ --pid-file="$D/p" --user="$(id -un)" --log-facility="$D/l" & P=$!
for _ in $(seq 100); do (: </dev/tcp/127.0.0.1/15353) 2>/dev/null && break; sleep 0.1; done
cat >q.py <<'Q'
import os, signal, socket, struct, sys, threading, time
def query(name, kind, how="udp", family=socket.AF_INET, number=7):
    at = ("::1" if family == socket.AF_INET6 else "127.0.0.1", 15353)
    q = struct.pack(">6H", number, 0x100, 1, 0, 0, 0) + b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0" + struct.pack(">2H", kind, 1)
    if how == "tcp":
        with socket.create_connection(at, 10) as s:
            s.sendall(struct.pack(">H", len(q)) + q)
            f = s.makefile("rb")
            r = f.read(struct.unpack(">H", f.read(2))[0])
    else:
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            s.settimeout(10)
            s.connect(at)
            s.send(q)
            r = s.recv(4096)
    i, flags, _, answers = struct.unpack(">4H", r[:8])
    assert i == number
    return flags & 15, answers, r[len(q):][-16:].hex()
for how in "udp", "tcp":
    for name, kind in ("x.test", 1), ("sub.x.test", 1), ("six.test", 28), ("alias.test", 1), ("text.test", 16), ("mail.test", 15), ("none.test", 1), ("x.test", 28):
        code, n, tail = query(name, kind, how)
        print(how, name, kind, code, n, tail[-8:] if n else "")
print(query("x.test", 1, family=socket.AF_INET6)[:2])
wrong = []
def many(k):
    for j in range(100):
        r = query("n%d-%d.x.test" % (k, j), 1, "tcp" if j % 10 == 0 else "udp", number=k * 100 + j)
        if r[0] or not r[2].endswith("0a010203"):
            wrong.append(r)
ts = [threading.Thread(target=many, args=(k,)) for k in range(8)]
[t.start() for t in ts]; [t.join() for t in ts]
print("many", wrong)
with open(sys.argv[1] + "/more", "a") as f:
    f.write("10.1.2.5 new.test\n")
print("before", query("new.test", 1)[:2])
os.kill(int(sys.argv[2]), signal.SIGHUP) # reads its files again
for _ in range(100):
    if query("new.test", 1)[1]:
        break
    time.sleep(0.1)
print("after", query("new.test", 1)[2][-8:])
Q
python3 q.py "$D" $P
kill $P; wait $P; echo $?; grep -i fail "$D/l"; rm -rf "$D"
