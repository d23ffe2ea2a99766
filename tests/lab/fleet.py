"""Several services at once, each in a thread of its own: races by the hundred, in the time that they wait."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.lab.rounds import IN_FULL
from tests.lab.services import AddService, Service

SIZE = 5  # services; with more, two processors are busy with what is no race

Round = Callable[[Service, random.Random], str]  # what went wrong, for people; empty where nothing did


def fleet(service: AddService, *options: str, idle: str, shape: str = "wakeport") -> list[Service]:
    """`web0`, `web1`... on the ports from 8000 on."""
    return [
        service(f"web{number}", *options, listen=8000 + number, idle=idle, shape=shape)
        for number in range(SIZE)
    ]


def run(services: list[Service], rounds: int, one: Round) -> list[str]:
    """Run `one` so many times, spread over the services; all that went wrong.

    The moments are the same in each run, and others in each soak.
    """

    def some(number: int) -> list[str]:
        moments = random.Random() if IN_FULL else random.Random(number)
        count = rounds // len(services) + (number < rounds % len(services))
        found = [(turn, one(services[number], moments)) for turn in range(count)]
        return [f"{services[number].name}, round {turn}: {wrong}" for turn, wrong in found if wrong]

    with ThreadPoolExecutor(len(services)) as pool:
        return [wrong for each in pool.map(some, range(len(services))) for wrong in each]
