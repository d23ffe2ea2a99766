"""The first act of a wake: ask systemd to start a unit, before anything is imported.

systemd listens on a socket of its own, for root alone, and needs no message bus there. The call goes out
when it has let us in: what comes in one read with the greeting lies in its buffer until more comes (252).
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

OURS = "wakeport-"  # how the names of all units of wakeport's begin

START = 1  # the serial of the call
FORGET = 2  # and of the one before it, whose answer nobody waits for
WELCOME_PATIENCE = 0.1  # seconds; it takes 0.2 ms (measured), and an hour where systemd is stopped


class Begun:
    """`connection` is where the answer comes; None where there is nobody to ask: `error` says why.

    `heard` is what has come. `started` says whether the call was sent: it was not where systemd did not let
    us in in time. `at` is when that was, in seconds since 1970.
    """

    __slots__ = ("at", "connection", "error", "heard", "started")

    def __init__(self) -> None:
        self.connection: _socket.socket | None = None
        self.error: OSError | None = None
        self.heard = b""
        self.started = False
        self.at = time.time()


def begin(unit: str, path: str = SOCKET) -> Begun:
    begun = Begun()
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        connection.connect(path)
        connection.send(greeting(posix.getuid()) + BEGIN)
        connection.settimeout(WELCOME_PATIENCE)
        begun.connection = connection
        while b"\r\n" not in begun.heard:
            if not (data := connection.recv(4096)):
                return begun
            begun.heard += data
        connection.send(start_calls(START, unit))
        begun.started = True
    except TimeoutError:
        return begun
    except OSError as error:
        connection.close()
        begun.error, begun.connection = error, None
    return begun


def start_calls(serial: int, unit: str) -> bytes:
    """StartUnit(), and before it what makes systemd forget how often it was started of late.

    Its limit (StartLimitBurst=, five times in ten seconds) is for units that restart in vain, and would count
    every wake. man 5 org.freedesktop.systemd1.
    """
    forget = call(FORGET, NAME, PATH, MANAGER, "ResetFailedUnit", words=(unit,))
    return forget + call(serial, NAME, PATH, MANAGER, "StartUnit", words=(unit, "replace"))
