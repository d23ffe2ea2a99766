"""The first act of a wake: ask the user's manager to start the service."""

from __future__ import annotations

from wakeport.runtimes.own import systemd_socket
from wakeport.runtimes.systemd import begin as systemd
from wakeport.runtimes.unit.name import unit_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.runtimes.systemd.begin import Begun


def begin(name: str) -> Begun:
    return systemd.begin(unit_of(name), systemd_socket())
