"""The first act of a wake: ask systemd to start the machine."""

from __future__ import annotations

from wakeport.runtimes.nspawn.name import unit_of
from wakeport.runtimes.systemd import begin as systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.runtimes.systemd.begin import Begun


def begin(name: str) -> Begun:
    return systemd.begin(unit_of(name))
