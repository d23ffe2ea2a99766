"""A conversation with systemd over D-Bus: calls, their answers, and the signals that it sends unasked."""

from __future__ import annotations

import os

from wakeport.dbus.calls import BEGIN, ERROR, METHOD_RETURN, SIGNAL, call, greeting
from wakeport.dbus.messages import START_SIZE, Malformed, is_signal, message_size, parse
from wakeport.light import socket
from wakeport.loop import READ, Future, Loop
from wakeport.runtimes.problems import Missing, Refused, Unreachable
from wakeport.runtimes.systemd.begin import FORGET, MANAGER, NAME, PATH, SOCKET, START

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from wakeport.dbus.messages import Message

ANSWER_WITHIN = 10.0  # seconds; systemd answers in one millisecond, and while it reloads in a second
READ_SIZE = 65536
PROPERTIES = "org.freedesktop.DBus.Properties"


class Bus:
    """Connects at the first call, and anew where systemd has hung up: it does when it executes itself anew.

    `raw` is a connection that begin.py has made, on which so much has been `heard`. Raises Unreachable,
    Missing or Refused.
    `on_signal` hears of the signals of those that `hear_of` names, `on_end` of the end of the connection.
    """

    def __init__(
        self, loop: Loop, raw: socket.socket | None = None, heard: bytes = b"", path: str = SOCKET
    ) -> None:
        self.loop = loop
        self.path = path
        self.connection: socket.socket | None = None
        self.serial = FORGET
        self.pending: dict[int, Future[Message]] = {}
        self.on_signal: list[Callable[[Message], None]] = []
        self.marks: list[bytes] = []  # a signal without any of them is not even read
        self.on_end: list[Callable[[], None]] = []
        self.received = b""
        self.unsent = b""  # calls that wait until we are let in
        self.welcomed = False
        if raw is not None:
            self.pending[START] = Future()
            self._begin(raw, heard)

    async def call(
        self, member: str, *words: str | int, path: str = PATH, interface: str = MANAGER
    ) -> list[Any]:
        """The answer's values."""
        return await self.answer(self.send(member, *words, path=path, interface=interface))

    def send(self, member: str, *words: str | int, path: str = PATH, interface: str = MANAGER) -> int:
        """Send a call without waiting; the serial by which `answer` knows it."""
        return self._send(NAME, path, interface, member, words)

    def _send(self, to: str, path: str, interface: str, member: str, words: tuple[str | int, ...]) -> int:
        if self.connection is None:
            self._connect()
        assert self.connection is not None
        self.serial += 1
        self.pending[self.serial] = Future()
        self._say(call(self.serial, to, path, interface, member, words=words))
        return self.serial

    async def answer(self, serial: int, within: float = ANSWER_WITHIN) -> list[Any]:
        try:
            message = await self.loop.within(within, _value(self.pending[serial]))
        except TimeoutError:
            raise Unreachable(f"systemd did not answer within {within:.0f} s") from None
        finally:
            self.pending.pop(serial, None)
        if message.kind == ERROR:
            raise _problem(message)
        return message.body

    async def hello(self) -> None:
        """What the message bus wants to hear first, and systemd's own socket does not."""
        bus = "org.freedesktop.DBus"
        await self.answer(self._send(bus, "/org/freedesktop/DBus", bus, "Hello", ()))

    async def properties(self, path: str, wanted: dict[str, tuple[str, ...]]) -> dict[str, Any]:
        """The values of properties by their names; `wanted` has the names by interface."""
        asked = {
            name: self.send("Get", interface, name, path=path, interface=PROPERTIES)
            for interface, names in wanted.items()
            for name in names
        }
        try:
            return {name: (await self.answer(serial))[0] for name, serial in asked.items()}
        finally:
            for serial in asked.values():
                self.pending.pop(serial, None)

    def hear_of(self, *paths: str) -> None:
        """Hear the signals of these objects.

        systemd tells all properties of every unit that changes: to read them took a supervisor longer than
        its interpreter's start (measured).
        """
        self.marks = [path.encode() + b"\0" for path in paths]

    def close(self) -> None:
        self._end(Unreachable("the conversation was ended"))

    def _connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(self.path)
            connection.sendall(greeting(os.getuid()) + BEGIN)
        except OSError as error:
            connection.close()
            raise Unreachable(f"systemd does not answer on {self.path}: {error.strerror}") from error
        self._begin(connection, b"")

    def _say(self, data: bytes) -> None:
        """Calls are small, and a socket's buffer holds hundreds of them. Raises Unreachable."""
        assert self.connection is not None, "connected by whoever calls"
        if not self.welcomed:
            self.unsent += data
            return
        try:
            self.connection.sendall(data)
        except OSError as error:
            problem = Unreachable(f"systemd hung up: {error.strerror}")
            self._end(problem)
            raise problem from error

    def _begin(self, connection: socket.socket, heard: bytes) -> None:
        connection.setblocking(False)
        self.connection, self.received, self.unsent, self.welcomed = connection, heard, b"", False
        self.loop.watch(connection.fileno(), READ, self._on_readable)
        self._take_what_came()

    def _on_readable(self, _events: int) -> None:
        assert self.connection is not None
        try:
            data = self.connection.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(Unreachable(f"systemd hung up: {error.strerror}"))
            return
        if not data:
            self._end(Unreachable("systemd hung up"))
            return
        self.received += data
        self._take_what_came()

    def _take_what_came(self) -> None:
        try:
            self._take()
        except Malformed as error:
            self._end(Unreachable(f"systemd talks nonsense: {error}"))
        except Unreachable:
            return  # whoever waits has been told

    def _take(self) -> None:
        if not self.welcomed:
            line, end, rest = self.received.partition(b"\r\n")
            if not end:
                return
            if not line.startswith(b"OK"):
                raise Malformed(repr(line))
            self.received, self.welcomed = rest, True
            unsent, self.unsent = self.unsent, b""
            if unsent:
                self._say(unsent)
        while len(self.received) >= START_SIZE:
            size = message_size(self.received)
            if len(self.received) < size:
                return
            data, self.received = self.received[:size], self.received[size:]
            if is_signal(data) and not any(mark in data for mark in self.marks):
                continue
            message = parse(data)
            if message.kind in (METHOD_RETURN, ERROR) and message.answers in self.pending:
                self.pending[message.answers].set(message)
            elif message.kind == SIGNAL:
                for hear in list(self.on_signal):
                    hear(message)

    def _end(self, problem: Unreachable) -> None:
        if self.connection is None:
            return
        self.loop.unwatch(self.connection.fileno())
        self.connection.close()
        self.connection = None
        for waiting in list(self.pending.values()):
            waiting.fail(problem)
        for hear in list(self.on_end):
            hear()


async def _value(future: Future[Message]) -> Message:
    return await future


def _problem(message: Message) -> Refused | Missing:
    """systemd's refusal in its own words."""
    text = " ".join(str(part) for part in message.body) or "systemd refused"
    return Missing(text) if "not found" in text else Refused(text)
