"""wakeport units: the four units of a service, printed."""

from __future__ import annotations

import click

from wakeport import facts, units
from wakeport.cli import options
from wakeport.cli.settled import load
from wakeport.layout import Layout


@click.command("units")
@options.one_service
def verb(name: str) -> None:
    """Print the units that the settings of NAME ask for. Writes nothing."""
    layout = Layout()
    service = load(layout, name)
    known = facts.machine(layout, service.name, facts.container_or_none(service.container))
    for unit, text in units.units(service, known).items():
        click.echo(f"# {layout.inside(layout.unit(unit))}\n{text}")
