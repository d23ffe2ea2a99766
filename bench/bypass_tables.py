"""The figures of the bypass as people read them. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

from rich.table import Table

from bench.relay_figures import Outcome, Summary, summary
from bench.tables import markdown

LABELS: Final = {
    "published": "Docker's published port",
    "relay": "wakeport's relay",
    "bypass": "wakeport, `bypass = true`",
    "direct": "the container's address",
}
YARDSTICK: Final = "published"

# Each measure's column, and the unit that its rate is told in.
COLUMNS: Final = {
    "keep-alive": ("requests/s, 32 kept connections", 1),
    "connections": ("requests/s, each on a new connection", 1),
    "bulk": ("256 MiB, GiB/s", 1 << 30),
}
RATIO: Final = "x Docker's"

ALONE, CROWDED = "alone", "crowded"  # one service in the map, and one among many

FOOT: Final = (
    "Medians of {rounds} rounds; ratios (x) are medians of each round's own. The load, from a network "
    "namespace of its own, nginx and what is between them share {processors} processors; others on this "
    "machine used {others:.2f} of one meanwhile (median). Before and after each load nginx said who asks it: "
    "the namespace's own address, except behind the relay."
)


def contenders(found: Mapping[str, Mapping[str, Summary]]) -> Table:
    """By measure, then by contender."""
    columns = [column for measure in found for column in (COLUMNS[measure][0], RATIO)]
    made = markdown("from a client with an address of its own", *columns, "failed")
    for name in next(iter(found.values())):
        rows = {measure: by_name[name] for measure, by_name in found.items()}
        cells = []
        for measure, row in rows.items():
            cells += [_rate(row, COLUMNS[measure][1]), _ratio(row, YARDSTICK)]
        made.add_row(LABELS[name], *cells, _failed([*rows.values()]))
    return made


def elements(rounds: Sequence[Mapping[str, Mapping[str, Outcome]]], number: int) -> Table:
    """New connections, with one element in the map and with so many; `rounds` are by case, then contender."""
    subject = COLUMNS["connections"][0]
    made = markdown(subject, "1 in the map", f"{number:,} in the map", "x one", "failed")
    for name in rounds[0][ALONE]:
        turns = {case: [each[case][name] for each in rounds] for case in (ALONE, CROWDED)}
        alone, crowded = summary(turns, [ALONE]).values()
        cells = [_rate(alone, 1), _rate(crowded, 1), _ratio(crowded, ALONE), _failed([alone, crowded])]
        made.add_row(LABELS[name], *cells)
    return made


def foot(rounds: Sequence[Mapping[str, Mapping[str, Outcome]]]) -> str:
    others = [outcome["others"] for turn in rounds for each in turn.values() for outcome in each.values()]
    return FOOT.format(rounds=len(rounds), processors=os.cpu_count() or 0, others=median(others))


def _rate(row: Summary, unit: int) -> str:
    rate = row.medians.get("rate")
    if rate is None:
        return "-"
    return f"{rate:,.0f}" if unit == 1 else f"{rate / unit:.2f}"


def _ratio(row: Summary, other: str) -> str:
    ratio = row.ratios.get(other, {}).get("rate")
    return "-" if ratio is None else f"{ratio:.2f}"


def _failed(rows: Sequence[Summary]) -> str:
    """Loads that were not served at all, and errors of wrk's within those that were."""
    failed, rounds = sum(row.failed for row in rows), sum(row.rounds for row in rows)
    errors = sum(row.medians.get("errors", 0) for row in rows)
    return f"{failed} of {rounds}" + (f", {errors:,.0f} errors" if errors else "")
