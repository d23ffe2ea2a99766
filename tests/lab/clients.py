"""Clients in the lab's network: one, a crowd, or a steady trickle, and what became of each."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Final, NamedTuple

from lab import Lab
from lab.images import PAGE
from tests.lab.steady import steady
from tests.lab.waiting import PATIENCE

REQUEST: Final = b"GET / HTTP/1.0\r\nHost: lab\r\n\r\n"
TIMED_OUT: Final = "timed out"


class Answer(NamedTuple):
    """What became of one client; `error` is empty, the name of an errno, or TIMED_OUT."""

    at: float  # seconds on the monotonic clock at its connect
    seconds: float  # from its connect to the answer's last byte, or to the error
    data: bytes
    error: str

    @property
    def status(self) -> int:
        """The HTTP status, 0 where no whole status line came."""
        words = self.data.partition(b"\r\n")[0].split()
        return int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/") else 0

    @property
    def body(self) -> str:
        return self.data.partition(b"\r\n\r\n")[2].decode()

    @property
    def served(self) -> bool:
        """Whether the container's own page came, to the last byte."""
        return not self.error and self.status == 200 and self.body == PAGE

    @property
    def told_no(self) -> bool:
        """Whether it was told clearly that nothing comes: a whole 503 that says when to return."""
        return not self.error and self.status == 503 and b"\r\nRetry-After: " in self.data

    @property
    def cut_off(self) -> bool:
        """Whether it was let in and then lost who served it: by a reset, or by an end before the page's."""
        before_the_end = self.status in (0, 200) and self.body != PAGE
        return self.error in ("ECONNRESET", "EPIPE") or (not self.error and before_the_end)

    def __str__(self) -> str:
        return f"{self.error or self.status} after {self.seconds:.3f} s: {self.data[-120:]!r}"


def get(lab: Lab, port: int = 80, within: float = PATIENCE) -> Answer:
    """One client, and what became of it within so many seconds."""
    return crowd(lab, 1, port, within)[0]


def crowd(lab: Lab, count: int, port: int = 80, within: float = 60.0, over: float = 0.0) -> list[Answer]:
    """`count` clients, all at once or spread evenly over so many seconds. In the order of their connects."""
    return clients_at(lab, (over * index / count for index in range(count)), port, within)


def clients_at(lab: Lab, moments: Iterable[float], port: int = 80, within: float = 60.0) -> list[Answer]:
    """One client at each of these moments, in seconds from now."""

    async def all_of_them() -> list[Answer]:
        began = time.monotonic()
        return await asyncio.gather(*(_client(port, began + moment, within) for moment in moments))

    with lab.network():
        return asyncio.run(all_of_them())


async def _client(port: int, at: float, within: float) -> Answer:
    await asyncio.sleep(at - time.monotonic())
    began, data, error = time.monotonic(), b"", ""
    with socket.socket() as client:
        client.setblocking(False)
        try:
            async with asyncio.timeout(within):
                loop = asyncio.get_running_loop()
                # Its first words follow at once: who is refused before them, and says none, gets a reset.
                with contextlib.suppress(BlockingIOError):
                    client.connect(("127.0.0.1", port))
                await loop.sock_sendall(client, REQUEST)
                while piece := await loop.sock_recv(client, 65536):
                    data += piece
        except TimeoutError as late:
            # The kernel's own ETIMEDOUT is one of these too.
            error = errno.errorcode[late.errno] if late.errno else TIMED_OUT
        except OSError as broken:
            error = errno.errorcode.get(broken.errno or 0, str(broken))
    return Answer(began, time.monotonic() - began, data, error)


def trickle(
    lab: Lab, every: float, port: int = 80, within: float = 60.0
) -> AbstractContextManager[list[Answer]]:
    """A new client every so many seconds for as long as the block runs; the list is whole after it."""
    return steady(lab.network, every, lambda at: _client(port, at, within))


def connect(lab: Lab, port: int = 80, within: float = PATIENCE) -> socket.socket:
    """A connection that says nothing yet; every wait on it ends after so many seconds."""
    with lab.network():
        return socket.create_connection(("127.0.0.1", port), timeout=within)


def ask(client: socket.socket) -> str:
    """A request on a connection that stays open, and the page that comes back."""
    client.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
    received = b""
    while len(received.partition(b"\r\n\r\n")[2]) < len(PAGE):
        piece = client.recv(65536)
        if not piece:
            raise ConnectionError(f"the connection ended after {received!r}")
        received += piece
    return received.partition(b"\r\n\r\n")[2].decode()


def accepts(lab: Lab, port: int = 80) -> bool:
    """Whether the port is open, known by connecting; that is also a client and may wake the container."""
    try:
        connect(lab, port).close()
    except OSError:
        return False
    return True
