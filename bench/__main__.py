"""`python -m bench [PART...]`: all contenders in one lab, in turns; tables for people, JSON for programs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import figures, machine, memory, tables
from bench.cold import cold
from bench.contenders import Bare, Contender, contenders
from bench.crowd import crowd
from bench.ground import Ground
from lab import Lab

ROUNDS = 11
CROWD_ROUNDS = 3  # at most; who is turned away here is so for reasons that do not vary
CROWDS = (200, 500, 2000)
RIVALS = ("recipe", "web", "classic")  # who is measured against the bare start

console, progress = Console(width=200), Console(stderr=True, highlight=False)


class Run:
    """One lab and those who take part in it."""

    def __init__(
        self, ground: Ground, taking_part: list[Contender], rounds: int, crowds: Sequence[int]
    ) -> None:
        self.ground = ground
        self.contenders = taking_part
        self.rounds = rounds
        self.crowds = crowds
        self.labels = {contender.name: contender.label for contender in taking_part}

    @property
    def with_port(self) -> list[Contender]:
        """Those that hold a port while they sleep: all but the yardstick."""
        return [contender for contender in self.contenders if contender.address is not None]

    def cold(self) -> dict[str, Any]:
        rounds = cold(self.contenders, self.rounds, lambda number: self._tell("cold", number, self.rounds))
        seconds = {name: [each[name].get("seconds") for each in rounds] for name in self.labels}
        found = figures.summary(seconds, Bare.name)
        stages = {
            contender.name: [each[contender.name].get("stages", {}) for each in rounds]
            for contender in self.contenders
            if any("called" in each[contender.name].get("stages", {}) for each in rounds)
        }
        self._show(tables.cold(found, self.labels))
        if stages:
            self._show(tables.stages(stages, self.labels))
        return {"rounds": rounds, "summary": {name: row._asdict() for name, row in found.items()}}

    def crowd(self) -> list[dict[str, Any]]:
        outcomes: dict[str, list[Any]] = {contender.name: [] for contender in self.with_port}
        rounds = []
        of = min(self.rounds, CROWD_ROUNDS)
        for number, size in product(range(1, of + 1), self.crowds):
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

    def _tell(self, what: str, number: int, of: int) -> None:
        progress.print(f"{what}: round {number} of {of}", style="dim")

    def _show(self, table: Table) -> None:
        console.print(table)


PARTS: dict[str, Callable[[Run], Any]] = {"cold": Run.cold, "crowd": Run.crowd, "memory": Run.memory}


def main(arguments: Sequence[str] | None = None) -> None:
    given = _parser().parse_args(arguments)
    with Lab() as lab, closing(Ground(lab)) as ground:
        lab.load("nginx")
        taking_part = [each for each in contenders(ground) if each.name in {Bare.name, *given.only}]
        for contender in taking_part:
            contender.prepare()
        facts = machine.facts(ground)
        run = Run(ground, taking_part, given.rounds, given.crowds)
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
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of the cold start (%(default)s)")
    parser.add_argument("--crowds", type=int, nargs="+", default=CROWDS, metavar="SIZE")
    parser.add_argument("--only", nargs="+", choices=RIVALS, default=RIVALS, help="leave out the others")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every round there")
    return parser


def _part(name: str) -> str:
    if name not in PARTS:
        raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(PARTS)}")
    return name


if __name__ == "__main__":
    main()
