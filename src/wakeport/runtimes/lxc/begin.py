"""The first act of a wake: ask systemd to start the container."""

from __future__ import annotations

from wakeport.runtimes.lxc.name import runs, unit_of
from wakeport.runtimes.systemd import begin as systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.runtimes.systemd.begin import Begun


def begin(name: str) -> Begun:
    """Nothing where it runs: started beside one of a person's, the unit would fail, and stop that one."""
    return systemd.Begun() if runs(name) else systemd.begin(unit_of(name))
