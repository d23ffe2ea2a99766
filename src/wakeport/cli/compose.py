"""wakeport compose: from a Compose project to a port that wakes it."""

from __future__ import annotations

from typing import Any

import click

from wakeport import compose, facts, preflight, service
from wakeport.cli import options
from wakeport.cli.add import checked, listener_table, report
from wakeport.cli.carry_out import carry_out
from wakeport.cli.settled import readable
from wakeport.errors import BadInput
from wakeport.layout import Layout
from wakeport.runtimes.container import Container
from wakeport.service import Service
from wakeport.written import write


@click.command("compose")
@click.argument("project")
@click.option(
    "--listen",
    "listeners",
    metavar="PLACE=SERVICE[:TARGET]",
    multiple=True,
    required=True,
    help="Where to listen, for which service of the project, and its container's port. May be repeated.",
)
@click.option(
    "--without", metavar="SERVICE", multiple=True, help="A service to leave alone. May be repeated."
)
@click.option("--doze", metavar="SPAN", help="As of `add`, for the services that listen.")
@click.option("--idle", metavar="SPAN", help="As of `add`, for the services that listen.")
@options.dry_run
@click.pass_obj
def verb(
    layout: Layout,
    /,
    project: str,
    listeners: tuple[str, ...],
    without: tuple[str, ...],
    dry_run: bool,
    **common: Any,
) -> None:
    """Make the containers of a Compose project services, which wake together at the first connection.

    Each is called PROJECT-SERVICE. What one depends on it needs, so it is awake
    before; what is to be healthy is ready when its HEALTHCHECK says so. Who has
    no listener and whom nobody depends on wakes with those that listen.
    """
    if not dry_run:
        preflight.require_root(layout, f"wakeport compose {project} …")
    members = facts.members(layout, project)
    given = {key: value for key, value in common.items() if value}
    made = compose.services(project, members, _by_service(listeners), without, given)
    containers = {member.container.name: member.container for member in members}
    for remark in made.remarks:
        click.echo(remark, err=True)
    for wanted, found in _all_checked(layout, made.services, containers):
        carry_out(layout, wanted, found, settings=write(wanted), dry_run=dry_run)
        if not dry_run:
            report(layout, wanted, found)


def _by_service(listeners: tuple[str, ...]) -> dict[str, list[dict[str, Any]]]:
    """The tables of the listeners by the service of the project that each is for."""
    found: dict[str, list[dict[str, Any]]] = {}
    for text in listeners:
        place, _, rest = text.partition("=")
        name, _, target = rest.partition(":")
        if not name:
            raise BadInput(f"--listen: {text!r} names no service of the project", "write --listen 80=web")
        found.setdefault(name, []).append(listener_table(f"{place}={target}" if target else place))
    return found


def _all_checked(
    layout: Layout, made: dict[str, dict[str, Any]], containers: dict[str, Container]
) -> list[tuple[Service, Container]]:
    """All of them, before the first is made: what is wrong with one must leave none behind."""
    others = readable(layout)
    found = []
    for name, settings in made.items():
        container = containers[settings["container"]]
        wanted = checked(layout, service.build(name, settings), container, others)
        others.append(wanted)
        found.append((wanted, container))
    return found
