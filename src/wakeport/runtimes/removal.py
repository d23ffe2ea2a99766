"""Remove the container of a connection that is over: the last act of each, whatever ended it.

Its standard output is the client's connection, which systemd holds until this
has ended: so it says the end of it at once, and writes to standard error alone.
"""

from __future__ import annotations

import sys
import time
from _socket import MSG_DONTWAIT, SHUT_WR, socket
from posix import dup, environ

from wakeport.runtimes.choice import remove

BACK_WITHIN = 60.0  # seconds for a runtime that is away: a container may outlive its restart

# Seconds. Where the runtime's client was killed while it made a container, that may come only now.
MADE_WITHIN = 5.0

BETWEEN = 0.1  # seconds

PIECE, PIECES = 65536, 256  # of what was sent and never read; the kernel keeps 6 MiB of it, tcp(7)


def main() -> None:
    """The command line: runtime=RUNTIME --name=CONTAINER."""
    runtime, name = (word.partition("=")[2] for word in sys.argv[1:3])
    connection = _hang_up()
    problem = _remove(runtime, name)
    if connection is not None:
        _read_the_rest(connection)
    if problem:
        sys.stderr.write(f"{problem}\n")
        raise SystemExit(1)


def _remove(runtime: str, name: str) -> str:
    """Why it may still be there; empty where it is gone."""
    began = time.monotonic()
    made_by = began + (MADE_WITHIN if environ.get(b"EXIT_CODE") == b"killed" else 0.0)
    while True:
        problem, until = "", made_by
        try:
            if remove(runtime, name):
                return ""
        except OSError as error:
            problem, until = f"{name} may still be there: {error.strerror or error}", began + BACK_WITHIN
        if time.monotonic() >= until:
            return problem
        time.sleep(BETWEEN)


def _hang_up() -> socket | None:
    """Let the client see the end now, and not when the container is gone; the connection, if it is one."""
    try:
        connection = socket(fileno=dup(1))
        connection.shutdown(SHUT_WR)
    except OSError:
        return None  # the client has gone before, or nobody is there at all
    return connection


def _read_the_rest(connection: socket) -> None:
    """To close a connection with something unread is to reset it, and the client loses its last answer."""
    try:
        for _ in range(PIECES):
            if not connection.recv(PIECE, MSG_DONTWAIT):
                return
    except OSError:
        return  # nothing more for now
