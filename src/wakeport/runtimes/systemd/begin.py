"""The first act of a wake: ask systemd to start a unit, before anything is imported.

systemd listens on a socket of its own, for root alone, and needs no message bus there. Nothing is waited
for: who we are, that we begin and the call itself go out at once, as sd-bus does it.
"""

from __future__ import annotations

import _socket
import posix
import time

from wakeport.dbus.calls import BEGIN, call, greeting

SOCKET = "/run/systemd/private"
NAME, PATH, MANAGER = (
    "org.freedesktop.systemd1",
    "/org/freedesktop/systemd1",
    "org.freedesktop.systemd1.Manager",
)

START = 1  # the serial of the call


class Begun:
    """`connection` is where the answer comes; None where there is nobody to ask: `error` says why.

    `at` is when it was sent, in seconds since 1970.
    """

    __slots__ = ("at", "connection", "error")

    def __init__(self) -> None:
        self.connection: _socket.socket | None = None
        self.error: OSError | None = None
        self.at = time.time()


def begin(unit: str, path: str = SOCKET) -> Begun:
    begun = Begun()
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        connection.connect(path)
        connection.send(greeting(posix.getuid()) + BEGIN + start_call(START, unit))
    except OSError as error:
        begun.error = error
    else:
        begun.connection = connection
    return begun


def start_call(serial: int, unit: str) -> bytes:
    """StartUnit(); man 5 org.freedesktop.systemd1."""
    return call(serial, NAME, PATH, MANAGER, "StartUnit", words=(unit, "replace"))
