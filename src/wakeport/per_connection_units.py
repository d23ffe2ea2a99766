"""The two units of a service that gives each connection a container: its socket, and the template behind it.

systemd accepts (`Accept=yes`) and starts an instance of the template for each
connection; the instance is the runtime's own client, with the connection as its
standard input and output. Nothing of ours runs in between.
"""

from __future__ import annotations

import shlex
from typing import Final

from wakeport import sandbox, socket_unit
from wakeport.per_connection import CLIENTS
from wakeport.quoting import command
from wakeport.service import Service
from wakeport.span import decimal
from wakeport.unit_file import NO_START_LIMIT, PYTHON, Settings, Unit, description

# Seconds for the removal of a container, with an Engine that is busy or has to come back first.
REMOVED_WITHIN: Final = 90

# What a program that writes to no volume may need, in memory and small: see read_only.
SCRATCH: Final = "/tmp:size=64M"  # of the container


def socket(service: Service) -> Unit:
    """Whoever is too many is accepted and closed at once; the port itself stays open."""
    places = ", ".join(str(listener.on) for listener in service.listener)
    limits: Settings = [
        ("Accept", "yes"),
        ("MaxConnections", str(int(service.connections_max))),
        ("MaxConnectionsPerSource", str(int(service.connections_max_per_source))),
    ]
    about = f"{places}: a container of {service.image} for each connection (wakeport {service.name})"
    return socket_unit.unit(about, [*socket_unit.listening(service), *limits])


def template(service: Service, removal: str, after: tuple[str, ...]) -> Unit:
    """`removal` is the program that removes a container, `after` the units of its runtime."""
    return [
        (
            "Unit",
            [
                description(f"A container of {service.image} for a connection (wakeport {service.name})"),
                # Order only: an instance that could not even be asked for would close the port.
                *([("After", " ".join(after))] if after else []),
                ("CollectMode", "inactive-or-failed"),
                *NO_START_LIMIT,
            ],
        ),
        (
            "Service",
            [
                ("Type", "exec"),
                ("ExecStart", f"{command(*_run(service))} {_name(service)} {command(*_what(service))}"),
                # Whatever happened: its client killed, its time over, the connection lost. Not `docker rm`,
                # which would say the name to its standard output, and that is the client's connection.
                (
                    "ExecStopPost",
                    f"{command(PYTHON, '-IS', removal, f'runtime={service.runtime}')} {_name(service)}",
                ),
                ("StandardInput", "socket"),
                ("StandardOutput", "socket"),
                ("StandardError", "journal"),
                ("RuntimeMaxSec", decimal(service.time_max.seconds)),
                # It would pass a SIGTERM on to a program that, as the first of its container, may ignore it.
                ("KillSignal", "SIGKILL"),
                ("TimeoutStopSec", str(REMOVED_WITHIN)),
                ("SyslogIdentifier", f"wakeport-{service.name}"),
                ("SyslogLevelPrefix", "no"),
                *sandbox.BOTH,
            ],
        ),
    ]


def _name(service: Service) -> str:
    """The container's name: known before it is made, legal for Docker, another for each connection.

    The instance's own name is not: it has the colons of its addresses in it.
    """
    return f"--name=wakeport-{service.name}-${{INVOCATION_ID}}"


def _run(service: Service) -> list[str]:
    return [
        *(CLIENTS[service.runtime], "run", "--rm", "--interactive"),
        # To fetch an image, or to keep on disk what a stranger is told, is nothing that a client may cause.
        *("--pull=never", "--log-driver=none", "--no-healthcheck"),
        f"--label=wakeport={service.name}",
        # From systemd, as inetd's successors have it; a Unix socket has none.
        *("--env=REMOTE_ADDR", "--env=REMOTE_PORT"),
        f"--network={service.network}",
        "--security-opt=no-new-privileges",
        f"--pids-limit={int(service.processes_max)}",
        *(
            [f"--memory={service.memory_max}", f"--memory-swap={service.memory_max}"]
            if service.memory_max
            else []
        ),
        *([f"--cpus={service.cpu_max.part:g}"] if service.cpu_max else []),
        *(["--read-only", f"--tmpfs={SCRATCH}"] if service.read_only else []),
    ]


def _what(service: Service) -> list[str]:
    return [str(service.image), *shlex.split(service.command or "")]
