"""`scripts/bench bypass`: what a client from elsewhere gets through the proxy, and past it.

Four contenders, each in front of an nginx in a container of its own: Docker's published port, wakeport's
relay, wakeport with `bypass = true`, and the container's own address. The load comes from a network namespace
with a cable to the lab: what starts at 127.0.0.1 passes none of the rules that are compared here. They take
turns, each round beginning with another one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from rich.console import Console

from bench import bypass_contenders as contenders
from bench import bypass_tables as tables
from bench import machine
from bench import relay_load as load
from bench.bypass_contenders import Contender, NotAsNamed
from bench.bypass_map import drain, fill
from bench.ground import Ground
from bench.relay import QUIET
from bench.relay_figures import summaries
from bench.relay_quiet import Others
from bench.relay_target import BULK
from bench.visit import Unserved
from lab import Lab
from lab.client import Client

ROUNDS: Final = 7
SECONDS: Final = 4  # of wrk, for each load of a round
TRIES: Final = 1
KEPT, SHORT = 32, 16  # connections of wrk's that are kept, and that are made anew for each request
RUNS: Final = 4  # of the large file, one after the other

OTHER_ELEMENTS: Final = 999  # of the map, beside that of the service that is measured

Outcome = dict[str, Any]  # the measure's figures by name, or {"failed": why}
Round = dict[str, dict[str, Outcome]]  # by measure, then by contender


class Settings(NamedTuple):
    seconds: int  # for wrk
    tries: int  # at most, for a load while others are busy on this machine


def kept(contender: Contender, seconds: int) -> Outcome:
    return load.wrk(contender.client, contender.address, KEPT, seconds, keep=True)._asdict()


def connections(contender: Contender, seconds: int) -> Outcome:
    return load.wrk(contender.client, contender.address, SHORT, seconds, keep=False)._asdict()


def bulk(contender: Contender, seconds: int) -> Outcome:  # noqa: ARG001 - as the others have it
    runs = [load.fetch(contender.client, contender.address, 1) for _ in range(RUNS)]
    return {"rate": BULK / median(runs), "runs": runs}


MEASURES: Final[dict[str, Callable[[Contender, int], Outcome]]] = {
    "keep-alive": kept,
    "connections": connections,
    "bulk": bulk,
}


def measure(name: str, contender: Contender, given: Settings) -> Outcome:
    """Once, or again while others are busy on this machine: the attempt that they spoilt least."""
    attempts: list[Outcome] = []
    while len(attempts) < given.tries and not (attempts and attempts[-1]["others"] < QUIET):
        attempts.append(_attempt(name, contender, given.seconds))
    return min(attempts, key=lambda found: float(found["others"]))


def _attempt(name: str, contender: Contender, seconds: int) -> Outcome:
    """Raises NotAsNamed where the load went, or would have gone, another way than the contender's."""
    contender.prove()
    others = Others(contender.ground)
    try:
        found = MEASURES[name](contender, seconds)
    except Unserved as failure:
        found = {"failed": str(failure)}
    found["others"] = others.share()
    contender.prove()
    return found


def one_round(number: int, taking_part: Sequence[Contender], given: Settings) -> Round:
    """Every measure, and in it every contender in turn."""
    turn = number % len(taking_part)
    in_turn = [*taking_part[turn:], *taking_part[:turn]]
    done: Round = {}
    for name in MEASURES:
        found = {each.name: measure(name, each, given) for each in in_turn}
        done[name] = {each.name: found[each.name] for each in taking_part}
    return done


def crowded_round(number: int, taking_part: Sequence[Contender], given: Settings) -> Round:
    """New connections with one service in the map, and with a thousand: by case, each is first in turn.

    Whoever is not in it is looked up as well, as every new connection of the machine's is.
    """
    lab = taking_part[0].ground.lab
    found: Round = {}
    for case in (tables.ALONE, tables.CROWDED) if number % 2 else (tables.CROWDED, tables.ALONE):
        if case == tables.CROWDED:
            fill(lab, OTHER_ELEMENTS)
        found[case] = {each.name: measure("connections", each, given) for each in taking_part}
        if case == tables.CROWDED:
            drain(lab, OTHER_ELEMENTS)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = _parser().parse_args(arguments)
    settings = Settings(given.seconds, given.tries)
    console, progress = Console(width=200), Console(stderr=True, highlight=False)

    def tell(what: str, number: int) -> None:
        progress.print(f"{what}: round {number} of {given.rounds}", style="dim")

    with Lab() as lab, closing(Ground(lab)) as ground, Client(lab) as client:
        lab.load("nginx")
        facts = machine.facts(ground)
        console.print(machine.line(facts))
        rounds, crowded = [], []
        try:
            taking_part = contenders.set_up(ground, client, given.only)
            for number in range(1, given.rounds + 1):
                tell("bypass", number)
                rounds.append(one_round(number, taking_part, settings))
            looked_up = [each for each in taking_part if each.name in ("published", "bypass")]
            for number in range(1, given.rounds + 1) if "bypass" in given.only else ():
                tell("map", number)
                crowded.append(crowded_round(number, looked_up, settings))
        except NotAsNamed as failure:
            sys.exit(str(failure))
    found = summaries(rounds, [tables.YARDSTICK])
    console.print(tables.contenders(found))
    if crowded:
        console.print(tables.elements(crowded, OTHER_ELEMENTS + 1))
    console.print(tables.foot(rounds))
    if given.json:
        result = {"machine": facts, "settings": settings._asdict(), "rounds": rounds, "map": crowded}
        given.json.write_text(json.dumps(result, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench bypass", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="(%(default)s)")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="for each of wrk's (%(default)s)")
    tries = "at most for each figure, while others are busy on this machine (%(default)s)"
    parser.add_argument("--tries", type=int, default=TRIES, help=tries)
    known = tuple(tables.LABELS)
    told = f"leave out the others of {', '.join(known)}"
    parser.add_argument("--only", nargs="+", choices=known, default=known, metavar="NAME", help=told)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every round there")
    return parser


if __name__ == "__main__":
    main()
