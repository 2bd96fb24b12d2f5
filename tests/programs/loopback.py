#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Servers and clients of CPython's library over the loopback and Unix sockets; one line a topic."""
import asyncio, http.server, multiprocessing, os, socket, socketserver, struct, tempfile
import threading, urllib.request, xmlrpc.client, xmlrpc.server


def show(name, value):
    print(f"{name}: {value}", flush=True)


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"x" * 100000 + self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[::-1])

    def log_message(self, *args):
        pass


def web():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}/"
        got = [len(urllib.request.urlopen(base + str(i)).read()) for i in range(12)]
        post = urllib.request.urlopen(base, data=bytes(range(256)) * 2000).read()
        server.shutdown()
    return got, len(post), post[:4]


def rpc():
    server = xmlrpc.server.SimpleXMLRPCServer(("localhost", 0), logRequests=False)
    server.register_function(pow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    value = xmlrpc.client.ServerProxy(f"http://localhost:{server.server_address[1]}").pow(2, 10)
    server.shutdown()
    server.server_close()
    return value


class Shout(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.readline().upper())


def many_clients():
    good = []

    def client(i):
        with socket.create_connection(server.server_address) as c:
            c.sendall(b"abc%d\n" % i)
            good.append(c.recv(100) == b"ABC%d\n" % i)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Shout) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ts = [threading.Thread(target=client, args=(i,)) for i in range(30)]
        [t.start() for t in ts]
        [t.join() for t in ts]
        server.shutdown()
    return sum(good)


async def echo(r, w):
    while data := await r.read(65536):
        w.write(data)
        await w.drain()
    w.close()


async def echo_client(port, n):
    r, w = await asyncio.open_connection("127.0.0.1", port)
    data = bytes(range(256)) * n

    async def send():
        w.write(data)
        await w.drain()
        w.write_eof()

    task = asyncio.create_task(send())
    got = await r.read(-1)
    await task
    w.close()
    return got == data


async def loops():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tcp = await asyncio.gather(*[echo_client(port, 400 * (i + 1)) for i in range(12)])
    server.close()
    path = os.path.join(tempfile.mkdtemp(), "s")
    unix = await asyncio.start_unix_server(echo, path)
    r, w = await asyncio.open_unix_connection(path)
    w.write(b"through a path")
    text = await r.readexactly(14)
    w.close()
    unix.close()

    class Upper(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, addr):
            self.transport.sendto(data.upper(), addr)

    loop = asyncio.get_running_loop()
    t, _ = await loop.create_datagram_endpoint(Upper, local_addr=("127.0.0.1", 0))
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.settimeout(5)
    u.sendto(b"datagram", t.get_extra_info("sockname"))
    back = await loop.run_in_executor(None, u.recv, 20)
    t.close()
    u.close()
    return all(tcp), text, back


def worker(pipe):
    while (x := pipe.recv()) is not None:
        pipe.send(x * 2)


def processes():
    a, b = multiprocessing.Pipe()
    p = multiprocessing.Process(target=worker, args=(b,))
    p.start()
    total = 0
    for i in range(100):
        a.send(i)
        total += a.recv()
    a.send(None)
    p.join()
    with multiprocessing.Manager() as m:
        d = m.dict()
        d["key"] = [1, 2]
        return total, dict(d)


def descriptors():
    a, b = socket.socketpair()
    r, w = os.pipe()
    socket.send_fds(a, [b"take"], [w])
    text, fds, _, _ = socket.recv_fds(b, 10, 4)
    os.write(fds[0], b"by another number")
    value = text, len(fds), os.read(r, 100)
    [os.close(fd) for fd in (r, w, *fds)]
    a.close()
    b.close()
    return value


def errors():
    out = []
    free = socket.socket()
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
    try:
        socket.create_connection(("127.0.0.1", port))
    except OSError as e:
        out.append(e.strerror)
    try:
        socket.socket().bind(("127.0.0.1", port))
    except OSError as e:
        out.append(e.strerror)
    free.listen()
    c = socket.create_connection(("127.0.0.1", port))
    s, _ = free.accept()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
    try:
        c.recv(1)
    except OSError as e:
        out.append(e.strerror)
    c.close()
    c = socket.create_connection(("127.0.0.1", port))
    c.settimeout(0.02)
    try:
        c.recv(1)
    except OSError as e:
        out.append(str(e))
    return out


if __name__ == "__main__":
    show("web", web())
    show("rpc", rpc())
    show("clients", many_clients())
    show("loops", asyncio.run(loops()))
    show("processes", processes())
    show("descriptors", descriptors())
    show("errors", errors())
    show("names", (socket.gethostbyname("localhost"), socket.if_nameindex()[0]))
