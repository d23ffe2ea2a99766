"""The benchmark's tables: Markdown that says who was not served, and where no figure is known."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from bench import tables
from bench.crowd import Outcome
from bench.figures import summary
from bench.memory import Process

LABELS = {"bare": "bare start", "recipe": "original recipe", "web": "wakeport"}


def rows(table: Table) -> list[list[str]]:
    """The cells of the rendered table, without its head."""
    console = Console(width=200, file=None)
    with console.capture() as captured:
        console.print(table)
    lines = [line.strip() for line in captured.get().splitlines() if line.strip().startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_cold_starts_are_told_in_milliseconds_and_ratios() -> None:
    figures = summary({"bare": [0.2, 0.2], "recipe": [1.2, None]}, "bare")
    assert rows(tables.cold(figures, LABELS)) == [
        ["bare start", "200 ms", "1.00", "1.00", "200 ms", "200 ms", "0 of 2"],
        ["original recipe", "1,200 ms", "6.00", "6.00", "1,200 ms", "1,200 ms", "1 of 2"],
    ]


def test_a_crowd_is_told_by_its_worst_round() -> None:
    outcomes = {"web": [Outcome(200, 200, 0.4, {}), Outcome(200, 199, 0.3, {"ECONNRESET": 1})]}
    assert rows(tables.crowd(outcomes, LABELS)) == [["wakeport", "199 served, slowest 0.4 s"]]


def test_a_crowd_of_whom_nobody_was_served_has_no_slowest() -> None:
    outcomes = {"recipe": [Outcome(2000, 0, None, {"ECONNREFUSED": 2000})]}
    assert rows(tables.crowd(outcomes, LABELS)) == [["original recipe", "0 served"]]


def test_stages_that_were_not_reached_are_left_open() -> None:
    stages = {"web": [{"process": 0.007, "first byte": 0.2}, {}]}
    assert [row[1] for row in rows(tables.stages(stages, LABELS))] == ["7 ms", "-", "-", "-", "200 ms"]


def test_memory_is_told_as_a_whole_and_by_process() -> None:
    awake = {"web": [Process("proxy", 11_000_000, 5_000_000), Process("supervisor", 12_000_000, 6_000_000)]}
    assert rows(tables.memory({"web": []}, awake, LABELS)) == [
        ["wakeport", "no process", "23.0 MB (11.0)", "proxy 11.0; supervisor 12.0"]
    ]
