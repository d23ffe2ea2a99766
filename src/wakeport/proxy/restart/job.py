"""Why this process is to end: what systemd has to do with its unit, asked over D-Bus.

SIGTERM is the same at a stop and at a restart. An unprivileged process can tell them apart by the system
bus alone, with one call that anybody may make: ListUnitsByNames, man 5 org.freedesktop.systemd1. What a
user's manager runs asks it on its own socket, with the same call.
Loaded only after SIGTERM.
"""

from __future__ import annotations

import os
import time

from wakeport.dbus import messages
from wakeport.dbus.calls import BEGIN, ERROR, METHOD_RETURN, call, greeting
from wakeport.light import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BUS = "/run/dbus/system_bus_socket"
WITHIN = 1.0  # seconds; an answer takes 2 ms (measured), and nothing is relayed until it has come

# With one of these a successor starts as soon as this process has ended. systemd makes `restart` of every
# way to restart a unit that runs; it is `start` where somebody asks for that in the middle of a stop.
SUCCEEDED_BY = ("restart", "start")

JOB_TYPE = 8  # of the ten fields that ListUnitsByNames says of each unit

HELLO, LIST = 1, 2  # serials


class Unanswered(Exception):
    """There is no bus, or it does not tell; the text says why."""


def successor_is_due(bus: str = BUS) -> bool:
    """Whether systemd starts the unit of this process again when it has ended. Raises Unanswered.

    `bus` is the message bus, or a manager's own socket.
    """
    return job_type(own_unit(), bus) in SUCCEEDED_BY


def own_unit(cgroups: str = "/proc/self/cgroup") -> str:
    """The unit that this process runs in, as `wakeport-web.service`. Raises Unanswered."""
    try:
        with open(cgroups, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, ValueError) as error:
        raise Unanswered(f"{cgroups}: {error}") from error
    for line in lines:
        # `0::/system.slice/NAME`, or systemd's own hierarchy beside those of cgroup v1; cgroups(7)
        _number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        name = path.rpartition("/")[2]
        if controllers in ("", "name=systemd") and name.endswith(".service"):
            return name
    raise Unanswered("this process is in no unit")


def job_type(unit: str, bus: str = BUS, within: float = WITHIN) -> str:
    """What systemd does with `unit`: `restart`, `stop` or another; empty for nothing. Raises Unanswered."""
    deadline = time.monotonic() + within
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(within)
            sock.connect(bus)
            sock.sendall(greeting(os.getuid()))
            data = _welcome(sock, deadline)
            # Both at once: the second does not depend on the answer to the first.
            sock.sendall(BEGIN + _questions(unit))
            for message in _messages(sock, deadline, data):
                if message.kind == ERROR and message.answers == LIST:
                    raise Unanswered(f"the bus refuses: {' '.join(map(str, message.body))}")
                if message.kind == METHOD_RETURN and message.answers == LIST:
                    return str(message.body[0][0][JOB_TYPE])
    except (messages.Malformed, LookupError, TypeError) as error:
        raise Unanswered(f"the bus talks nonsense: {error}") from error
    except OSError as error:
        raise Unanswered(f"{bus}: {error}") from error
    raise Unanswered("the bus hung up")


def _welcome(sock: socket.socket, deadline: float) -> bytes:
    """Wait until the bus lets us in; what it has said after that. Raises Unanswered where it does not."""
    data = b""
    while b"\r\n" not in data:
        if not (more := _receive(sock, deadline)):
            raise Unanswered("the bus hung up")
        data += more
        if len(data) > messages.MESSAGE_MAX:
            raise messages.Malformed("a line without an end")
    line, _, rest = data.partition(b"\r\n")
    if not line.startswith(b"OK"):
        raise Unanswered(f"the bus does not let us in: {line!r}")
    return rest


def _questions(unit: str) -> bytes:
    bus, systemd = "org.freedesktop.DBus", "org.freedesktop.systemd1"
    hello = call(HELLO, bus, "/org/freedesktop/DBus", bus, "Hello")
    return hello + call(
        LIST, systemd, "/org/freedesktop/systemd1", f"{systemd}.Manager", "ListUnitsByNames", [unit]
    )


def _messages(sock: socket.socket, deadline: float, data: bytes) -> Iterator[messages.Message]:
    """What the bus says, of which `data` has come already, until it hangs up."""
    while True:
        while len(data) < messages.START_SIZE or len(data) < messages.message_size(data):
            if not (more := _receive(sock, deadline)):
                return
            data += more
        size = messages.message_size(data)
        yield messages.parse(data[:size])
        data = data[size:]


def _receive(sock: socket.socket, deadline: float) -> bytes:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    sock.settimeout(left)
    return sock.recv(65536)
