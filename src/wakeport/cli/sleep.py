"""wakeport sleep: put a service to sleep now."""

from __future__ import annotations

import time

import click

from wakeport import facts, status
from wakeport.cli import options
from wakeport.cli.settled import load_shared
from wakeport.errors import InTheWay, NoRights
from wakeport.layout import Layout
from wakeport.lease import ASLEEP, AWAKE, DOZING
from wakeport.service import Service
from wakeport.systemd import Systemd
from wakeport.units import names

NAMED = 5  # clients that are named; of more, their number says enough

# Seconds. The proxy waits 0.1 until it gives the lease up, and the supervisor 0.2 until it publishes that.
SETTLES_WITHIN = 0.6


@click.command("sleep")
@options.one_service
@click.option("--force", is_flag=True, help="Also where it is kept, or serves clients: they are cut off.")
@click.pass_obj
def verb(layout: Layout, name: str, force: bool) -> None:
    """Put NAME to sleep, and return when it is asleep. Whoever connects later wakes it again."""
    systemd = Systemd(layout.scope)
    service = load_shared(layout, name)
    [report] = status.reports(layout, systemd, [service])
    if report["state"] == ASLEEP:
        _refuse_one_started_by_hand(layout, service)
        click.echo(f"{name} is asleep already")
        return
    if report["state"] in (AWAKE, DOZING) and not report["owned"]:
        raise _started_by_hand(layout, service)
    if report["kept"] and not force:
        kept = status.told_of_keep(report["kept"], time.time())
        raise InTheWay(f"{name} is {kept}", f"release it: wakeport release {name}")
    busy = [] if force else _live_clients(layout, name)
    if busy:
        more = f" and {len(busy) - NAMED} more" if len(busy) > NAMED else ""
        raise InTheWay(
            f"{name} serves {', '.join(busy[:NAMED])}{more}", f"cut them off: wakeport sleep --force {name}"
        )
    systemd.stop(names(name).supervisor)
    click.echo(f"{name} is asleep")


def _live_clients(layout: Layout, name: str) -> list[str]:
    """Who is being served, as far as that is still so when the news of who has left is through."""
    until = time.monotonic() + SETTLES_WITHIN
    while True:
        found = status.clients(status.published(layout, name).get("leases", []))
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.05)


def _refuse_one_started_by_hand(layout: Layout, service: Service) -> None:
    try:
        found = facts.container_or_none(layout, service.runtime, service.container)
    except NoRights:
        return  # who may not ask the runtime could not have stopped it either
    if found is not None and found.running:
        raise _started_by_hand(layout, service)


def _started_by_hand(layout: Layout, service: Service) -> InTheWay:
    return InTheWay(
        f"container {service.container} was started by hand, and stays up until you stop it",
        f"{facts.advice(layout, service).stop}; or adopt = true in the settings lets wakeport do it",
    )
