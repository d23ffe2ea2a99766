"""A proxy with every feature, in every state of the container, under clients that hypothesis makes up."""

from __future__ import annotations

import contextlib
import itertools
import json
import select
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fd import udp
from tests.fd.conftest import PATIENCE, House, Program, eventually
from tests.fd.hostile import STAYS, Supervisor, reset, supervisor, unharmed
from tests.fd.test_page import BROWSER
from tests.fd.test_threshold import PROBE, VISIT, hello
from tests.lab.rounds import rounds
from wakeport.proxy.admission.proxy_header import encode

HEADER = encode("v1", ("203.0.113.7", 1), ("198.51.100.1", 2))
BINARY = encode("v2", ("2001:db8::7", 1), ("2001:db8::1", 2))

RULES = [
    {"path": ["/healthz"], "then": "200 asleep"},
    {"server_name": ["*.org"], "then": "reset"},
    {"user_agent": ["*bot*"], "host": ["*.org"], "then": "close"},
]
JUDGING = [f"rule={json.dumps(rule)}" for rule in RULES]

# Each listener's words, and what a good client says first.
LISTENERS: list[tuple[list[str], bytes]] = [
    ([], b""),
    (["page=0"], b""),
    ([*JUDGING], VISIT),
    (["accept_proxy=127.0.0.0/8", "send_proxy=v1"], HEADER),
    (["wake_on=data", "send_proxy=v2"], b""),
    (["page=0", "accept_proxy=127.0.0.0/8", "send_proxy=v2", "wake_on=data", *JUDGING], BINARY + VISIT),
]

KNOWN = [
    HEADER,
    BINARY,
    PROBE,
    VISIT,
    BROWSER,
    hello("a.org"),
    b"PROXY ",
    b"\r\n\r\n",
    b"\n",
    b"GET / HTTP/1.1\r\n",
    b"User-Agent: bot\r\nHost: a.org\r\n",
    b"\x16\x03\x01\x00\x01\x01",
    b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03",
    b"X: " + b"y" * 5_000,
    bytes(70_000),
]

FIRST_BYTES = st.lists(st.one_of(st.sampled_from(KNOWN), st.binary(max_size=40)), max_size=5).map(b"".join)
DATAGRAMS = st.lists(st.sampled_from([0, 1, 1_400, 9_000, 65_507]), min_size=1, max_size=70)
ENDS = ("close", "reset", "half-close", "half-close and reset", "read", "urgent", "stay")

STATES: dict[str, list[dict[str, Any]]] = {
    "unanswered": [],
    "waking": [{"state": "waking", "waits_for": "the tests"}],
    "awake": [],
    "failed": [{"state": "failed", "reason": "the tests", "retry_after": 0.1}],
    "stopping": [{"state": "stopping"}],
}


def serve(sock: socket.socket) -> None:
    """Echo, and SERVED to whoever says GOOD."""
    heard = b""
    while data := sock.recv(65536):
        heard = heard[-10:] + data
        sock.sendall(b"SERVED" if b"GOOD" in heard else data)


