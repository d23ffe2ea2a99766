"""wakeport add: from a container to a port that wakes it."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from wakeport import facts, preflight, service, user_rights
from wakeport.cli import options
from wakeport.cli.carry_out import carry_out
from wakeport.cli.settled import readable
from wakeport.cli.way_past import tell_bypass
from wakeport.errors import BadInput
from wakeport.install.plan import refuse_existing
from wakeport.kinds import RUNTIMES
from wakeport.layout import Layout
from wakeport.listener import Listener
from wakeport.place import split_target
from wakeport.runtimes.container import Container
from wakeport.service import Service
from wakeport.targets import target
from wakeport.written import write


@click.command("add")
@options.one_service
@click.option(
    "--listen",
    "listeners",
    metavar="PLACE[=TARGET]",
    multiple=True,
    help="Where to listen: [ADDRESS:]PORT, 53/udp or /path.sock; behind '=' the container's port, "
    "or a socket's path. May be repeated.",
)
@click.option("--container", metavar="CONTAINER", help="The container to wake, where its name is not NAME.")
@click.option("--runtime", metavar="RUNTIME", help=f"What runs it: {', '.join(RUNTIMES)}.")
@click.option("--ready", metavar="HOW", help="When it is ready: connect, health, http:/path or exec:COMMAND.")
@click.option("--ready-within", metavar="SPAN", help="How long a wake may take until its clients hear no.")
@click.option("--doze", metavar="SPAN", help="How long after the last client it is frozen; default: never.")
@click.option("--idle", metavar="SPAN", help='How long after the last client it sleeps; "infinity": never.')
@click.option("--adopt", is_flag=True, help="Let it sleep even where a person has started it.")
@click.option(
    "--needs",
    metavar="SERVICE",
    multiple=True,
    help="Another service that is awake before it and for as long as it is. May be repeated.",
)
@click.option("--mode", metavar="MODE", help="Whose a container is: shared or per-connection.")
@click.option("--image", metavar="IMAGE", help="Per connection: of what each container is made.")
@click.option("--command", metavar="COMMAND", help="Per connection: what runs in it, if not the image's own.")
@click.option(
    "--pass-fd", is_flag=True, help="Hand the listening sockets over: the program takes its clients itself."
)
@click.option(
    "--bypass",
    is_flag=True,
    help="Let the kernel send new connections straight to it while it is awake.",
)
@click.option("--proxy", metavar="PROXY", help="Who relays: wakeport or systemd-socket-proxyd.")
@options.dry_run
@click.pass_obj
def verb(layout: Layout, /, name: str, listeners: tuple[str, ...], dry_run: bool, **settings: Any) -> None:
    """Make NAME a service: hold its ports, wake its container at the first connection.

    Writes /etc/wakeport/NAME.toml and four units, and starts the two sockets.
    The container stays as it is.

    Without --listen there are two units and one socket, that of the leases: it
    wakes by `wakeport wake`, or for a service that needs it.

    With --mode per-connection there is one socket and a template: each connection
    gets a container of its own, its standard input and output.
    """
    wanted = service.build(name, _as_written(listeners, settings))
    if not dry_run:
        preflight.require_root(layout, f"wakeport add {name} …")
    preflight.manager_has(layout, wanted)
    refuse_existing(layout, name)
    others = readable(layout)
    found = None
    if wanted.per_connection:
        facts.image(wanted.runtime, str(wanted.image))
    else:
        found = facts.container(layout, wanted.runtime, wanted.container)
    wanted = checked(layout, wanted, found, others)
    preflight.needs_fit(layout, wanted, others)
    carry_out(layout, wanted, found, settings=write(wanted), dry_run=dry_run)
    if not dry_run:
        report(layout, wanted, found)
        tell_bypass(layout, wanted, found)


def checked(layout: Layout, wanted: Service, found: Container | None, others: list[Service]) -> Service:
    """The service with every target said, where nothing speaks against it but maybe its needs.

    `found` is its container, None where it has none of its own. Raises BadInput and InTheWay.
    """
    refuse_existing(layout, wanted.name)
    if found is not None:
        wanted = _with_targets(wanted, found)
    preflight.host_fits(layout, wanted)
    if found is not None:
        preflight.container_fits(layout, wanted, found)
    preflight.other_services(layout, wanted, others)
    preflight.places_free([listener.on for listener in wanted.listener])
    return wanted


def _as_written(listeners: tuple[str, ...], settings: dict[str, Any]) -> dict[str, Any]:
    """The options as the settings file would have them."""
    written = {key: setting for key, setting in settings.items() if setting}
    written["listener"] = [listener_table(text) for text in listeners]
    return written


def listener_table(text: str) -> dict[str, Any]:
    """A value of --listen as the settings file has it. Raises BadInput."""
    try:
        place, target = split_target(text)
    except ValueError as error:
        raise BadInput(f"--listen: {error}", "wakeport add --help") from None
    return {"on": str(place)} | ({"to": target} if target else {})


def _with_targets(wanted: Service, container: Container) -> Service:
    """The same with every target said: a later apply must not need the container to be there."""
    if wanted.pass_fd:
        return wanted  # it leads nowhere
    exposed = tuple(container.exposed)
    said = [
        listener if listener.leads_to_path else _leading_to(listener, target(wanted, listener, exposed))
        for listener in wanted.listener
    ]
    return msgspec.structs.replace(wanted, listener=tuple(said))


def _leading_to(listener: Listener, port: str) -> Listener:
    return msgspec.structs.replace(listener, to=int(port.partition("/")[0]))


def _waker(wanted: Service, places: str) -> str:
    if not places:
        return f"it has no listener, so `wakeport wake {wanted.name}` or a service that needs it"
    kinds = {"datagram" if listener.on.udp else "connection" for listener in wanted.listener}
    return f"the first {' or '.join(sorted(kinds))} to {places}"


def report(layout: Layout, wanted: Service, container: Container | None) -> None:
    if layout.scope.user:
        for fact, hint in user_rights.not_lingering(layout.scope.user):
            click.echo(f"{fact}: {hint}", err=True)
    places = ", ".join(listener.on.path or f"port {listener.on}" for listener in wanted.listener)
    if container is None:
        click.echo(f"each connection to {places} gets a container of {wanted.image}")
        return
    if not container.running:
        click.echo(f"{wanted.name} is asleep; {_waker(wanted, places)} wakes it")
    elif wanted.adopt:
        last = f"client on {places}" if places else "lease"
        click.echo(f"{wanted.name} is running, and sleeps {wanted.idle} after its last {last}")
    else:
        stays = "stays up until you stop it; --adopt lets it sleep"
        click.echo(f"{wanted.name} is running, started by hand: {stays}")
    if container.starts_at_boot:
        advice = facts.advice(layout, wanted)
        click.echo(
            f"{advice.title} starts it at boot too ({container.starts_at_boot}); "
            f"to leave that to wakeport: {layout.scope.spoken(advice.leave_at_boot)}",
            err=True,
        )
