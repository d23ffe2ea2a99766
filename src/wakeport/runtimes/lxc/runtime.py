"""How the supervisor handles a container of LXC."""

from __future__ import annotations

from wakeport.runtimes.lxc.config import directory, refuse_where_unit_does_not_run_it
from wakeport.runtimes.lxc.group import PAYLOAD
from wakeport.runtimes.lxc.name import unit_of
from wakeport.runtimes.systemd.machine import MachineRuntime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.runtimes.systemd.unit import Unit


class Runtime(MachineRuntime):
    group = PAYLOAD

    def unit_of(self, name: str) -> str:
        return unit_of(name)

    def find(self) -> None:
        directory(self.name)
        refuse_where_unit_does_not_run_it(self.name)

    def inside(self, _unit: Unit) -> list[str]:
        return ["lxc-attach", f"--name={self.name}", "--"]
