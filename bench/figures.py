"""What is made of the rounds: medians and ratios. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

Rounds = Sequence[float | None]  # seconds, round by round; None where a round was not served


class Figures(NamedTuple):
    """Spans are seconds; a figure is None where no round gives it."""

    median: float | None
    fastest: float | None
    slowest: float | None
    ratio: float | None  # this median to the yardstick's
    ratio_by_round: float | None  # the median of the rounds' own ratios, which a noisy minute spoils less
    rounds: int
    failed: int


def summary(contenders: Mapping[str, Rounds], yardstick: str) -> dict[str, Figures]:
    """The figures of each contender, measured against the one called `yardstick`."""
    return {name: _figures(rounds, contenders[yardstick]) for name, rounds in contenders.items()}


def _figures(rounds: Rounds, yardstick: Rounds) -> Figures:
    served = [seconds for seconds in rounds if seconds is not None]
    base = [seconds for seconds in yardstick if seconds is not None]
    pairs = [(a, b) for a, b in zip(rounds, yardstick, strict=True) if a is not None and b is not None]
    return Figures(
        median=median(served) if served else None,
        fastest=min(served, default=None),
        slowest=max(served, default=None),
        ratio=median(served) / median(base) if served and base else None,
        ratio_by_round=median(a / b for a, b in pairs) if pairs else None,
        rounds=len(rounds),
        failed=len(rounds) - len(served),
    )
