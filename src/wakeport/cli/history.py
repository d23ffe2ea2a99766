"""wakeport history: each wake of a service, and what its sleep has saved."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any, Final

import click

from wakeport import history, journal
from wakeport.cli import options
from wakeport.cli.rows import print_rows
from wakeport.cli.settled import load
from wakeport.cli.status import COLOURS
from wakeport.layout import Layout
from wakeport.lease import ASLEEP, AWAKE, DOZING, FAILED, STOPPING, WAKING
from wakeport.scope import Scope
from wakeport.span import roughly
from wakeport.systemd import moment

# How a stage is told that ends with the one of this name.
STAGES: Final = {"called": "start call", "running": "running", "ready": "ready", "thawed": "thawed"}

IN_ORDER: Final = (ASLEEP, DOZING, AWAKE, WAKING, STOPPING, FAILED)

Report = dict[str, Any]


@click.command("history")
@options.some_services
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, one object a service.")
@click.option("--since", metavar="TIME", help="Only from then on, as in 'yesterday' or '-2h'.")
@click.pass_obj
def verb(layout: Layout, name: tuple[str, ...], as_json: bool, since: str | None) -> None:
    """Show each wake of NAME (or of all services), and what its sleep has saved, from the journal."""
    services = [load(layout, one).name for one in name] or layout.services()
    reports = _reports(layout.scope, services, 0.0 if since is None else moment(since))
    if as_json:
        click.echo(json.dumps(reports, indent=2))
    elif reports:
        _print(reports)
    else:
        hint = layout.scope.spoken("wakeport add NAME --listen PORT")
        click.echo(f"there are no services; make one: {hint}", err=True)


def _reports(scope: Scope, services: list[str], since: float) -> list[Report]:
    if not services:
        return []
    written = journal.entries(history.matches(services, scope), history.FIELDS, scope.options)
    found = history.by_service(written, services, scope)
    boots = journal.boots([entry.boot for entries in found.values() for entry in entries])
    return [history.report(service, entries, boots, since) for service, entries in found.items()]


def _print(reports: list[Report]) -> None:
    from rich.text import Text

    print_rows(
        [Text(report["name"]), Text(when), Text(what, style=COLOURS.get(colour, "")), *map(Text, rest)]
        for report in reports
        for colour, when, what, *rest in rows(report)
    )
    for report in reports:
        for line in totals(report):
            click.echo(f"{report['name']}  {line}")


def rows(report: Report) -> list[list[str]]:
    """A row for each wake and each failure in the order of time: colour, when, what, for whom, how."""
    found = [
        (wake["at"], [AWAKE, _when(wake["at"]), _woke(wake), _whom(wake["who"]), _stages(wake["stages"])])
        for wake in report["wakes"]
    ]
    found += [
        (failure["at"], [FAILED, _when(failure["at"]), FAILED, "", _plain(failure["reason"])])
        for failure in report["failures"]
    ]
    return [row for _at, row in sorted(found, key=lambda pair: pair[0])]


def totals(report: Report) -> list[str]:
    """How long it was in which state, and what that saved; one line each."""
    if report["since"] is None:
        return ["the journal has nothing of it"]
    spent = [
        f"{state} {roughly(seconds)}" for state in IN_ORDER if (seconds := report["seconds"].get(state, 0))
    ]
    memory, cpu = report["saved"]["memory_gib_hours"], report["saved"]["cpu_hours"]
    saved = [
        f"{_gib_hours(memory)} of memory" if memory is not None else "memory not known",
        f"{roughly(cpu * history.HOUR)} of processor time" if cpu is not None else "processor time not known",
    ]
    return [f"since {_when(report['since'])}: {', '.join(spent)}", f"saved: {', '.join(saved)}"]


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _woke(wake: Report) -> str:
    took = f" in {roughly(wake['seconds'])}" if wake["seconds"] is not None else ""
    return f"woke{took}" if wake["from"] == ASLEEP else f"woke from {wake['from']}{took}"


def _whom(who: list[str]) -> str:
    """Who came first, and whether others came with them."""
    return f"for {_plain(who[0])}{' and others' if len(who) > 1 else ''}" if who else ""


def _stages(stages: dict[str, float]) -> str:
    """What each stage took by itself."""
    ends = [("", 0.0), *sorted(stages.items(), key=lambda stage: stage[1])]
    return ", ".join(
        f"{STAGES.get(stage, stage)} {roughly(end - begin)}" for (_, begin), (stage, end) in pairwise(ends)
    )


def _plain(text: str) -> str:
    """Without what a terminal would obey: whoever may take a lease may call itself as it likes."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _gib_hours(amount: float) -> str:
    return f"{amount:,.1f} GiB h" if amount >= 1 else f"{amount * 1024:.1f} MiB h"
