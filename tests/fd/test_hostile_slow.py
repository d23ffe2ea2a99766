"""Clients that take their time: a byte at a time, heads without end, records cut anywhere."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time

import pytest

from tests.fd.conftest import PATIENCE, House, echo, eventually
from tests.fd.hostile import STAYS, reset, supervisor, unharmed
from tests.fd.test_page import BROWSER
from tests.fd.test_threshold import VISIT, hello
from tests.lab.rounds import IN_FULL, rounds
from wakeport.proxy.admission.proxy_header import encode

HEADER = encode("v1", ("203.0.113.7", 1), ("198.51.100.1", 2))

RULES = [
    {"server_name": ["*.example.org"], "then": "wake"},
    {"path": ["/healthz"], "then": "200 asleep"},
    {"host": ["a.org"], "user_agent": ["*bot*"], "then": "reset"},
]
JUDGING = [f"rule={json.dumps(rule)}" for rule in RULES]
CLOSED = f"rule={json.dumps({'then': 'close'})}"

DOORS = {
    "rules": [*JUDGING],
    "an introduction": ["accept_proxy=127.0.0.0/8"],
    "a page": ["page=0"],
    "data": ["wake_on=data"],
}

PATIENT = "import wakeport.proxy.admission.introductions as i; i.HEADER_WITHIN = 600.0;"


def gently(client: socket.socket) -> socket.socket:
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def fate(client: socket.socket) -> bytes:
    """What becomes of it: what it is told at first, b"" for an end, b"reset" for that."""
    try:
        return client.recv(64)
    except ConnectionResetError:
        return b"reset"


@pytest.mark.parametrize("door", DOORS)
def test_hundreds_who_send_a_byte_at_a_time(house: House, door: str) -> None:
    """They cost little, and a good client is served in between and afterwards."""
    words = {"rules": VISIT, "an introduction": HEADER, "a page": BROWSER, "data": VISIT}[door]
    good = HEADER if door == "an introduction" else b""
    target = house.target(echo)
    house.listen(backlog=2048)
    proxy = house.proxy("answer_within=600", *DOORS[door], before=STAYS + PATIENT)

    def is_served() -> None:
        with house.client(say=good + b"good") as client:
            assert client.recv(10) == b"good"

    with supervisor(house.lease) as played:
        played.awake({"80/tcp": ["127.0.0.1", target.port]})
        with unharmed(proxy, is_served, growth=3072):
            played.say({"state": "waking"})
            crowd = [gently(house.client()) for _ in range(rounds(200, 1000))]
            before = proxy.processor_time()
            for byte in words[: -4 if door == "rules" else -1]:
                for client in crowd:
                    with contextlib.suppress(OSError):
                        client.send(bytes((byte,)))
                time.sleep(1.0 if IN_FULL else 0.0)
            # 200 us for a byte: a look, which takes half of that, and twice as long on a busy machine.
            assert proxy.processor_time() - before <= len(words) * len(crowd) / 50
            played.awake({"80/tcp": ["127.0.0.1", target.port]})
            is_served()
            for client in crowd:
                reset(client)


@pytest.mark.parametrize("state", ["waking", "failed"])
@pytest.mark.parametrize("door", ["plain", *DOORS])
def test_heads_without_end(house: House, door: str, state: str) -> None:
    """Each is held, judged or turned away after a bound, and nothing of it stays in this process."""
    good = HEADER if door == "an introduction" else b""
    target = house.target(echo)
    proxy = house.proxy("answer_within=600", *DOORS.get(door, []), before=STAYS)

    def is_served() -> None:
        def answered() -> bool:
            with house.client() as client, contextlib.suppress(OSError):
                client.sendall(good + b"good")
                return client.recv(10) == b"good"
            return False

        played.awake({"80/tcp": ["127.0.0.1", target.port]})
        eventually(answered)

    beginnings = [
        good + BROWSER[:-2],
        b"PROXY TCP4 ",
        good + b"GET /",
        b"\x16\x03\x01\x40\x00\x01",
    ]
    with supervisor(house.lease) as played, unharmed(proxy, is_served, growth=3072):
        played.say({"state": state, "reason": "no", "retry_after": 0.2})
        for _ in range(rounds(1, 100)):
            crowd = [house.client(say=each) for each in beginnings * 10]
            for client in crowd:
                client.setblocking(False)
            for _ in range(rounds(10, 50)):
                for client in crowd:
                    with contextlib.suppress(OSError):
                        client.send(b"X-Endless: " + b"y" * 30_000 + b"\r\n")
            for client in crowd:
                reset(client)


def cut_everywhere(greeting: bytes) -> list[list[bytes]]:
    """In two, at every place; and as records of their own, RFC 8446 5.1, of a few bytes each."""
    pieces = [[greeting[:cut], greeting[cut:]] for cut in range(1, len(greeting))]
    message = greeting[5:]
    for size in (1, 2, 3, 5, 7, 64, 100):
        parts = [message[at : at + size] for at in range(0, len(message), size)]
        pieces.append([b"".join(b"\x16\x03\x01" + struct.pack(">H", len(part)) + part for part in parts)])
        pieces.append([b"\x16\x03\x01" + struct.pack(">H", len(part)) + part for part in parts])
    return pieces


@pytest.mark.parametrize("name", ["a.example.org", "a.example.com"])
def test_a_hello_cut_at_every_byte_is_judged_like_a_whole_one(house: House, name: str) -> None:
    target = house.target(echo)
    house.listen(backlog=2048)
    wakes = name.endswith("org")
    house.proxy("answer_within=600", JUDGING[0], CLOSED)
    hellos = cut_everywhere(hello(name))
    clients = [gently(house.client()) for _ in hellos]
    for turn in range(max(map(len, hellos))):
        for client, pieces in zip(clients, hellos, strict=True):
            if turn < len(pieces):
                client.sendall(pieces[turn])
        if turn < 2:
            time.sleep(0.2)  # the proxy looks at the first piece alone
    if wakes:
        house.lease.accept().awake(target.port)
    for client, pieces in zip(clients, hellos, strict=True):
        client.settimeout(PATIENCE)
        expected = b"".join(pieces)[:64] if wakes else b""
        assert fate(client) == expected
    assert wakes or house.lease.nobody_asks(0)
