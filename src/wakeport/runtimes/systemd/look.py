"""What the command line sees of a unit: root asks systemd itself, and who has one of their own asks that;
others ask over the message bus.
"""

from __future__ import annotations

import os

from wakeport.loop import Loop
from wakeport.runtimes.systemd.begin import SOCKET
from wakeport.runtimes.systemd.bus import Bus
from wakeport.runtimes.systemd.unit import WANTED, Unit, loaded, object_path

MESSAGE_BUS = "/run/dbus/system_bus_socket"


def look_at(unit: str, path: str = "") -> Unit:
    """`path` is the socket of a user's manager; empty for the system's. Raises RuntimeProblem."""
    loop = Loop()
    try:
        return loop.run(_look(loop, unit, path or (SOCKET if os.geteuid() == 0 else MESSAGE_BUS)))
    finally:
        loop.close()


async def _look(loop: Loop, unit: str, path: str) -> Unit:
    bus = Bus(loop, path=path)
    try:
        if bus.path == MESSAGE_BUS:
            await bus.hello()
        found = await bus.properties(object_path(unit), WANTED)
    finally:
        bus.close()
    return loaded(unit, found)
