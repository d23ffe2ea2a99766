"""wakeport remove: give the ports back, and leave nothing behind."""

from __future__ import annotations

import click

from wakeport import preflight
from wakeport.cli import options
from wakeport.cli.settled import readable
from wakeport.errors import NotThere
from wakeport.install import lock
from wakeport.install.host import Host
from wakeport.install.plan import removal
from wakeport.install.remove import remove
from wakeport.layout import Layout
from wakeport.service import check_name


@click.command("remove")
@options.one_service
@options.dry_run
@click.pass_obj
def verb(layout: Layout, name: str, dry_run: bool) -> None:
    """Remove the service NAME: its ports, its units, its settings.

    A container that wakeport woke is stopped; one that was started by hand stays
    up. With the last service go the programs and the user wakeport, too.
    """
    check_name(name)
    intended = removal(layout, name)
    if not intended.changes:
        raise NotThere(f"there is no service {name}", "wakeport status lists what there is")
    preflight.needed_by_none(name, readable(layout))
    if dry_run:
        click.echo(intended.diff(layout), nl=False)
        return
    preflight.require_root(layout, f"wakeport remove {name}")
    with lock.held(layout):
        kept = remove(Host(layout), removal(layout, name))
    click.echo(f"{name} is removed")
    for path in kept:
        click.echo(f"your own {path} is still there")
