"""wakeport diff: what apply would change."""

from __future__ import annotations

import click

from wakeport import facts, units
from wakeport.cli import options
from wakeport.cli.settled import chosen, load
from wakeport.install.plan import plan
from wakeport.layout import Layout

DIFFERENT = 1  # as diff(1) has it


@click.command("diff")
@options.some_services
def verb(name: tuple[str, ...]) -> None:
    """Show how the units of each NAME (or of all services) differ from what their settings ask for.

    Exits 1 where they differ, 0 where not.
    """
    layout = Layout()
    different = False
    for service in [load(layout, one) for one in chosen(layout, name)]:
        known = facts.machine(layout, service.name, facts.container_or_none(service.container))
        intended = plan(layout, service.name, units.units(service, known))
        click.echo(intended.diff(layout), nl=False)
        different = different or bool(intended.changes)
    if different:
        raise click.exceptions.Exit(DIFFERENT)
