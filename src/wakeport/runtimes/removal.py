"""Remove the container of a connection that is over: the last act of each, whatever ended it.

Its standard output is the client's connection, so it writes to standard error
alone. systemd holds and counts the connection until this has ended: then the
client sees its end, and there is room for the next.
"""

from __future__ import annotations

import sys
import time
from _socket import MSG_DONTWAIT, SHUT_WR, socket
from posix import dup, environ

from wakeport.runtimes.choice import removal

BACK_WITHIN = 60.0  # seconds for a runtime that is away: a container may outlive its restart

BETWEEN = 0.1  # seconds

PIECE, PIECES = 65536, 256  # of what was sent and never read; the kernel keeps 6 MiB of it, tcp(7)


def main() -> None:
    """The command line: runtime=RUNTIME, and the option that gave the container its name."""
    runtime, name = (word.partition("=")[2] for word in sys.argv[1:3])
    problem = _remove(runtime, name)
    _read_the_rest()
    if problem:
        sys.stderr.write(f"{problem}\n")
        raise SystemExit(1)


def _remove(runtime: str, name: str) -> str:
    """Why it may still be there; empty where it is gone."""
    began = time.monotonic()
    by = removal(runtime)
    made_by = began + (by.MADE_WITHIN if environ.get(b"EXIT_CODE") == b"killed" else 0.0)
    while True:
        problem, until = "", made_by
        try:
            if by.remove(name):
                return ""
        except OSError as error:
            problem, until = f"{name} may still be there: {error.strerror or error}", began + BACK_WITHIN
        if time.monotonic() >= until:
            return problem
        _hang_up()
        time.sleep(BETWEEN)


def _hang_up() -> None:
    """Where the removal takes its time, let the client see the end before it."""
    try:
        socket(fileno=dup(1)).shutdown(SHUT_WR)
    except OSError:
        return  # it has gone before, or there is none at all


def _read_the_rest() -> None:
    """To close a connection with something unread is to reset it, and the client loses its last answer."""
    try:
        connection = socket(fileno=dup(1))
        for _ in range(PIECES):
            if not connection.recv(PIECE, MSG_DONTWAIT):
                return
    except OSError:
        return  # nothing more for now
