"""Applications of every kind of bad manners, as the command of a container of the `python` image."""

from __future__ import annotations

from typing import Final

from lab.images import PAGE

# The first process of a container ignores SIGTERM unless it says otherwise, and that of a service does not.
OBEDIENT: Final = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit())\n"
STUBBORN: Final = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


def web_server(
    listens_after: float = 0.0, page: str = PAGE, ends_after: float | None = None, obedient: bool = True
) -> list[str]:
    """Serves `page` on port 80 once so many seconds have passed, and ends so many seconds after that.

    One that is not obedient ends only when it is killed.
    """
    program = f"""
import http.server, threading, time, os
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", {len(page)})
        self.end_headers()
        self.wfile.write({page.encode()!r})
time.sleep({listens_after})
server = http.server.ThreadingHTTPServer(("", 80), Page)
"""
    if ends_after is not None:
        program += f"threading.Timer({ends_after}, lambda: os._exit(3)).start()\n"
    return ["python3", "-c", f"{OBEDIENT if obedient else STUBBORN}{program}server.serve_forever()"]


def deaf() -> list[str]:
    """Runs, and never listens."""
    return ["python3", "-c", f"{OBEDIENT}signal.pause()"]


def stubborn() -> list[str]:
    """Never listens either, and ends only when it is killed."""
    return ["python3", "-c", f"{STUBBORN}signal.pause()"]


def ends_at_once() -> list[str]:
    return ["python3", "-c", "raise SystemExit(3)"]