class Visitors:
    """Clients from more addresses than one, so that there are always ports for them."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.numbers = itertools.count()
        self.stayed: list[socket.socket] = []

    def connect(self, door: socket.socket) -> socket.socket:
        client = socket.socket(door.family, door.type)
        client.settimeout(PATIENCE)
        if door.family == socket.AF_INET:
            number = next(self.numbers) // 100
            client.bind((f"127.0.{number // 250 % 250}.{number % 250 + 1}", 0))
        client.connect(door.getsockname())
        return client

    def throw(self, door: socket.socket, first: bytes, cut: int, end: str) -> None:
        client = self.connect(door)
        cut = min(cut, len(first))
        # Whoever is sent away may be reset already, and who is not read from must not wait.
        client.settimeout(0.02)
        with contextlib.suppress(OSError):
            client.sendall(first[:cut])
            if end == "urgent":
                client.send(b"!", socket.MSG_OOB)
            client.sendall(first[cut:])
            if end.startswith("half"):
                client.shutdown(socket.SHUT_WR)
            if end in ("read", "half-close"):
                client.recv(65536)
        if end == "stay":
            self.stayed.append(client)
            if len(self.stayed) > 50:
                self.leave()
        elif "reset" in end:
            reset(client)
        else:
            client.close()

    def flood(self, door: socket.socket, sizes: list[int]) -> None:
        with self.connect(door) as client:
            for size in sizes:
                with contextlib.suppress(OSError):
                    client.send(bytes(size))

    def leave(self) -> None:
        while self.stayed:
            reset(self.stayed.pop())


class Everything:
    """The proxy, its listeners, its targets and its supervisor."""

    def __init__(self, house: House, played: Supervisor, before: str = STAYS) -> None:
        self.house = house
        self.played = played
        self.visitors = Visitors(house)
        for _ in LISTENERS:
            house.listen(backlog=4096)
        house.listen(str(house.folder / "door"))
        udp.listen(house)
        words = ["answer_within=600", "hold_for=600"]
        for special, _ in LISTENERS:
            words += ["target=80/tcp", *special]
        words += ["target=80/tcp", "target=80/udp", "flow_idle=0.5"]
        self.proxy: Program = house.proxy(targets=words, before=before)
        self.target = house.target(serve)

    def awake(self, port: int) -> None:
        self.played.awake({"80/tcp": ["127.0.0.1", self.target.port], "80/udp": ["127.0.0.1", port]})

    def good_clients(self) -> None:
        says = [first for _, first in LISTENERS]
        for door, first in zip(self.house.listeners, [*says, b""], strict=False):
            eventually(lambda door=door, first=first: self.is_served(door, first + b"GOOD"))  # type: ignore[misc]
        eventually(lambda: self.is_answered(self.house.listeners[-1]))

    def is_served(self, door: socket.socket, words: bytes) -> bool:
        """False for a client that comes while a failure is fresh."""
        heard = b""
        with self.visitors.connect(door) as client, contextlib.suppress(OSError):
            client.sendall(words)
            while b"SERVED" not in heard and (data := client.recv(65536)):
                heard += data
        return b"SERVED" in heard

    def is_answered(self, door: socket.socket) -> bool:
        with self.visitors.connect(door) as client:
            client.send(b"GOOD")
            return bool(select.select([client], [], [], 0.2)[0])


@pytest.fixture
def everything(house: House) -> Iterator[Everything]:
    with supervisor(house.lease) as played:
        yield Everything(house, played)


@pytest.mark.parametrize("state", STATES)
def test_clients_that_hypothesis_makes_up(everything: Everything, state: str) -> None:
    visitors = everything.visitors
    streams = [door for door in everything.house.listeners if door.type == socket.SOCK_STREAM]

    @settings(max_examples=rounds(75, 10_000), deadline=None, database=None)
    @given(st.sampled_from(streams), FIRST_BYTES, st.integers(0, 100), st.sampled_from(ENDS))
    def throw(door: socket.socket, first: bytes, cut: int, end: str) -> None:
        visitors.throw(door, first, cut, end)

    with udp.target() as target:

        @settings(max_examples=rounds(10, 500), deadline=None, database=None)
        @given(DATAGRAMS)
        def flood(sizes: list[int]) -> None:
            visitors.flood(everything.house.listeners[-1], sizes)
            target.heard.clear()

        def attack() -> None:
            if state == "unanswered":
                everything.played.fall_silent()
            elif state != "awake":
                everything.played.say(*STATES[state])
            throw()
            flood()
            visitors.leave()
            everything.awake(target.port)

        # Whoever ends its side is held on, for it may have asked something. So the first attack leaves a heap
        # for thousands who wait, and the second shows that it does not grow.
        attack()
        with unharmed(everything.proxy, everything.good_clients, growth=4_096):
            attack()
