"""The first act of a wake: ask the Engine to start the container, before anything is imported.

Every millisecond of imports before the start call is one that the client
waits; after it, imports hide behind the Engine's 200. So this module needs only
what the interpreter has built in, and leaves reading the answers to others.
"""

from __future__ import annotations

import _socket

SOCKET = "/run/docker.sock"
ATTACH_PATIENCE = 0.1  # seconds; an idle Engine answers in 1 to 2 ms (measured)


class Begun:
    """The calls under way: `attached` and `started` are connections whose answers are still to be read.

    `started` is None where the start call was not sent: the Engine did not
    answer in time (it may be starting itself), or not at all (`error`).
    """

    __slots__ = ("answer", "attached", "error", "started")

    def __init__(self) -> None:
        self.attached: _socket.socket | None = None
        self.answer = b""
        self.started: _socket.socket | None = None
        self.error: OSError | None = None


def begin(container: str) -> Begun:
    """Attach to the container's output, then start it; never raises, never waits long.

    The attachment must stand before the container writes its first line, so the
    start call is sent when the Engine has confirmed it.
    """
    begun = Begun()
    try:
        begun.attached = post(SOCKET, attach_path(container))
        begun.attached.settimeout(ATTACH_PATIENCE)
        try:
            while b"\r\n\r\n" not in begun.answer:
                data = begun.attached.recv(4096)
                if not data:
                    break
                begun.answer += data
        except TimeoutError:
            return begun
        begun.started = post(SOCKET, start_path(container))
    except OSError as error:
        begun.error = error
    return begun


def attach_path(container: str) -> str:
    return f"/containers/{container}/attach?stream=1&stdout=1&stderr=1"


def start_path(container: str) -> str:
    return f"/containers/{container}/start"


def post(socket: str, path: str) -> _socket.socket:
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    connection.connect(socket)
    connection.send(f"POST {path} HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n".encode())
    return connection
