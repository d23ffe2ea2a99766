"""What goes in comes out: to the byte, both ways, whoever speaks first and whoever ends first."""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from lab import Lab
from tests.lab.programs import COUNTS, ECHOES, GREETS, LISTENS_ON, POURS, python
from tests.lab.rounds import rounds
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.waiting import eventually

SOCKET_PATH = "run/web.sock"
PATIENCE = 60.0  # seconds without a single byte
MEBIBYTES = rounds(64, full=1024)  # sent one way; more than all buffers on the way hold

Connect = Callable[[], socket.socket]
Serve = Callable[[str], Connect]


@pytest.fixture(params=["port", "socket path"])
def serve(request: pytest.FixtureRequest, lab: Lab) -> Serve:
    """Makes a service of a program; returns how to connect to it, over TCP or over a Unix socket."""

    def add(program: str) -> Connect:
        lab.create("web", DIES_AT_ONCE, image="python", command=python(program))
        listen = "80=80" if request.param == "port" else f"/{SOCKET_PATH}=80"
        lab.run(["wakeport", "add", "web", f"--listen={listen}", "--idle=5s"])
        return over_port if request.param == "port" else over_path

    def over_port() -> socket.socket:
        with lab.network():
            return socket.create_connection(("127.0.0.1", 80), PATIENCE)

    def over_path() -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        client.connect(str(lab.root / SOCKET_PATH))
        return client

    return add


def blocks(count: int) -> Iterator[bytes]:
    """The pattern that `POURS` sends: no two MiB are the same, so that none can stand for another."""
    for number in range(count):
        yield number.to_bytes(8, "big") + bytes(range(256)) * 4096


def everything(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(1 << 16), b""))


def test_server_that_speaks_first(serve: Serve) -> None:
    """The very first client, who wakes the container and says nothing until it is greeted."""
    with serve(GREETS)() as client:
        assert client.recv(100) == b"220 at your service\r\n"
        client.sendall(b"noop\r\n")
        assert everything(client) == b"NOOP\r\n"


def test_client_that_ends_first_still_gets_its_answer(serve: Serve) -> None:
    connect = serve(COUNTS)
    for _ in range(2):  # once held while the container wakes, once with the container awake
        with connect() as client:
            client.sendall(b"question")
            client.shutdown(socket.SHUT_WR)
            assert everything(client).decode() == hashlib.blake2b(b"question").hexdigest()


def test_server_that_ends_first_still_hears_the_client(serve: Serve, lab: Lab) -> None:
    with serve(LISTENS_ON)() as client:
        assert everything(client) == b"nothing more from me"
        for block in blocks(4):
            client.sendall(block)
    heard = hashlib.blake2b(b"".join(blocks(4))).hexdigest()
    eventually("what it heard is logged", lambda: f"heard {heard}" in lab.docker("logs", "web"), within=20)


def test_much_to_the_container(serve: Serve) -> None:
    digest = hashlib.blake2b()
    with serve(COUNTS)() as client:
        for block in blocks(MEBIBYTES):
            client.sendall(block)
            digest.update(block)
        client.shutdown(socket.SHUT_WR)
        assert everything(client).decode() == digest.hexdigest()


def test_much_from_the_container(serve: Serve) -> None:
    expected, received = hashlib.blake2b(), hashlib.blake2b()
    for block in blocks(MEBIBYTES):
        expected.update(block)
    with serve(POURS)() as client:
        client.sendall(b"%d\n" % MEBIBYTES)
        while data := client.recv(1 << 20):
            received.update(data)
    assert received.hexdigest() == expected.hexdigest()


def test_slow_reader_loses_nothing(serve: Serve) -> None:
    """Whoever reads slowly slows its sender down; the proxy neither drops nor hoards."""
    received = hashlib.blake2b()
    with serve(POURS)() as client:
        client.sendall(b"16\n")
        for pause in (0.05,) * 20:
            received.update(client.recv(1 << 18))
            time.sleep(pause)
        received.update(everything(client))
    assert received.hexdigest() == hashlib.blake2b(b"".join(blocks(16))).hexdigest()


def test_five_hundred_connections_of_a_hundred_round_trips(serve: Serve) -> None:
    """Each checks that what comes back is its own, whatever the size and whoever else talks."""
    connect = serve(ECHOES)
    clients = [connect() for _ in range(500)]

    async def talk(number: int, client: socket.socket) -> int:
        client.setblocking(False)
        loop, sizes = asyncio.get_running_loop(), random.Random(number)
        for trip in range(100):
            said = f"{number}.{trip} ".encode() * sizes.choice([1, 1, 1, 50, 1500])
            await loop.sock_sendall(client, said)
            back = b""
            while len(back) < len(said):
                piece = await loop.sock_recv(client, 65536)
                assert piece, f"connection {number} ended in round trip {trip}"
                back += piece
            assert back == said
        return 100

    async def all_of_them() -> int:
        return sum(await asyncio.gather(*(talk(number, client) for number, client in enumerate(clients))))

    try:
        assert asyncio.run(all_of_them()) == 50_000
    finally:
        for client in clients:
            client.close()
