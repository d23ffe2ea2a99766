"""Hostile clients while they are held: crowds that come and go, and those who never read."""

from __future__ import annotations

from tests.fd.conftest import House
from tests.fd.hostile import STAYS, reset, unharmed
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
