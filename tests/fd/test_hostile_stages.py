"""Clients and targets that break off at every stage, by a reset, an end or a half of one."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.fd.conftest import PATIENCE, House, Target, eventually
from tests.fd.hostile import STAYS, Supervisor, reset, supervisor, unharmed
from tests.fd.test_page import BROWSER
from tests.fd.test_threshold import PROBE, VISIT
from tests.lab.rounds import rounds
from wakeport.proxy.admission.proxy_header import encode

HEADER = encode("v2", ("203.0.113.7", 1), ("198.51.100.1", 2))
ASLEEP = {"path": ["/healthz"], "then": "200 asleep"}

# What clients say whom a failure awaits.
FIRST_WORDS = (VISIT, VISIT[:9], b"", b"\x16\x03", VISIT + bytes(500_000))

CROWD = 50

Leave = Callable[[socket.socket], None]


def end(client: socket.socket) -> None:
    client.close()


def end_half(client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_WR)
        client.settimeout(0.01)
        client.recv(1)
    reset(client)


def shut_both(client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
    client.close()


WAYS = (reset, end, end_half, shut_both)

# The words of the listener, and what a client says before it leaves.
STAGES: dict[str, tuple[list[str], bytes]] = {
    "after it has connected": ([], b""),
    "in the middle of a PROXY header": (["accept_proxy=127.0.0.0/8"], HEADER[:20]),
    "in the middle of a request's head": ([f"rule={json.dumps(ASLEEP)}"], VISIT[:25]),
    "at the threshold, without a byte": (["wake_on=data"], b""),
    "while it is answered by a rule": ([f"rule={json.dumps(ASLEEP)}"], PROBE + b"more" * 50_000),
    "while it is held": ([], VISIT),
    "while it is held, and has said much": ([], bytes(300_000)),
    "before a page": (["page=0"], BROWSER),
    "in the middle of a page's request": (["page=0"], BROWSER[:60]),
    "before a page that comes later": (["page=0.05"], BROWSER),
}


def talk(sock: socket.socket) -> None:
    """Echo; or say much to whoever asks, whether or not it is read."""
    while data := sock.recv(65536):
        if data.startswith(b"pour"):
            while True:
                sock.sendall(bytes(65536))
        sock.sendall(data)


def is_served(house: House, say: bytes) -> bool:
    """False where it is turned away for a failure before."""
    with house.client() as client, contextlib.suppress(OSError):
        client.sendall(say)
        return b"good" in client.recv(1000)
    return False


def come(house: House, say: bytes) -> socket.socket:
    client = socket.socket()
    client.settimeout(PATIENCE)
    with contextlib.suppress(ConnectionResetError):  # it was let in and reset before connect() returned
        client.connect(house.listeners[0].getsockname())
    client.settimeout(0.05)
    with contextlib.suppress(OSError):
        client.sendall(say)
    client.settimeout(PATIENCE)
    return client


@contextmanager
def served(house: House, *words: str, say: bytes = b"good") -> Iterator[Supervisor]:
    """A proxy that is as before afterwards; within, nobody has answered the lease of those who come."""
    target = house.target(talk)
    proxy = house.proxy("answer_within=600", *words, before=STAYS)

    def good() -> None:
        played.awake({"80/tcp": ["127.0.0.1", target.port]})
        eventually(lambda: is_served(house, say))

    with supervisor(house.lease) as played, unharmed(proxy, good, growth=6_144):
        yield played


@pytest.mark.parametrize("stage", STAGES)
def test_a_client_that_leaves(house: House, stage: str) -> None:
    words, say = STAGES[stage]
    good = (HEADER if "PROXY" in stage else b"") + (VISIT + b"good")
    with served(house, *words, say=good) as played:
        played.say({"state": "waking"})
        for number in range(rounds(2, 200)):
            crowd = [come(house, say) for _ in range(CROWD)]
            if number % 2:
                time.sleep(0.02)  # so that it is in that stage, and not only on its way
            for index, client in enumerate(crowd):
                WAYS[index % len(WAYS)](client)


@pytest.mark.parametrize("way", WAYS)
def test_a_client_that_leaves_while_it_is_told_of_a_failure(house: House, way: Leave) -> None:
    with served(house) as played:
        played.say({"state": "failed", "reason": "no", "retry_after": 0.5})
        for number in range(rounds(2, 60)):
            crowd = [come(house, say) for say in FIRST_WORDS * 10]
            for client in crowd:
                if number % 2:
                    client.settimeout(0.01)
                    with contextlib.suppress(OSError):
                        client.recv(10)
                way(client)


def test_a_client_that_leaves_while_it_is_connected(house: House) -> None:
    """The target's backlog is full, and each call waits."""
    with served(house) as played, socket.create_server(("127.0.0.1", 0), backlog=0) as busy:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(busy.getsockname())
        for _ in range(rounds(2, 30)):
            played.awake({"80/tcp": list(busy.getsockname())})
            crowd = [come(house, b"dialled") for _ in range(CROWD * 2)]
            played.say({"state": "waking"})
            for index, client in enumerate(crowd):
                WAYS[index % len(WAYS)](client)
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize("say", [b"", b"small", b"pour", bytes(2_000_000)])
@pytest.mark.parametrize("way", WAYS)
def test_a_client_that_leaves_while_it_is_relayed(house: House, say: bytes, way: Leave) -> None:
    """Small messages, and bulk both ways, of which nothing is read."""
    with served(house):
        for number in range(rounds(2, 20)):
            crowd = [come(house, say) for _ in range(CROWD)]
            if number % 2:
                time.sleep(0.05)
            for client in crowd:
                way(client)


def breaks_at_once(sock: socket.socket) -> None:
    reset(sock)


def breaks_after_a_word(sock: socket.socket) -> None:
    sock.recv(1)
    reset(sock)


def breaks_in_bulk(sock: socket.socket) -> None:
    sock.sendall(bytes(500_000))
    reset(sock)


def ends_half(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_WR)
    threading.Event().wait(0.05)
    reset(sock)


@pytest.mark.parametrize("header", ["off", "v1"])
@pytest.mark.parametrize("breaks", [breaks_at_once, breaks_after_a_word, breaks_in_bulk, ends_half])
def test_a_target_that_accepts_and_breaks_off(
    house: House, breaks: Callable[[socket.socket], None], header: str
) -> None:
    hostile: Target = house.target(breaks)
    with served(house, f"send_proxy={header}", say=b"good") as played:
        played.awake({"80/tcp": ["127.0.0.1", hostile.port]})
        for _ in range(rounds(2, 30)):
            crowd = [come(house, bytes(size)) for size in (0, 10, 100_000, 1_000_000) * 10]
            for client in crowd[::2]:
                client.settimeout(0.05)
                with contextlib.suppress(OSError):
                    while client.recv(65536):
                        pass
            for client in crowd:
                client.close()
