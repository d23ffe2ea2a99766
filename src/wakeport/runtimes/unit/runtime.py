"""How the supervisor handles a service of the host."""

from __future__ import annotations

from wakeport.runtimes.systemd.runtime import UnitRuntime
from wakeport.runtimes.unit.name import unit_of


class Runtime(UnitRuntime):
    def unit_of(self, name: str) -> str:
        return unit_of(name)
