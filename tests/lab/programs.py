"""Programs that tests run in containers of the image `python`; each serves port 80 in its own manner."""

from __future__ import annotations

from typing import Final

# Answers at once, but calls itself ready (the file /tmp/ready, the path /ready) only after a second.
READY_LATER: Final = """
import http.server, os, threading

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ready = os.path.exists("/tmp/ready")
        self.send_response(503 if self.path == "/ready" and not ready else 200)
        self.end_headers()
        self.wfile.write(b"ready" if ready else b"too early")

threading.Timer(1, lambda: open("/tmp/ready", "w").close()).start()
http.server.ThreadingHTTPServer(("", 80), Handler).serve_forever()
"""

# Takes one connection in its life, as `nc -l` does; says before that it is ready (the file /tmp/ready).
SERVES_ONE: Final = """
import signal, socket

listener = socket.create_server(("", 80))
open("/tmp/ready", "w").close()
client, _ = listener.accept()
listener.close()
client.recv(1000)
client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nthe first")
client.close()
signal.pause()
"""

_SERVE: Final = """
import hashlib, socket, socketserver

class Server(socketserver.ThreadingTCPServer):
    request_queue_size = 1024
    daemon_threads = True

class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.talk(self.request)

    def digest(self, client):
        digest = hashlib.blake2b()
        while data := client.recv(1 << 20):
            digest.update(data)
        return digest.hexdigest()

    {talk}

Server(("", 80), Handler).serve_forever()
"""

# Speaks first, as SMTP and MySQL do; then says the client's line back to it, and hangs up.
GREETS: Final = _SERVE.format(
    talk="""
    def talk(self, client):
        client.sendall(b"220 at your service\\r\\n")
        client.sendall(client.makefile("rb").readline().upper())
"""
)

# Says what everything that the client has sent amounts to, once the client has sent its end.
COUNTS: Final = _SERVE.format(
    talk="""
    def talk(self, client):
        client.sendall(self.digest(client).encode())
"""
)

# Ends its own side first, and logs what everything that the client sends after that amounts to.
LISTENS_ON: Final = _SERVE.format(
    talk="""
    def talk(self, client):
        client.sendall(b"nothing more from me")
        client.shutdown(socket.SHUT_WR)
        print("heard", self.digest(client))
"""
)

# Sends as many MiB as the client's line says, each with its number in front, and ends.
POURS: Final = _SERVE.format(
    talk="""
    def talk(self, client):
        for number in range(int(client.makefile("rb").readline())):
            client.sendall(number.to_bytes(8, "big") + bytes(range(256)) * 4096)
"""
)

# Serves ports 80 and 81, and answers each byte with the port that it came to.
TWO_PORTS: Final = """
import socketserver, threading

class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while self.request.recv(1):
            self.request.sendall(b"%d\\n" % self.server.server_address[1])

for port in (81, 80):
    server = socketserver.ThreadingTCPServer(("", port), Handler)
    threading.Thread(target=server.serve_forever).start()
"""

# Says everything back, to a thousand clients at once.
ECHOES: Final = """
import asyncio

async def talk(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

async def main():
    await (await asyncio.start_server(talk, "", 80, backlog=1024)).serve_forever()

asyncio.run(main())
"""

# Listens only when there is a file /gate/open. Then a page for browsers, its own body for who posts, and for
# a WebSocket (RFC 6455 4.2.2) the answer to the handshake of the RFC's example.
WAKES_SLOWLY: Final = """
import http.server, os, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.headers.get("Upgrade") == "websocket":
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            self.end_headers()
        else:
            self.say(b"<!doctype html><title>app</title><h1>The application</h1>")

    def do_POST(self):
        self.say(self.rfile.read(int(self.headers["Content-Length"])))

    def say(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

while not os.path.exists("/gate/open"):
    time.sleep(0.02)
http.server.ThreadingHTTPServer(("", 80), Handler).serve_forever()
"""

# Says every datagram back that comes to UDP port 80, in capitals; it listens a second after its start.
SAYS_DATAGRAMS_BACK: Final = """
import socket, time

time.sleep(1)
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("", 80))
while True:
    data, sender = sock.recvfrom(65536)
    sock.sendto(data.upper(), sender)
"""

# Serves a page on the Unix socket that its first argument names, a second after its start.
ON_A_PATH: Final = """
import os, socket, sys, time

time.sleep(1)
try:
    os.unlink(sys.argv[1])
except FileNotFoundError:
    pass
os.umask(0)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(64)
while True:
    client, _ = listener.accept()
    with client:
        if client.recv(65536):  # not from the supervisor, who only looks whether it listens
            client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nfrom a path")
"""


def python(program: str) -> list[str]:
    """The command of a container that runs `program`."""
    return ["python3", "-c", program]
