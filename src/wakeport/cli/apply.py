"""wakeport apply: make the units follow the settings."""

from __future__ import annotations

import click

from wakeport import facts, needs, preflight
from wakeport.cli import options
from wakeport.cli.carry_out import carry_out
from wakeport.cli.settled import chosen, load, readable
from wakeport.cli.telling import tell
from wakeport.cli.way_past import tell_bypass
from wakeport.errors import Problem
from wakeport.install.plan import listened_before
from wakeport.layout import Layout
from wakeport.service import Service


@click.command("apply")
@options.some_services
@options.dry_run
@click.pass_obj
def verb(layout: Layout, name: tuple[str, ...], dry_run: bool) -> None:
    """Make the units of each NAME (or of all services) follow /etc/wakeport/NAME.toml.

    Also takes over a newer version of wakeport: a supervisor that runs changes to
    it and keeps its container; a proxy that runs hands its clients to the newer
    one, and none of them notices.
    """
    if not dry_run:
        preflight.require_root(layout, "wakeport apply")
    first: Problem | None = None
    for one in needs.in_order(chosen(layout, name), readable(layout)):
        try:
            changed = _apply(layout, load(layout, one), dry_run)
        except Problem as problem:
            # One that cannot follow is no reason for others to stay behind.
            first = first or problem
            tell(problem, about=one, to_user=bool(layout.scope.user))
            continue
        if not dry_run:
            click.echo(f"{one}: {'applied' if changed else 'nothing to change'}")
    if first is not None:
        raise click.exceptions.Exit(first.code)


def _apply(layout: Layout, service: Service, dry_run: bool) -> bool:
    preflight.host_fits(layout, service)
    others = readable(layout)
    found = None
    if service.per_connection:
        preflight.needed_by_none(service.name, others)
    else:
        found = facts.container_or_none(layout, service.runtime, service.container)
    if found is not None:
        preflight.container_fits(layout, service, found)
    preflight.other_services(layout, service, others)
    preflight.needs_fit(layout, service, others)
    before = listened_before(layout, service.name)
    preflight.places_free([one.on for one in service.listener if str(one.on) not in before])
    changed = carry_out(layout, service, found, dry_run=dry_run)
    if not dry_run:
        tell_bypass(layout, service, found)
    return changed
