"""wakeport check: does a settings file make sense?"""

from __future__ import annotations

from pathlib import Path

import click

from wakeport import preflight, service, user_rights
from wakeport.cli.settled import readable
from wakeport.errors import BadInput, NotThere
from wakeport.layout import Layout


@click.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def verb(layout: Layout, file: Path) -> None:
    """Check the settings in FILE, as if it stood in /etc/wakeport. Writes nothing, asks nobody."""
    try:
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
    except (FileNotFoundError, IsADirectoryError):
        raise NotThere(f"there is no file {file}", "wakeport check FILE") from None
    found = service.read(file.name.removesuffix(".toml"), text, str(file))
    # Of the other settings only what makes it no service at all: a circle. Whether a need is there is a
    # question to this machine, and the file may be meant for another.
    for fact, hint in preflight.circles(found, readable(layout)):
        raise BadInput(f"{file}: needs: {fact}", hint)
    preflight.manager_has(layout, found)
    unfit = user_rights.mistakes(found) if layout.scope.user else preflight.hidden_places(found)
    for fact, hint in unfit:
        raise BadInput(f"{file}: {fact}", hint)
    listeners = ", ".join(str(listener.on) for listener in found.listener)
    if found.per_connection:
        click.echo(f"{file} is fine: each connection to {listeners} gets a container of {found.image}")
        return
    click.echo(f"{file} is fine: {listeners or 'a lease'} wakes {found.container}")
