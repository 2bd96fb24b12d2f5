#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A DNS server and a client of it.
command -v /usr/sbin/dnsmasq >/dev/null || { echo "dnsmasq is missing"; exit 77; }
D=$(mktemp -d)
/usr/sbin/dnsmasq --no-daemon --port=15353 --listen-address=127.0.0.1 --bind-interfaces --no-resolv --no-hosts --address=/x.test/10.1.2.3 --pid-file=$D/p --user=root >$D/l 2>&1 & P=$!
sleep 0.6; python3 - <<'Q'
import socket,struct
q=struct.pack('>HHHHHH',7,0x100,1,0,0,0)+b'\1x\4test\0'+struct.pack('>HH',1,1)
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(3); s.sendto(q,('127.0.0.1',15353)); r=s.recv(512); print(socket.inet_ntoa(r[-4:]))
Q
kill $P; wait $P; echo $?; cat $D/l | grep -i fail; rm -rf $D
