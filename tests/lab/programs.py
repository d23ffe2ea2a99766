"""Programs that tests run in containers of the image `python`; each serves port 80 in its own manner."""

from __future__ import annotations

from typing import Final

# docker create: Python as a container's first process does not hear SIGTERM, and nobody needs it to.
DIES_AT_ONCE: Final = "--stop-signal=KILL"

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

# Speaks one protocol after another, told which by the client's first byte; see tests/lab/test_bytes.py.
# G: greets, and closes. E: echoes. S: says a SHA-256 of what it got, after the client's end.
# M: sends as many MiB of a known pattern as the number in the first line says, then ends.
# T: sends "last words", ends, and then says to whoever asks 81 what came after that.
TALKER: Final = """
"""


def python(program: str) -> list[str]:
    """The command of a container that runs `program`."""
    return ["python3", "-c", program]
