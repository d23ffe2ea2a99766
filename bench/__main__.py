"""`python -m bench [PART...]`: all contenders in one lab, in turns; tables for people, JSON for programs."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cached_property
from itertools import chain, product
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import figures, machine, memory, relay, relay_figures, relay_picture, relay_tables, tables
from bench.cold import cold
from bench.contenders import Bare, Contender, contenders
from bench.crowd import crowd
from bench.ground import Ground
from bench.relay_contenders import DEFAULT
from bench.relay_contenders import NAMES as RELAYS
from bench.runtimes import NAMES, runtimes
from lab import Lab

ROUNDS = 11
RELAY_ROUNDS = 5
RELAY_TRIES = 1
RELAY_SECONDS = 4  # for each load of a round
IDLE_CONNECTIONS = (0, 1000, 8000)
CROWD_ROUNDS = 3  # at most; who is turned away here is so for reasons that do not vary
CROWDS = (200, 500, 2000)
RIVALS = ("recipe", "web", "classic", "dozing")  # who is measured against the bare start

console, progress = Console(width=200), Console(stderr=True, highlight=False)


class Run:
    """One lab and those who take part in it."""

    def __init__(self, ground: Ground, given: argparse.Namespace) -> None:
        self.ground = ground
        self.given = given
        self.rounds: int = given.rounds or ROUNDS

    @cached_property
    def contenders(self) -> list[Contender]:
        """Those of the wake, set up when the first part asks for them."""
        wanted = {Bare.name, *(self.given.only or RIVALS)}
        taking_part = [each for each in contenders(self.ground) if each.name in wanted]
        for contender in taking_part:
            contender.prepare()
        return taking_part

    @property
    def labels(self) -> dict[str, str]:
        return {contender.name: contender.label for contender in self.contenders}

    @property
    def with_port(self) -> list[Contender]:
        """Those that hold a port while they sleep: all but the yardstick."""
        return [contender for contender in self.contenders if contender.address is not None]

    def cold(self) -> dict[str, Any]:
        return self._cold("cold", [self.contenders])

    def runtimes(self) -> dict[str, Any]:
        """The same under every runtime, each beside its own bare start."""
        pairs = runtimes(self.ground, [name for name in self.given.only or NAMES if name in NAMES])
        for contender in chain(*pairs):
            contender.prepare()
        return self._cold("runtimes", pairs)

    def _cold(self, part: str, groups: Sequence[Sequence[Contender]]) -> dict[str, Any]:
        """Each against the first of its group; all of them take turns."""
        taking_part = list(chain(*groups))
        rounds = cold(taking_part, self.rounds, lambda number: self._tell(part, number, self.rounds))
        labels = {each.name: each.label for each in taking_part}
        seconds = {name: [each[name].get("seconds") for each in rounds] for name in labels}
        found: dict[str, figures.Figures] = {}
        for group in groups:
            found |= figures.summary({each.name: seconds[each.name] for each in group}, group[0].name)
        stages = {
            name: [each[name].get("stages", {}) for each in rounds]
            for name in labels
            if any("called" in each[name].get("stages", {}) for each in rounds)
        }
        self._show(tables.cold(found, labels))
        if stages:
            self._show(tables.stages(stages, labels))
        return {"rounds": rounds, "summary": {name: row._asdict() for name, row in found.items()}}

    def crowd(self) -> list[dict[str, Any]]:
        outcomes: dict[str, list[Any]] = {contender.name: [] for contender in self.with_port}
        rounds = []
        of = min(self.rounds, CROWD_ROUNDS)
        for number, size in product(range(1, of + 1), self.given.crowds):
            self._tell(f"crowd of {size}", number, of)
            for contender in self.with_port:
                assert contender.address is not None
                outcome = crowd(self.ground.lab, contender.address, size)
                lost = contender.sleep()
                outcomes[contender.name].append(outcome)
                rounds.append({"contender": contender.name, **outcome._asdict(), "port_failed": lost})
        self._show(tables.crowd(outcomes, self.labels))
        return rounds

    def memory(self) -> dict[str, Any]:
        self._tell("memory", 1, 1)
        asleep = {each.name: memory.asleep(self.ground, each) for each in self.with_port}
        awake = {each.name: memory.awake(self.ground, each) for each in self.with_port}
        self._show(tables.memory(asleep, awake, self.labels))
        return {
            name: {
                "asleep": [process._asdict() for process in asleep[name]],
                "awake": [process._asdict() for process in awake[name]],
            }
            for name in awake
        }

    def relay(self) -> dict[str, Any]:
        given = self.given
        of = given.rounds or RELAY_ROUNDS
        loads = [name for name in relay.LOADS if name in given.measures]
        settings = relay.Settings(given.seconds, given.tries, given.idle, given.pin)
        names = [name for name in given.only or DEFAULT if name in RELAYS]
        if not names:
            return {}
        idle, rounds = {}, []
        if relay.IDLE in given.measures:
            self._tell("idle connections", 1, 1)
            with relay.set_up(self.ground, names, settings) as bench:
                idle = {each.name: bench.idle(each) for each in bench.relays if each.name != "direct"}
        if loads:
            # Set up anew: not everyone outlives thousands of connections.
            with relay.set_up(self.ground, names, settings) as bench:
                for number in range(1, of + 1):
                    self._tell("relay", number, of)
                    rounds.append(bench.round(number, loads))
        found = relay_figures.summaries(rounds, [*relay_tables.YARDSTICKS])
        for made in relay_tables.all_of(found, idle, {each.name: each.label for each in bench.relays}):
            self._show(made)
        if rounds:
            console.print(relay_tables.foot(rounds, os.cpu_count() or 0, given.pin))
        if given.picture:
            given.picture.write_text(relay_picture.draw(relay_picture.panels(found, idle)))
        summed = {name: {each: row._asdict() for each, row in rows.items()} for name, rows in found.items()}
        return {"settings": settings._asdict(), "rounds": rounds, "summary": summed, "idle": idle}

    def _tell(self, what: str, number: int, of: int) -> None:
        progress.print(f"{what}: round {number} of {of}", style="dim")

    def _show(self, table: Table) -> None:
        console.print(table)


PARTS: dict[str, Callable[[Run], Any]] = {
    "cold": Run.cold,
    "crowd": Run.crowd,
    "memory": Run.memory,
    "relay": Run.relay,
    "runtimes": Run.runtimes,
}


def main(arguments: Sequence[str] | None = None) -> None:
    given = _parser().parse_args(arguments)
    with Lab() as lab, closing(Ground(lab)) as ground:
        lab.load("nginx")
        facts = machine.facts(ground)
        run = Run(ground, given)
        console.print(machine.line(facts))
        result = {"machine": facts, **{part: PARTS[part](run) for part in given.part or PARTS}}
    if given.json:
        given.json.write_text(json.dumps(result, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Side-by-side measurements in one lab: tables, and JSON with every round.",
    )
    # Not `choices`: argparse would also look for the empty list among them.
    parser.add_argument("part", nargs="*", type=_part, help=f"{', '.join(PARTS)}; all by default")
    rounds = f"of the cold start ({ROUNDS}) and the relay ({RELAY_ROUNDS})"
    parser.add_argument("--rounds", type=int, help=rounds)
    known = (*RIVALS, *RELAYS, *NAMES)
    told = f"leave out the others of {', '.join(known)}"
    parser.add_argument("--only", nargs="+", choices=known, metavar="NAME", help=told)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every round there")
    parser.add_argument("--crowds", type=int, nargs="+", default=CROWDS, metavar="SIZE")
    _add_relay(parser.add_argument_group("relay"))
    return parser


def _add_relay(group: argparse._ArgumentGroup) -> None:
    measures = relay.MEASURES
    told = ", ".join(measures)
    group.add_argument("--measures", nargs="+", choices=measures, default=measures, metavar="NAME", help=told)
    group.add_argument("--seconds", type=int, default=RELAY_SECONDS, help="for each of wrk's (%(default)s)")
    group.add_argument("--idle", type=int, nargs="+", default=IDLE_CONNECTIONS, metavar="CONNECTIONS")
    tries = "at most for each figure, while others are busy on this machine (%(default)s)"
    group.add_argument("--tries", type=int, default=RELAY_TRIES, help=tries)
    group.add_argument("--pin", action="store_true", help="give the relay a processor of its own")
    group.add_argument("--picture", type=Path, metavar="FILE", help="draw the figures there, as SVG")


def _part(name: str) -> str:
    if name not in PARTS:
        raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(PARTS)}")
    return name


if __name__ == "__main__":
    main()
