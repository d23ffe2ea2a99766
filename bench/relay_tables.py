"""The relay's figures as people read them: a table a measure, and one that sets wakeport against the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from rich.table import Table

from bench.relay_figures import Outcome, Summary
from bench.tables import markdown

Labels = Mapping[str, str]
Summaries = Mapping[str, Mapping[str, Summary]]  # by measure, then by relay

YARDSTICKS = {"socket-proxyd": "x socket-proxyd", "haproxy": "x HAProxy", "direct": "x direct"}

TITLES = {
    "keep-alive": "requests, 32 kept connections",
    "connections": "requests, each on a new connection",
    "bulk": "256 MiB, one stream",
    "streams": "256 MiB, four streams at once",
}

FOOT = (
    "Medians of {rounds} rounds; ratios (x) are medians of each round's own. The load, nginx and what is "
    "between them share {processors} processors{pinned}; others on this machine used {others:.2f} of one "
    "meanwhile (median). CPU is the relay's own processes', in user and kernel mode: Docker's rules work in "
    "the kernel, and their time is nobody's."
)
PINNED = ": the relay has one, the load and nginx the rest"


def all_of(summaries: Summaries, idle_found: Mapping[str, Sequence[Outcome]], labels: Labels) -> list[Table]:
    """Every table that there are figures for."""
    made = [
        answers(measure, rows, labels)
        if measure in ("keep-alive", "connections")
        else bulk(measure, rows, labels)
        for measure, rows in summaries.items()
    ]
    if idle_found:
        made.append(idle(idle_found, labels))
    if "wakeport" in labels and summaries:
        made.append(against(summaries, "wakeport"))
    return made


def foot(rounds: Sequence[Mapping[str, Mapping[str, Outcome]]], processors: int, pinned: bool) -> str:
    """What stands below the tables, so that nobody takes them for more than they are."""
    others = [outcome["others"] for turn in rounds for each in turn.values() for outcome in each.values()]
    return FOOT.format(
        rounds=len(rounds),
        processors=processors,
        pinned=PINNED if pinned else "",
        others=median(others) if others else 0,
    )


def answers(measure: str, rows: Mapping[str, Summary], labels: Labels) -> Table:
    others = _yardsticks(rows)
    made = markdown(
        TITLES[measure],
        "per second",
        "p50",
        "p99",
        "p99.9",
        "CPU each",
        *(YARDSTICKS[other] for other in others),
        *(f"p99 {YARDSTICKS[other]}" for other in others if other == "socket-proxyd"),
        "failed",
    )
    for name, row in rows.items():
        made.add_row(
            labels[name],
            _number(row.medians.get("rate")),
            *(_milliseconds(row.medians.get(figure)) for figure in ("p50", "p99", "p999")),
            _microseconds(row.medians.get("cpu")),
            *(_ratio(row, other, "rate") for other in others),
            *(_ratio(row, other, "p99") for other in others if other == "socket-proxyd"),
            _failed(row),
        )
    return made


def bulk(measure: str, rows: Mapping[str, Summary], labels: Labels) -> Table:
    others = _yardsticks(rows)
    made = markdown(
        TITLES[measure], "GiB per second", "CPU s per GiB", *(YARDSTICKS[o] for o in others), "failed"
    )
    for name, row in rows.items():
        made.add_row(
            labels[name],
            _decimal(row.medians.get("rate"), 1 << 30),
            _decimal(row.medians.get("cpu"), 1) if row.medians.get("cpu") else "-",
            *(_ratio(row, other, "rate") for other in others),
            _failed(row),
        )
    return made


def idle(found: Mapping[str, Sequence[Outcome]], labels: Labels) -> Table:
    """RSS of the relay's processes; where fewer connections held, how many."""
    counts = sorted({step["connections"] for steps in found.values() for step in steps})
    made = markdown("memory, idle connections", *(f"{count:,}" for count in counts), "descriptors at the end")
    for name, steps in found.items():
        by_count = {step["connections"]: step for step in steps}
        made.add_row(
            labels[name],
            *(_memory(by_count.get(count)) for count in counts),
            f"{steps[-1]['descriptors']:,}" if steps else "-",
        )
    return made


def against(summaries: Summaries, name: str) -> Table:
    """One relay's ratios to each yardstick, measure by measure."""
    others = [other for other in YARDSTICKS if any(other in rows for rows in summaries.values())]
    others = [other for other in others if other != name]
    made = markdown(f"{name}, by round", *(YARDSTICKS[other] for other in others))
    for measure, rows in summaries.items():
        if name not in rows:
            continue
        made.add_row(measure, *(_ratio(rows[name], other, "rate") for other in others))
        for figure in ("p99", "p999", "cpu"):
            if figure in rows[name].medians:
                cells = [_ratio(rows[name], other, figure) for other in others]
                made.add_row(f"{measure}, {figure}", *cells)
    return made


def _yardsticks(rows: Mapping[str, Summary]) -> list[str]:
    return [other for other in YARDSTICKS if other in rows]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _decimal(value: float | None, unit: int) -> str:
    return "-" if value is None else f"{value / unit:.2f}"


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.2f} ms"


def _microseconds(seconds: float | None) -> str:
    return "-" if not seconds else f"{seconds * 1e6:.1f} µs"


def _ratio(row: Summary, other: str, figure: str) -> str:
    ratio = row.ratios.get(other, {}).get(figure)
    return "-" if ratio is None else f"{ratio:.2f}"


def _failed(row: Summary) -> str:
    errors = row.medians.get("errors")
    return f"{row.failed} of {row.rounds}" + (f", {errors:,.0f} errors" if errors else "")


def _memory(step: Outcome | None) -> str:
    if step is None:
        return "-"
    if step["rss"] is None:
        return f"ended at {step['held']:,}"
    held = "" if step["held"] == step["connections"] else f" ({step['held']:,} held)"
    return f"{step['rss'] / 1e6:.1f} MB{held}"
