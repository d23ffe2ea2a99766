"""wakeport diff: what apply would change."""

from __future__ import annotations

import click

from wakeport import facts, needs, units
from wakeport.cli import options
from wakeport.cli.settled import chosen, load, readable
from wakeport.cli.telling import tell
from wakeport.errors import Problem
from wakeport.install.plan import Plan, plan
from wakeport.layout import Layout
from wakeport.service import Service

DIFFERENT = 1  # as diff(1) has it


@click.command("diff")
@options.some_services
@click.pass_obj
def verb(layout: Layout, name: tuple[str, ...]) -> None:
    """Show how the units of each NAME (or of all services) differ from what their settings ask for.

    Exits 1 where they differ, 0 where not.
    """
    code = 0
    for one in chosen(layout, name):
        try:
            intended = _intended(layout, load(layout, one))
        except Problem as problem:
            # One that cannot be read is no reason to say nothing of the others.
            code = problem.code
            tell(problem, about=one, to_user=bool(layout.scope.user))
            continue
        click.echo(intended.diff(layout), nl=False)
        code = code or (DIFFERENT if intended.changes else 0)
    if code:
        raise click.exceptions.Exit(code)


def _intended(layout: Layout, service: Service) -> Plan:
    container = facts.container_or_none(layout, service.runtime, service.container)
    needs_within = needs.seconds_before(service, readable(layout))
    known = facts.machine(layout, service, container, needs_within=needs_within)
    return plan(layout, service.name, units.units(service, known))
