"""How the supervisor handles a machine of systemd-nspawn."""

from __future__ import annotations

from wakeport.runtimes.nspawn.group import PAYLOAD
from wakeport.runtimes.nspawn.name import unit_of
from wakeport.runtimes.nspawn.place import image
from wakeport.runtimes.systemd.machine import MachineRuntime


class Runtime(MachineRuntime):
    group = PAYLOAD

    def unit_of(self, name: str) -> str:
        return unit_of(name)

    def find(self) -> None:
        image(self.name)
