"""How `add` and `apply` make the units of one service follow its settings, or print what that would mean."""

from __future__ import annotations

import click

from wakeport import facts, needs, units
from wakeport.cli.settled import readable
from wakeport.install import lock
from wakeport.install.apply import apply
from wakeport.install.host import Host
from wakeport.install.plan import plan
from wakeport.layout import Layout
from wakeport.runtimes.container import Container
from wakeport.service import Service


def carry_out(
    layout: Layout,
    service: Service,
    container: Container | None,
    *,
    settings: str | None = None,
    dry_run: bool,
) -> bool:
    """Apply (or print) the way from what is on disk to `service`; whether there was anything to change."""
    needs_within = needs.seconds_before(service, readable(layout))
    known = facts.machine(layout, service, container, needs_within=needs_within)
    texts = units.units(service, known)
    if dry_run:
        intended = plan(layout, service.name, texts, settings)
        click.echo(intended.diff(layout), nl=False)
        return bool(intended.changes)
    with lock.held(layout):
        intended = plan(layout, service.name, texts, settings)
        apply(Host(layout), service, intended, units.supervisor_command(service, known))
    return bool(intended.changes)
