"""Hostile clients while they are held: crowds that come and go, and those who never read."""

from __future__ import annotations

import contextlib
import socket

from tests.fd.conftest import House, echo, eventually
from tests.fd.hostile import STAYS, reset, rests, supervisor, unharmed
from tests.lab.rounds import rounds


def nothing() -> None:
    """No good client: nobody would answer it."""


def come_and_go(house: House, count: int) -> None:
    for _ in range(count):
        reset(house.client(say=b"held"))
        house.clients.pop()


def test_a_crowd_that_comes_and_goes_leaves_no_deadline_behind(house: House) -> None:
    """With a long hold_for, each who had left was remembered until its deadline."""
    proxy = house.proxy("hold_for=86400", "answer_within=90000", before=STAYS)
    come_and_go(house, 2000)
    with unharmed(proxy, nothing, growth=512):
        come_and_go(house, rounds(3000, 50_000))


def test_a_flood_of_connects_beyond_every_bound_waits_outside(house: House) -> None:
    """A full waiting room and a full backlog: no spin, and everyone who stayed is served."""
    house.listen(backlog=64)
    target = house.target(echo)
    proxy = house.proxy("hold_max=50", "answer_within=600", before=STAYS)

    def good() -> None:
        with house.client(say=b"good") as client:
            assert client.recv(4) == b"good"

    def flood() -> None:
        played.say({"state": "waking"})
        crowd = []
        for _ in range(400):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(house.listeners[0].getsockname())
            crowd.append(client)
        eventually(lambda: rests(proxy))
        for client in crowd[::2]:
            reset(client)
        played.awake({"80/tcp": ["127.0.0.1", target.port]})
        good()
        for client in crowd[1::2]:
            reset(client)

    with supervisor(house.lease) as played:
        played.awake({"80/tcp": ["127.0.0.1", target.port]})
        flood()
        with unharmed(proxy, good):
            for _ in range(rounds(1, 100)):
                flood()


def test_words_without_end_of_who_is_held_stay_in_the_kernel(house: House) -> None:
    target = house.target(echo)
    proxy = house.proxy("answer_within=600", "page=0", before=STAYS)

    def good() -> None:
        with house.client(say=b"good") as client:
            assert client.recv(4) == b"good"

    with supervisor(house.lease) as played:
        played.awake({"80/tcp": ["127.0.0.1", target.port]})
        with unharmed(proxy, good):
            for _ in range(rounds(2, 100)):
                played.say({"state": "waking"})
                crowd = [house.client() for _ in range(20)]
                for client in crowd:
                    client.settimeout(0.02)
                    with contextlib.suppress(TimeoutError):
                        client.sendall(bytes(20_000_000))
                eventually(lambda: rests(proxy))
                for client in crowd:
                    reset(client)
                played.awake({"80/tcp": ["127.0.0.1", target.port]})
