"""wakeport wake: wake a service as a client would, and wait until it is awake."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import click

from wakeport import needs
from wakeport.cli import options
from wakeport.cli.settled import load_shared, readable
from wakeport.errors import BadInput, NoRights, OutOfReach, Problem
from wakeport.layout import Layout
from wakeport.lease import AWAKE, FAILED, Decoder, Malformed, Message, encode
from wakeport.service import Service
from wakeport.span import Span, roughly

MARGIN = 15.0  # seconds beyond the service's own deadline; so long may systemd take to start the supervisor
BETWEEN = 0.1  # seconds before it asks again where a supervisor has just ended


@click.command("wake")
@options.one_service
@click.option(
    "--timeout", metavar="SPAN", help="How long to wait at most, instead of the service's deadline."
)
@click.pass_obj
def verb(layout: Layout, name: str, timeout: str | None) -> None:
    """Wake NAME, say what it waits for, and return when it is awake. It sleeps again when its time is up."""
    service = load_shared(layout, name)
    seconds = _seconds(timeout) if timeout else _deadline(layout, service)
    began = time.monotonic()
    said = ""
    for message in _messages(layout, name, began + seconds):
        if message.get("state") == AWAKE:
            click.echo(f"{name} is awake after {roughly(time.monotonic() - began)}")
            return
        if message.get("state") == FAILED:
            after = roughly(float(message.get("retry_after") or 0))
            raise Problem(
                f"{name} failed to wake: {message.get('reason')}",
                f"the next attempt is made in {after} at the earliest; wakeport logs {name} tells more",
            )
        waits_for = str(message.get("waits_for") or "")
        if waits_for and waits_for != said:
            said = waits_for
            click.echo(f"waits for {waits_for}", err=True)
    pending = f"; it waits for {said}" if said else ""
    raise Problem(
        f"{name} is not awake after {roughly(seconds)}{pending}", f"wakeport logs {name} tells more"
    )


def _deadline(layout: Layout, service: Service) -> float:
    """Its own, behind those of what it needs."""
    return needs.seconds_before(service, readable(layout)) + service.ready_within.seconds + MARGIN


def _seconds(text: str) -> float:
    try:
        return Span.parse(text).seconds
    except ValueError as error:
        raise BadInput(f"--timeout: {error}", "wakeport wake --help") from None


def _messages(layout: Layout, name: str, until: float) -> Iterator[Message]:
    """What the supervisor says on a lease, and then its successor, until the time `until`."""
    while time.monotonic() < until:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as lease:
            _connect(lease, str(layout.lease(name)), name)
            yield from _heard(lease, until)
        time.sleep(BETWEEN)


def _connect(lease: socket.socket, path: str, name: str) -> None:
    try:
        lease.connect(path)
        lease.sendall(encode({"who": "wakeport wake"}))
    except PermissionError:
        raise NoRights(
            f"{path} is closed to you", f"root and the group wakeport may wake: sudo wakeport wake {name}"
        ) from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise OutOfReach(
            f"nobody listens on {path}", f"systemctl start wakeport-{name}-container.socket"
        ) from None
    except BrokenPipeError:
        return  # it is about to say why, or to end


def _heard(lease: socket.socket, until: float) -> Iterator[Message]:
    decoder = Decoder()
    while (left := until - time.monotonic()) > 0:
        lease.settimeout(left if left < float("inf") else None)
        try:
            data = lease.recv(65536)
            messages = decoder.feed(data)
        except (TimeoutError, ConnectionResetError, Malformed):
            return
        if not data:
            return
        yield from messages
