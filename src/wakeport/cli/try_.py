"""wakeport try: the whole idea with any program, in the foreground; Ctrl-C undoes all of it."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import Any

import click

from wakeport import service
from wakeport.errors import BadInput
from wakeport.foreground import directory, door, program
from wakeport.foreground.minder import minded
from wakeport.foreground.stage import Stage, teller
from wakeport.kinds import Ready
from wakeport.place import Place
from wakeport.service import Service

STDOUT = 1

NAMELESS = "program"  # where the program's own name is none for a service


@click.command("try", context_settings={"allow_interspersed_args": False})
@click.argument("words", nargs=-1, required=True, metavar="PROGRAM...")
@click.option(
    "--listen",
    metavar="[ADDRESS:]PORT",
    default="8080",
    help="Where to listen; without an address for this machine alone. Default: 8080.",
)
@click.option("--ready", metavar="HOW", help="When it is ready: connect, http:/path or exec:COMMAND.")
@click.option("--ready-within", metavar="SPAN", help="How long a wake may take until its clients hear no.")
@click.option("--doze", metavar="SPAN", help="How long after the last client it is frozen; default: never.")
@click.option("--idle", metavar="SPAN", default="10s", help="How long after the last client it is ended.")
def verb(words: tuple[str, ...], listen: str, **settings: Any) -> None:
    """Hold a port in the foreground, and start PROGRAM at the first connection. Ctrl-C undoes all of it.

    "{port}" in the words of PROGRAM becomes the port that it is to listen on. Takes no root, no systemd and
    no Docker.
    """
    path = program.resolved(words)
    place = door.place_of(listen)
    port = program.free_port()
    wanted = _service(words[0], place, port, settings)
    listener = door.opened(place)
    with listener, directory.made([path, *(program.filled(word, port) for word in words)]) as folder:
        tell = teller(STDOUT)

        def work() -> int:
            stage = Stage(wanted, folder, listener, {**os.environ, "PORT": str(port)}, tell)
            tell(f"port {place.port} is open, and no process is behind it; open {door.address(place)} now")
            return stage.run()

        code = minded(work)
    if code:
        raise click.exceptions.Exit(code)


def _service(word: str, place: Place, port: int, settings: dict[str, Any]) -> Service:
    """What the options say, as a settings file would. Raises BadInput."""
    written: dict[str, Any] = {key: setting for key, setting in settings.items() if setting}
    if "ready" in written:
        written["ready"] = program.filled(written["ready"], port)
    written["listener"] = [{"on": str(place), "to": port}]
    wanted = service.build(_name(word), written)
    if wanted.ready == Ready("health"):
        raise BadInput("--ready: a program has no HEALTHCHECK", "connect, http:/path or exec:COMMAND")
    return wanted


def _name(word: str) -> str:
    name = PurePath(word).name
    try:
        service.build(name, {})
    except BadInput:
        return NAMELESS
    return name
