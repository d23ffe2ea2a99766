"""The end of a proxy amid hostile clients in every place: it drains in time, or hands all of them over."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator

import pytest

from tests.fd import udp
from tests.fd.conftest import PATIENCE, House, eventually
from tests.fd.hostile import reset, supervisor
from tests.fd.manager import Manager
from tests.fd.test_hostile_states import BINARY, ENDS, JUDGING, KNOWN, STATES, Everything, serve
from tests.fd.test_threshold import VISIT
from tests.lab.rounds import rounds

DRAINS = "import wakeport.proxy.main as main; main.DRAIN_WITHIN = 0.5;"

SPECIAL = ["page=0", "accept_proxy=127.0.0.0/8", "wake_on=data", *JUDGING]


@pytest.fixture
def manager(house: House) -> Iterator[Manager]:
    manager = Manager(house)
    yield manager
    manager.close()


def crowd_of(everything: Everything, chance: random.Random) -> None:
    for door in everything.house.listeners[:-1]:
        for _ in range(20):
            first = b"".join(chance.choices(KNOWN, k=2))
            everything.visitors.throw(door, first, chance.randrange(100), chance.choice(("stay", *ENDS)))
    everything.visitors.flood(everything.house.listeners[-1], [0, 1, 65_507])


@pytest.mark.parametrize("state", STATES)
def test_it_ends_in_time_whoever_is_there(house: House, state: str) -> None:
    chance = random.Random(11)
    with supervisor(house.lease) as played, udp.target() as target:
        everything = Everything(house, played, before=DRAINS)
        everything.awake(target.port)
        everything.good_clients()
        if state == "unanswered":
            played.fall_silent()
        elif state != "awake":
            played.say(*STATES[state])
        crowd_of(everything, chance)
        everything.proxy.terminate()
        crowd_of(everything, chance)
        assert everything.proxy.wait() == 0
        everything.visitors.leave()
        assert b"Traceback" not in everything.proxy.said


def visit(house: House, words: bytes) -> socket.socket:
    client = socket.create_connection(house.listeners[0].getsockname(), timeout=PATIENCE)
    client.settimeout(0.02)
    with contextlib.suppress(OSError):
        client.sendall(words)
    return client


@pytest.mark.parametrize("state", STATES)
def test_a_successor_takes_over_whoever_is_there(house: House, manager: Manager, state: str) -> None:
    """Again and again: what is cut at one restart goes on after it, and nothing gathers."""
    chance = random.Random(13)
    target = house.target(serve)
    awake = {"state": "awake", "targets": {"80/tcp": ["127.0.0.1", target.port]}}
    proxy = manager.start(*SPECIAL)
    with supervisor(house.lease, *(STATES[state] or [awake])) as played:
        for _ in range(rounds(4, 60)):
            crowd = []
            for _ in range(40):
                words = b"".join((chance.choice((BINARY, b"")), *chance.choices(KNOWN, k=2)))
                cut = chance.randrange(min(len(words), 200))
                crowd.append((visit(house, words[:cut]), words[cut:]))
            proxy = manager.restart(proxy, *SPECIAL)
            for client, rest in crowd:
                with contextlib.suppress(OSError):
                    client.sendall(rest)
                reset(client)
        played.say(awake)

        def is_served() -> bool:
            with visit(house, BINARY + VISIT + b"GOOD") as client, contextlib.suppress(OSError):
                client.settimeout(2)
                return b"SERVED" in client.recv(4096)
            return False

        eventually(is_served)
        for program in house.programs:
            assert b"Traceback" not in program.said
