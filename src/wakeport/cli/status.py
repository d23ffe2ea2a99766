"""wakeport status: what each service is doing."""

from __future__ import annotations

import json
import time
from typing import Final

import click

from wakeport import per_connection_status, status
from wakeport.cli import options
from wakeport.cli.rows import print_rows
from wakeport.cli.settled import chosen, load
from wakeport.errors import Problem
from wakeport.layout import Layout
from wakeport.lease import ASLEEP, AWAKE, DOZING, FAILED, STOPPING, WAKING
from wakeport.per_connection import PER_CONNECTION
from wakeport.service import Service
from wakeport.span import roughly
from wakeport.status import Report
from wakeport.systemd import Systemd

COLOURS: Final = {
    ASLEEP: "bright_black",
    WAKING: "yellow",
    AWAKE: "green",
    DOZING: "cyan",
    STOPPING: "yellow",
    FAILED: "red",
}


@click.command("status")
@options.some_services
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, one object a service.")
@click.pass_obj
def verb(layout: Layout, name: tuple[str, ...], as_json: bool) -> None:
    """Show the state of each NAME (or of all services). Wakes nothing."""
    services, problem = _loaded(layout, chosen(layout, name))
    reports = status.reports(layout, Systemd(layout.scope), services)
    if as_json:
        click.echo(json.dumps(reports, indent=2))
    elif reports:
        _print(reports)
    elif problem is None:
        hint = layout.scope.spoken("wakeport add NAME --listen PORT")
        click.echo(f"there are no services; make one: {hint}", err=True)
    if problem is not None:
        raise problem


def _loaded(layout: Layout, names: list[str]) -> tuple[list[Service], Problem | None]:
    """The services, and the first problem: settings that somebody broke must not hide the others."""
    services = []
    first: Problem | None = None
    for name in names:
        try:
            services.append(load(layout, name))
        except Problem as problem:
            first = first or problem
    return services, first


def _print(reports: list[Report]) -> None:
    from rich.text import Text

    now = time.time()
    rows = []
    for report in reports:
        name, listeners, *rest = cells(report, now)
        state = Text(report["state"], style=COLOURS.get(report["state"], ""))
        rows.append([Text(name), Text(listeners), state, *map(Text, rest)])
    print_rows(rows)


def cells(report: Report, now: float) -> list[str]:
    """A row of the table, but for the state: name, listeners, since when, how it woke, what comes next."""
    listeners = " ".join(_place(listener["on"]) for listener in report["listeners"])
    since = f"{roughly(max(0.0, now - report['since']))} ago" if report["since"] else ""
    woke = ""
    if report["last_wake"] and report["state"] in (AWAKE, DOZING, STOPPING):
        woke = f"woke in {roughly(report['last_wake']['seconds'])}"
    return [report["name"], listeners, since, woke, _what_next(report, now)]


def _place(on: str) -> str:
    return f":{on}" if on.removesuffix("/udp").isdecimal() else on


def _what_next(report: Report, now: float) -> str:
    if report["state"] == WAKING and report["waits_for"]:
        return f"waits for {report['waits_for']}"
    if report["failure"]:
        reason, retry_at = report["failure"]["reason"], report["failure"]["retry_at"]
        if retry_at and retry_at > now:
            return f"{reason}; next attempt in {roughly(retry_at - now)}"
        return f"{reason}; the next client makes the next attempt" if retry_at else str(reason)
    if report["mode"] == PER_CONNECTION:
        return per_connection_status.told(report["connections"])
    if report["state"] not in (AWAKE, DOZING):
        return ""
    if not report["owned"]:
        return "started by hand, stays up"
    if report["kept_awake_by"]:
        return "; ".join(report["kept_awake_by"])
    dozes, sleeps = report["dozes_in"], report["sleeps_in"]
    coming = [f"dozes in {roughly(dozes)}"] if dozes is not None and report["state"] == AWAKE else []
    coming += [f"sleeps in {roughly(sleeps)}"] if sleeps is not None else []
    coming += [f"not stopped under {holder}" for holder in status.resting(report["leases"], now)]
    never = "never sleeps" if report["idle"] == "infinity" else ""
    return ", ".join(coming) or never
