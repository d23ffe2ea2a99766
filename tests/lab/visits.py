"""Clients from outside, with an address of their own, of a program that tells who it is and who it sees."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Final, NamedTuple, Self

from lab.client import Client
from tests.lab.steady import steady
from tests.lab.waiting import PATIENCE

# Tells each client its address and the container's host name, then says everything back; and so over UDP.
TELLS: Final = """
import asyncio, signal, socket

name = socket.gethostname()

async def talk(reader, writer):
    writer.write(f"{writer.get_extra_info('peername')[0]} {name}\\n".encode())
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # it hung up in the middle
    finally:
        writer.close()

class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, sender):
        self.transport.sendto(f"{sender[0]} {name}\\n".encode(), sender)

async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, exit)
    await loop.create_datagram_endpoint(Datagrams, local_addr=("0.0.0.0", 80))
    try:
        await asyncio.start_server(talk, "::", 80, backlog=1024)
    except OSError:
        pass  # a network without IPv6
    await (await asyncio.start_server(talk, "0.0.0.0", 80, backlog=1024)).serve_forever()

asyncio.run(main())
"""


class Visit(NamedTuple):
    """What one client was told: the address that it was seen with, and the container's host name."""

    seen_as: str
    container: str
    seconds: float  # from its connect to that
    error: str

    def __str__(self) -> str:
        return f"{self.error or f'{self.seen_as} by {self.container}'} after {self.seconds:.3f} s"


def visit(client: Client, within: float = PATIENCE, host: str = "", port: int = 80) -> Visit:
    return visits_at(client, [0.0], within, host, port)[0]


def visits_at(
    client: Client, moments: Iterable[float], within: float = PATIENCE, host: str = "", port: int = 80
) -> list[Visit]:
    """One client at each of these moments, in seconds from now."""

    async def all_of_them() -> list[Visit]:
        began = time.monotonic()
        return await asyncio.gather(*(_visit(client, began + at, within, host, port) for at in moments))

    with client.network():
        return asyncio.run(all_of_them())


def visitors(client: Client, every: float, within: float = PATIENCE) -> AbstractContextManager[list[Visit]]:
    """A new client every so many seconds for as long as the block runs; the list is whole after it."""
    return steady(client.network, every, lambda at: _visit(client, at, within, "", 80))


async def _visit(client: Client, at: float, within: float, host: str, port: int) -> Visit:
    """It says something too, and has it said back: the other half of the way is part of it."""
    await asyncio.sleep(at - time.monotonic())
    began, line, error = time.monotonic(), b"", ""
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(host or client.host4, port)
            try:
                line = await reader.readline()
                writer.write(b"x")
                if await reader.readexactly(1) != b"x":
                    error = "something else came back"
            finally:
                writer.transport.abort()
    except TimeoutError:
        error = "timed out"
    except (OSError, EOFError) as broken:
        error = f"{type(broken).__name__}: {broken}"
    seen_as, _, container = line.decode().strip().partition(" ")
    return Visit(seen_as, container, time.monotonic() - began, error)


class Guest:
    """One connection that stays open."""

    def __init__(self, client: Client, host: str = "", port: int = 80) -> None:
        with client.network():
            self.sock = socket.create_connection((host or client.host4, port), timeout=PATIENCE)
        try:
            self.seen_as, _, self.container = self._line().decode().strip().partition(" ")
        except BaseException:
            self.leave()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.leave()

    @property
    def address(self) -> str:
        """As its own side has it, and as a status should tell it."""
        host, port = self.sock.getsockname()[:2]
        return f"{host}:{port}"

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            piece = self.sock.recv(100)
            if not piece:
                raise ConnectionError(f"it ended after {line!r}")
            line += piece
        return line

    def is_answered(self, said: bytes = b"still there\n") -> bool:
        self.sock.sendall(said)
        return self._line() == said

    def leave(self) -> None:
        self.sock.close()


def datagram(client: Client, sock: socket.socket, port: int = 80, tries: int = 60) -> tuple[str, str]:
    """Ask over UDP until an answer comes, as who uses UDP does: by whom one is seen, and as whom."""
    sock.settimeout(1.0)
    for _ in range(tries):
        sock.sendto(b"hello", (client.host4, port))
        try:
            line = sock.recv(1000)
        except TimeoutError:
            continue
        seen_as, _, container = line.decode().strip().partition(" ")
        return seen_as, container
    raise TimeoutError(f"no answer to {tries} datagrams")
