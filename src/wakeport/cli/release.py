"""wakeport release: let a service that is kept awake sleep when its time comes."""

from __future__ import annotations

import click

from wakeport import status
from wakeport.cli import keeping, options
from wakeport.cli.settled import load_shared
from wakeport.layout import Layout
from wakeport.systemd import Systemd


@click.command("release")
@options.one_service
@click.pass_obj
def verb(layout: Layout, name: str) -> None:
    """Keep NAME awake no longer, by hand or by the calendar (until its next window). Wakes nothing.

    Without clients its idle time begins now.
    """
    service = load_shared(layout, name)
    [report] = status.reports(layout, Systemd(layout.scope), [service])
    if not report["kept"]:
        click.echo(f"{name} is not kept")
        return
    keeping.said(layout, name, None)
    click.echo(f"{name} is released")
