#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TCP to the host through the net broker, beside the same client run natively, by turns.

broker.py SBX [ROUNDS]    MB/s of 512 MiB received, and us of a byte sent and answered; medians
"""
import socket
import statistics
import subprocess
import sys
import threading

CLIENT = r"""
import socket, sys, time
port = int(sys.argv[1])
s = socket.create_connection(("127.0.0.1", port)); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
s.send(b"L")
for i in range(200): s.send(b"x"); s.recv(1)
t = time.perf_counter()
for i in range(3000): s.send(b"x"); s.recv(1)
lat = (time.perf_counter() - t) / 3000 * 1e6
s.close()
s = socket.create_connection(("127.0.0.1", port)); s.send(b"T")
buf = bytearray(1 << 18); n = 0; t = time.perf_counter()
while n < 512 << 20: n += s.recv_into(buf)
rate = n / (time.perf_counter() - t) / 1e6
t = time.perf_counter()
for i in range(200): socket.create_connection(("127.0.0.1", port)).close()
print(rate, lat, (time.perf_counter() - t) / 200 * 1e6)
"""


def serve(c):
    with c:
        what = c.recv(1)
        if what == b"L":
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while c.recv(1):
                c.send(b"y")
        elif what == b"T":
            block = b"z" * (1 << 20)
            try:
                for _ in range(512):
                    c.sendall(block)
            except OSError:
                pass


def main():
    sbx, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    ls = socket.create_server(("127.0.0.1", 0), backlog=256)
    port = str(ls.getsockname()[1])

    def accept():
        while True:
            threading.Thread(target=serve, args=(ls.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    ways = {"native": [], "sbx": [sbx, "run", f"--allow-net=127.0.0.1:{port}", "--"]}
    got = {w: [] for w in ways}
    for _ in range(rounds):
        for w, before in ways.items():
            out = subprocess.run([*before, "/usr/bin/python3", "-c", CLIENT, port], stdout=subprocess.PIPE, check=True)
            got[w].append([float(x) for x in out.stdout.split()])
    for w, rows in got.items():
        rate, lat, conn = (statistics.median(r[k] for r in rows) for k in range(3))
        print(f"{w:8} {rate:8.0f} MB/s {lat:8.1f} us a turn {conn:8.1f} us a connection")


if __name__ == "__main__":
    main()
