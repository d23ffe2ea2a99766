"""Hostile datagrams: empty ones, the largest, floods from thousands of sources, and targets that pour."""

from __future__ import annotations

import contextlib
import json
import select
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.fd import udp
from tests.fd.conftest import House, eventually
from tests.fd.hostile import STAYS, Supervisor, rests, supervisor, unharmed
from tests.lab.rounds import rounds

LARGEST = 65_507  # bytes over IPv4

NOBODY = f"rule={json.dumps({'from': ['127.99.0.0/16'], 'then': 'close'})}"

STATES: dict[str, list[dict[str, Any]]] = {
    "waking": [{"state": "waking"}],
    "awake": [],
    "failed": [{"state": "failed", "reason": "no", "retry_after": 0.1}],
    "stopping": [{"state": "stopping"}],
    "unanswered": [],
}


def flood(door: socket.socket, sources: int, network: int) -> None:
    """Each source says something empty, small or large, and is not there for the answer."""
    sizes = (0, 1, 100, 1_400, LARGEST)
    for number in range(sources):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind((f"127.{network}.{number // 250 % 250}.{number % 250 + 1}", 0))
            with contextlib.suppress(OSError):
                for _ in range(1 + number % 3):
                    client.sendto(bytes(sizes[number % len(sizes)]), door.getsockname())


def is_answered(house: House) -> bool:
    with udp.client(house) as client:
        house.clients.pop()
        client.send(b"good")
        return bool(select.select([client], [], [], 0.2)[0]) and client.recv(10) == b"good"


def set_state(played: Supervisor, state: str) -> None:
    if state == "unanswered":
        played.fall_silent()
    elif state != "awake":
        played.say(*STATES[state])


@pytest.mark.parametrize("state", STATES)
def test_a_flood_from_many_sources(house: House, state: str) -> None:
    udp.listen(house)
    proxy = house.proxy(targets=["target=80/udp", "flow_idle=0.3", "answer_within=600"], before=STAYS)
    with udp.target() as target, supervisor(house.lease) as played:

        def good() -> None:
            played.awake({"80/udp": ["127.0.0.1", target.port]})
            eventually(lambda: is_answered(house))

        def attack() -> None:
            set_state(played, state)
            for network in range(rounds(1, 10)):
                flood(house.listeners[0], rounds(1000, 10_000), network + 1)
                target.heard.clear()

        good()
        attack()
        # While nobody answers, 8 MiB may be kept of what the flows say; how much the first attack left of it
        # to the second depends on how fast the proxy read, and the heap stays as large as it once was.
        with unharmed(proxy, good, growth=10_240):
            attack()


def test_a_flood_from_who_may_not_wake_asks_for_nothing_and_keeps_nothing(house: House) -> None:
    udp.listen(house)
    proxy = house.proxy(targets=["target=80/udp", NOBODY], before=STAYS)
    flood(house.listeners[0], 500, 99)
    udp.taken(house)
    with unharmed(proxy, lambda: udp.taken(house), growth=512):
        flood(house.listeners[0], rounds(2000, 50_000), 99)
    assert house.lease.nobody_asks(0)
    eventually(lambda: rests(proxy))


def silent(_data: bytes) -> list[bytes]:
    return []


def empty(_data: bytes) -> list[bytes]:
    return [b""] * 20


def pours(_data: bytes) -> list[bytes]:
    return [bytes(LARGEST), *[bytes(1_400)] * 50]


@pytest.mark.parametrize("answers", [silent, empty, pours])
def test_a_target_that_answers_oddly_to_who_does_not_read(
    house: House, answers: Callable[[bytes], list[bytes]]
) -> None:
    udp.listen(house)
    proxy = house.proxy(targets=["target=80/udp", "flow_idle=0.5"], before=STAYS)

    def reply(data: bytes) -> list[bytes]:
        return [data] if data == b"good" else answers(data)

    with udp.target(reply) as target, supervisor(house.lease) as played:
        played.awake({"80/udp": ["127.0.0.1", target.port]})
        with unharmed(proxy, lambda: eventually(lambda: is_answered(house)), growth=3_072):
            for _ in range(rounds(2, 100)):
                crowd = [udp.client(house) for _ in range(50)]
                for client in crowd:
                    client.send(b"")
                    client.send(bytes(LARGEST))
                eventually(lambda: is_answered(house))
                for client in crowd:
                    house.clients.remove(client)
                    client.close()
                target.heard.clear()


def test_a_target_that_has_gone_is_no_reason_to_spin(house: House) -> None:
    """Each datagram is refused, which the kernel reports on the flow's socket."""
    udp.listen(house)
    proxy = house.proxy(targets=["target=80/udp", "flow_idle=0.5"], before=STAYS)
    with udp.target() as gone:
        port = gone.port
    with udp.target() as target, supervisor(house.lease) as played:

        def good() -> None:
            played.awake({"80/udp": ["127.0.0.1", target.port]})
            eventually(lambda: is_answered(house))

        def attack() -> None:
            played.awake({"80/udp": ["127.0.0.1", port]})
            for number in range(rounds(2, 20)):
                flood(house.listeners[0], 500, number + 1)
            eventually(lambda: rests(proxy))

        attack()
        # The heap stays as large as for the most flows at once, 0.7 KB each: 2,000 or 10,000, as it comes.
        with unharmed(proxy, good, growth=8_192):
            for _ in range(rounds(1, 5)):
                attack()
