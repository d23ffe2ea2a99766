"""wakeport units: the units of a service, printed."""

from __future__ import annotations

import click

from wakeport import facts, needs, units
from wakeport.cli import options
from wakeport.cli.settled import load, readable
from wakeport.layout import Layout


@click.command("units")
@options.one_service
@click.pass_obj
def verb(layout: Layout, name: str) -> None:
    """Print the units that the settings of NAME ask for. Writes nothing."""
    service = load(layout, name)
    container = facts.container_or_none(layout, service.runtime, service.container)
    needs_within = needs.seconds_before(service, readable(layout))
    known = facts.machine(layout, service, container, needs_within=needs_within)
    for unit, text in units.units(service, known).items():
        click.echo(f"# {layout.inside(layout.unit(unit))}\n{text}")
