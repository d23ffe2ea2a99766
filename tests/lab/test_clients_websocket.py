"""A WebSocket: the upgrade as the first request, messages of every length, and a long time open."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
import websockets
from websockets.sync.client import ClientConnection, connect

from tests.lab import clients
from tests.lab.programs import python
from tests.lab.rounds import rounds
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.services import AddService, Service

OPEN = rounds(2, full=300)  # seconds
CROWD = rounds(50, full=400)  # each with a thread of its own

# The lengths around which a frame's own length takes another form, RFC 6455 section 5.2; and large ones.
LENGTHS = (0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20, 16 << 20)

# Says everything back. Pings come from the clients alone, in the tests that want them.
ECHOES = """
import asyncio
from websockets.asyncio.server import serve

async def talk(client):
    async for message in client:
        await client.send(message)

async def main():
    async with serve(talk, "", 80, ping_interval=None, max_size=None, backlog=1024):
        await asyncio.Future()

asyncio.run(main())
"""


@pytest.fixture
def chat(service: AddService) -> Service:
    library = Path(websockets.__file__).parent
    create = [DIES_AT_ONCE, f"--volume={library}:/opt/websockets:ro", "--env=PYTHONPATH=/opt"]
    return service("chat", image="python", command=python(ECHOES), create=create, idle="1s")


def upgrade(sock: socket.socket, ping_every: float | None = None) -> ClientConnection:
    """The open WebSocket; it sends a ping every so many seconds."""
    return connect("ws://lab/", sock=sock, open_timeout=30, ping_interval=ping_every, max_size=None)


def join(chat: Service, ping_every: float | None = None) -> ClientConnection:
    return upgrade(clients.connect(chat.lab, chat.port), ping_every)


def test_the_upgrade_wakes_and_every_message_comes_back(chat: Service) -> None:
    contents = random.Random(6455)
    assert chat.is_asleep
    for _ in ("cold", "warm"):
        with join(chat) as client:
            for length in LENGTHS:
                for message in (contents.randbytes(length), "ä" * length):
                    client.send(message)
                    assert client.recv(30) == message, length
            client.send(["in ", "three ", "pieces"])
            assert client.recv(30) == "in three pieces"
        assert client.protocol.close_code == 1000  # both have said goodbye, RFC 6455 section 7.4.1
    chat.falls_asleep()


@pytest.mark.parametrize("ping_every", [None, pytest.param(20, marks=pytest.mark.full)])
def test_one_that_is_only_held_open_keeps_it_awake(chat: Service, ping_every: float | None) -> None:
    with join(chat, ping_every) as client:
        chat.reaches("awake")
        chat.stays_awake(OPEN)
        client.send("still there?")
        assert client.recv(30) == "still there?"
    assert client.protocol.close_code == 1000
    chat.falls_asleep()


def test_a_crowd_of_first_clients_each_with_its_own_answers(chat: Service) -> None:
    with ExitStack() as all_of_them:
        held = [clients.connect(chat.lab, chat.port) for _ in range(CROWD)]
        crowd = [all_of_them.enter_context(upgrade(sock)) for sock in held]
        for number, client in enumerate(crowd):
            client.send(f"{number}")
        for number, client in enumerate(crowd):
            assert client.recv(30) == f"{number}"
    chat.falls_asleep()
