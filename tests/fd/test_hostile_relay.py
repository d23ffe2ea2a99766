"""What hostile peers do to those who are relayed already."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Callable

import pytest

from tests.fd.conftest import House, eventually, everything
from tests.fd.hostile import STAYS, reset, rests, supervisor, unharmed
from tests.lab.rounds import rounds

BULK = 4 * 1_048_576  # bytes; enough for a pipe


def count(sock: socket.socket) -> None:
    """Say how many bytes came, up to the end."""
    size = 0
    while data := sock.recv(65536):
        size += len(data)
    sock.sendall(b"%d" % size)


@pytest.mark.parametrize("door", ["127.0.0.1", "unix"])
@pytest.mark.parametrize("size", [10, BULK])
def test_an_urgent_byte_is_no_end_and_no_reason_to_spin(house: House, door: str, size: int) -> None:
    """splice(2) never gets past it and says 0, as at the end: the rest of an upload was lost."""
    house.listen(str(house.folder / "door") if door == "unix" else door)
    target = house.target(count)
    proxy = house.proxy(before=STAYS)
    with supervisor(house.lease) as played:
        played.awake({"80/tcp": ["127.0.0.1", target.port]})
        client = house.client(say=bytes(size))
        for _ in range(3):
            client.send(b"!", socket.MSG_OOB)
        eventually(lambda: rests(proxy))
        client.sendall(bytes(size))
        client.send(b"!", socket.MSG_OOB)
        client.shutdown(socket.SHUT_WR)
        # Of several only the last is urgent, and the others are ordinary bytes then; tcp(7).
        assert 2 * size <= int(everything(client)) <= 2 * size + 3


def pour(sock: socket.socket) -> None:
    """Send without end, and read nothing; a word of the client's decides."""
    if sock.recv(4) == b"good":
        sock.sendall(b"good")
    else:
        while True:
            sock.sendall(bytes(65536))


def deaf(sock: socket.socket) -> None:
    if sock.recv(4, socket.MSG_PEEK) == b"good":
        sock.sendall(b"good")
    else:
        threading.Event().wait(1)


@pytest.mark.parametrize("serve", [pour, deaf])
@pytest.mark.parametrize("door", ["127.0.0.1", "unix"])
def test_who_never_reads_is_waited_for_without_a_spin(
    house: House, door: str, serve: Callable[[socket.socket], None]
) -> None:
    """A chunk for each direction is all that this process keeps for it, and nothing when it has left."""
    house.listen(str(house.folder / "door") if door == "unix" else door)
    target = house.target(serve)
    proxy = house.proxy(before=STAYS)

    def good() -> None:
        with house.client(say=b"good") as client:
            assert client.recv(4) == b"good"

    def crowd_that_never_reads() -> None:
        crowd = [house.client(say=b"bulk") for _ in range(80)]
        for client in crowd:
            client.settimeout(0.02)
            with contextlib.suppress(OSError):  # it is full, or the target has left
                for _ in range(100 if serve is deaf else 0):
                    client.sendall(bytes(65536))
        eventually(lambda: rests(proxy))  # every buffer of the kernel is full
        assert proxy.memory() <= 16_384 + len(crowd) * 2 * 64  # KiB
        good()
        for client in crowd:
            reset(client)

    with supervisor(house.lease) as played:
        played.awake({"80/tcp": ["127.0.0.1", target.port]})
        crowd_that_never_reads()
        with unharmed(proxy, good, growth=3_072):
            for _ in range(rounds(1, 50)):
                crowd_that_never_reads()


def test_ends_in_every_order_leave_nothing(house: House) -> None:
    """Half-closes by each side, before and after words of the other, and what comes after them."""
    steps = ("say", "end", "listen", "urgent")

    def serve(sock: socket.socket) -> None:
        orders = sock.recv(64).decode().split()
        act(sock, orders)

    def act(sock: socket.socket, orders: list[str]) -> None:
        sock.settimeout(0.02)
        for order in orders:
            with contextlib.suppress(OSError):
                if order == "say":
                    sock.send(bytes(1000))
                elif order == "end":
                    sock.shutdown(socket.SHUT_WR)
                elif order == "listen":
                    sock.recv(65536)
                elif order == "urgent":
                    sock.send(b"!", socket.MSG_OOB)

    def good() -> None:
        with house.client(say=b"say end") as client:
            assert len(everything(client)) == 1000

    target = house.target(serve)
    proxy = house.proxy(before=STAYS)
    chance = random.Random(9)
    with supervisor(house.lease) as played:
        played.awake({"80/tcp": ["127.0.0.1", target.port]})
        with unharmed(proxy, good):
            for _ in range(rounds(150, 1_500)):
                client = socket.create_connection(house.listeners[0].getsockname())
                with contextlib.suppress(OSError):
                    client.sendall(" ".join(chance.choices(steps, k=5)).encode().ljust(64))
                act(client, chance.choices(steps, k=5))
                if chance.random() < 0.5:
                    reset(client)
                client.close()
