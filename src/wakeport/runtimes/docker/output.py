"""How a container's output reaches the journal: the Engine's two stream formats, copied to one descriptor."""

from __future__ import annotations

import os

from wakeport.loop import Loop
from wakeport.runtimes.docker.engine import Exchange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FRAME_HEADER = 8  # bytes: stream, three zeros, length (Engine API, ContainerAttach, "Stream format")

LINE_MAX = 48 * 1024  # bytes; journald cuts a longer one, journald.conf(5)


class Frames:
    """The output of a container without a TTY, where every write of its arrives as a frame.

    Frames of stdout and stderr alternate anywhere, and a frame may end in the middle of a line. So only
    whole lines are passed on, or the journal would join the halves of two.
    """

    def __init__(self) -> None:
        self.begun: dict[int, bytes] = {}  # the last line of each stream, as far as it has come
        self.pending = b""

    def text(self, data: bytes) -> bytes:
        """What can be passed on now that `data` has come."""
        pending = self.pending + data
        text = []
        while len(pending) >= FRAME_HEADER:
            end = FRAME_HEADER + int.from_bytes(pending[4:FRAME_HEADER], "big")
            if len(pending) < end:
                break
            stream = pending[0]
            said = self.begun.pop(stream, b"") + pending[FRAME_HEADER:end]
            pending = pending[end:]
            whole = len(said) if len(said) > LINE_MAX else said.rfind(b"\n") + 1
            text.append(said[:whole])
            if whole < len(said):
                self.begun[stream] = said[whole:]
        self.pending = pending
        return b"".join(text)

    def rest(self) -> bytes:
        """What is left at the end."""
        return b"\n".join(self.begun.values())

    def facts(self) -> list[str]:
        return [self.pending.hex(), *(f"{stream} {line.hex()}" for stream, line in self.begun.items())]

    def go_on(self, facts: list[str]) -> None:
        pending, *begun = facts
        self.pending = bytes.fromhex(pending)
        for stream, _, line in (each.partition(" ") for each in begun):
            self.begun[int(stream)] = bytes.fromhex(line)


class Raw:
    """The output of a container with a TTY: plain bytes, with lines that end as on a terminal."""

    def __init__(self) -> None:
        self.held = b""  # a CR at the end may belong to a CR LF that was cut in two

    def text(self, data: bytes) -> bytes:
        data = self.held + data
        self.held = b"\r" if data.endswith(b"\r") else b""
        return data[: len(data) - len(self.held)].replace(b"\r\n", b"\n")

    def rest(self) -> bytes:
        return self.held

    def facts(self) -> list[str]:
        return [self.held.hex()]

    def go_on(self, facts: list[str]) -> None:
        self.held = bytes.fromhex(facts[0])


class Stream:
    """One on its way. At any moment it can be handed over, to be gone on with where it stands."""

    def __init__(self, loop: Loop, exchange: Exchange, to: int, tty: bool) -> None:
        self.loop = loop
        self.exchange = exchange
        self.to = to
        self.tty = tty
        self.format = Raw() if tty else Frames()
        self.unsent = b""

    async def copy(self) -> None:
        """To its end. Raises RuntimeProblem where that is not the container's."""
        try:
            await self._write()
            while data := await self.exchange.read():
                self.unsent = self.format.text(data)
                await self._write()
        finally:
            self._write_at_once(self.format.rest())

    def facts(self) -> dict[str, Any]:
        """`fd` is the connection, which is to be kept open."""
        return {
            "fd": self.exchange.connection.fileno(),
            "chunked": self.exchange.chunked,
            "received": self.exchange.received.hex(),
            "tty": self.tty,
            "format": self.format.facts(),
            "unsent": self.unsent.hex(),
        }

    @classmethod
    def handed_over(cls, loop: Loop, exchange: Exchange, to: int, facts: dict[str, Any]) -> Stream:
        """The one with those facts, over an exchange with its connection."""
        exchange.answered(bytes.fromhex(facts["received"]), facts["chunked"])
        stream = cls(loop, exchange, to, facts["tty"])
        stream.format.go_on(facts["format"])
        stream.unsent = bytes.fromhex(facts["unsent"])
        return stream

    def _write_at_once(self, data: bytes) -> None:
        try:
            os.write(self.to, data)
        except BlockingIOError:
            return  # half a line, for a journal that has 8 MB to read first

    async def _write(self) -> None:
        """Write all of it; where the journal is slow the container waits, and nothing is lost."""
        while self.unsent:
            try:
                self.unsent = self.unsent[os.write(self.to, self.unsent) :]
            except BlockingIOError:
                await self.loop.writable(self.to)
