#!/usr/bin/env python3
"""A web server and its client over the loopback inside; no other network is to be reached."""
import http.server
import socket
import threading
import urllib.request


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"hello from {self.path}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/inside"
print(urllib.request.urlopen(url).read().decode(), end="")
server.shutdown()
try:
    socket.create_connection(("192.0.2.1", 80), timeout=2)
    print("the outside answers?")
except OSError as e:
    print(f"outside: {e.strerror or e}")
