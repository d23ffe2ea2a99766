"""The figures as people read them: tables, in Markdown as they stand, fit for a README."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from rich import box
from rich.table import Table

from bench.contenders import Stages
from bench.crowd import Outcome
from bench.figures import Figures
from bench.memory import Process

Labels = Mapping[str, str]

STAGES = {
    "proxy forked": "systemd has made a process for the proxy",
    "supervisor forked": "and one for the supervisor",
    "process": "systemd has started the supervisor",
    "called": "the start call is sent",
    "running": "the runtime has started the container",
    "ready": "the container answers",
    "proxy serves": "the proxy serves, in systemd's eyes",
    "first byte": "the client has its first byte",
}

# Not by all who measure.
ASKED_OF_SYSTEMD = ("proxy forked", "supervisor forked", "proxy serves")


def cold(figures: Mapping[str, Figures], labels: Labels) -> Table:
    table = markdown(
        "cold first byte", "median", "x bare", "x bare, by round", "fastest", "slowest", "unserved"
    )
    for name, row in figures.items():
        table.add_row(
            labels[name],
            _milliseconds(row.median),
            _ratio(row.ratio),
            _ratio(row.ratio_by_round),
            _milliseconds(row.fastest),
            _milliseconds(row.slowest),
            f"{row.failed} of {row.rounds}",
        )
    return table


def stages(rounds: Mapping[str, Sequence[Stages]], labels: Labels) -> Table:
    """Medians of the time since the client's connect at which each stage was reached."""
    table = markdown("since the client connected", *(labels[name] for name in rounds))
    for stage, meaning in STAGES.items():
        columns = [[reached[stage] for reached in each if stage in reached] for each in rounds.values()]
        if stage in ASKED_OF_SYSTEMD and not any(columns):
            continue
        table.add_row(meaning, *(_milliseconds(median(column) if column else None) for column in columns))
    return table


def crowd(outcomes: Mapping[str, Sequence[Outcome]], labels: Labels) -> Table:
    """The worst round of each size; beside it the client that waited longest for its answer."""
    sizes = sorted({outcome.size for each in outcomes.values() for outcome in each})
    table = markdown("simultaneous first clients", *(f"{size:,}" for size in sizes))
    for name, each in outcomes.items():
        table.add_row(labels[name], *(_worst([o for o in each if o.size == size]) for size in sizes))
    return table


def memory(asleep: Mapping[str, list[Process]], awake: Mapping[str, list[Process]], labels: Labels) -> Table:
    table = markdown("memory of a service, RSS (PSS)", "asleep", "awake, one client", "of which (RSS, MB)")
    for name, processes in awake.items():
        table.add_row(labels[name], _total(asleep[name]), _total(processes), "; ".join(_each(processes)))
    return table


def markdown(subject: str, *columns: str) -> Table:
    table = Table(subject, box=box.MARKDOWN)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:,.0f} ms"


def _ratio(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def _worst(outcomes: Sequence[Outcome]) -> str:
    if not outcomes:
        return "-"
    served = min(outcome.served for outcome in outcomes)
    slowest = [outcome.slowest for outcome in outcomes if outcome.slowest is not None]
    return f"{served:,} served" + (f", slowest {max(slowest):.1f} s" if slowest else "")


def _total(processes: Sequence[Process]) -> str:
    if not processes:
        return "no process"
    return _megabytes(sum(process.rss for process in processes), sum(process.pss for process in processes))


def _each(processes: Iterable[Process]) -> Iterable[str]:
    return (f"{process.name} {process.rss / 1e6:.1f}" for process in processes)


def _megabytes(rss: int, pss: int) -> str:
    return f"{rss / 1e6:.1f} MB ({pss / 1e6:.1f})"
