"""The two units of a service that gives each connection a container: its socket, and the template behind it.

systemd accepts (`Accept=yes`) and starts an instance of the template for each
connection; the instance is the runtime's own program, with the connection as its
standard input and output. Nothing of ours runs in between.
"""

from __future__ import annotations

from typing import Final

from wakeport import sandbox, socket_unit
from wakeport.quoting import command
from wakeport.runtimes import choice
from wakeport.runtimes.per_connection import Start
from wakeport.service import Service
from wakeport.span import decimal
from wakeport.unit_file import NO_START_LIMIT, PYTHON, Settings, Unit, description

# Seconds for the removal of a container, with an Engine that is busy or has to come back first.
REMOVED_WITHIN: Final = 90

# What makes a container's name another for each connection: known before it is made, and legal. The
# instance's own name is not, with the colons of its addresses in it.
_ANOTHER_EACH_TIME: Final = "${INVOCATION_ID}"


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


def template(service: Service, removal: str) -> Unit:
    """`removal` is the program that removes a container."""
    each = choice.per_connection(service.runtime)
    assert each is not None, "refused where it was set"
    start: Start = each.start(service.asked)
    name = f"{start.name}{_ANOTHER_EACH_TIME}"
    return [
        (
            "Unit",
            [
                description(f"A container of {service.image} for a connection (wakeport {service.name})"),
                # Order only: an instance that could not even be asked for would close the port.
                *([("After", " ".join(start.after))] if start.after else []),
                ("CollectMode", "inactive-or-failed"),
                *NO_START_LIMIT,
            ],
        ),
        (
            "Service",
            [
                ("ExecStart", f"{command(*start.options)} {name} {command(*start.what)}"),
                # Whatever happened: who started it killed, its time over, the connection lost. Not the
                # runtime's own program for it, which would say the name to the client's connection.
                ("ExecStopPost", f"{command(PYTHON, '-IS', removal, f'runtime={service.runtime}')} {name}"),
                ("StandardInput", "socket"),
                ("StandardOutput", "socket"),
                ("StandardError", "journal"),
                ("RuntimeMaxSec", decimal(service.time_max.seconds)),
                # A program that, as the first of its container, ignores a SIGTERM would outlive it.
                ("KillSignal", "SIGKILL"),
                ("TimeoutStopSec", str(REMOVED_WITHIN)),
                ("SyslogIdentifier", f"wakeport-{service.name}"),
                ("SyslogLevelPrefix", "no"),
                *start.settings,
                *(sandbox.BOTH if start.confined else []),
            ],
        ),
    ]
