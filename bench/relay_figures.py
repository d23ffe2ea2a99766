"""What is made of the relay's rounds: medians, and medians of each round's own ratios. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

Outcome = Mapping[str, Any]  # a measure's figures by name, or {"failed": why}
Turns = Mapping[str, Sequence[Outcome]]  # by relay, round by round


class Summary(NamedTuple):
    """`ratios` is by the other relay's name, then by the figure's: how many times the other's it is."""

    medians: dict[str, float]  # by the figure's name; empty where no round was served
    ratios: dict[str, dict[str, float]]
    failed: int
    rounds: int


def summaries(
    rounds: Sequence[Mapping[str, Mapping[str, Outcome]]], yardsticks: Sequence[str]
) -> dict[str, dict[str, Summary]]:
    """Each measure of the rounds, by measure and relay. Every round has the same of both."""
    found: dict[str, dict[str, Summary]] = {}
    for measure, by_relay in rounds[0].items() if rounds else ():
        turns = {name: [each[measure][name] for each in rounds] for name in by_relay}
        found[measure] = summary(turns, yardsticks)
    return found


def summary(turns: Turns, yardsticks: Sequence[str]) -> dict[str, Summary]:
    """One measure's, for each relay, against those of the yardsticks that took part."""
    others = [name for name in yardsticks if name in turns]
    return {
        name: Summary(
            medians={figure: median(values) for figure, values in _figures(outcomes).items()},
            ratios={other: _ratios(outcomes, turns[other]) for other in others},
            failed=sum("failed" in outcome for outcome in outcomes),
            rounds=len(outcomes),
        )
        for name, outcomes in turns.items()
    }


def _figures(outcomes: Sequence[Outcome]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for outcome in outcomes:
        for figure, value in outcome.items():
            if isinstance(value, int | float):
                found.setdefault(figure, []).append(value)
    return found


def _ratios(ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> dict[str, float]:
    """Of the rounds in which both were served; a figure that is nothing there (no own time) has none."""
    found: dict[str, list[float]] = {}
    for a, b in zip(ours, theirs, strict=True):
        for figure, value in a.items():
            if isinstance(value, int | float) and b.get(figure):
                found.setdefault(figure, []).append(value / b[figure])
    return {figure: median(values) for figure, values in found.items()}
