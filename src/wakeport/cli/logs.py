"""wakeport logs: what the container, its supervisor and its proxy have written."""

from __future__ import annotations

import os
import sys

import click

from wakeport import facts
from wakeport.cli import options
from wakeport.cli.settled import load
from wakeport.errors import OutOfReach
from wakeport.layout import Layout
from wakeport.service import Service
from wakeport.units import names


@click.command("logs")
@options.one_service
@click.option("-f", "--follow", is_flag=True, help="Go on printing what is written from now on.")
@click.option("-n", "--lines", metavar="LINES", type=click.IntRange(min=0), help="Only the last LINES lines.")
@click.pass_obj
def verb(layout: Layout, name: str, follow: bool, lines: int | None) -> None:
    """Show the journal of NAME: its container's output, and what its supervisor and proxy say."""
    service = load(layout, name)
    asked = _of_each_connection(name) if service.per_connection else _units(layout, service)
    command = ["journalctl", *layout.scope.options, *asked]
    if follow:
        command.append("--follow")
    if lines is not None:
        command.append(f"--lines={lines}")
    sys.stdout.flush()
    try:
        os.execvp(command[0], command)
    except FileNotFoundError:
        raise OutOfReach("this machine has no journalctl", "apt install systemd") from None


def _units(layout: Layout, service: Service) -> list[str]:
    called = names(service.name)
    units = [called.supervisor, called.proxy, called.keeper, *facts.journal(layout, service)]
    return [f"{layout.scope.unit_option}={unit}" for unit in units]


def _of_each_connection(name: str) -> list[str]:
    """By their slice: `--unit` looks for what a pattern fits once, and would follow no later instance.

    And what systemd says of the socket, whose limits it keeps.
    """
    called = names(name)
    return [f"_SYSTEMD_SLICE={called.slice}", "+", "_PID=1", f"UNIT={called.socket}"]
