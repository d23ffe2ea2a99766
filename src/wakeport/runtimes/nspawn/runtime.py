"""How the supervisor handles a machine of systemd-nspawn."""

from __future__ import annotations

from wakeport.runtimes.nspawn.group import PAYLOAD
from wakeport.runtimes.nspawn.name import unit_of
from wakeport.runtimes.nspawn.place import image
from wakeport.runtimes.systemd.machine import MachineRuntime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.loop import Loop
    from wakeport.runtimes.systemd.begin import Begun


# How systemd-nspawn ends where the machine asks for a reboot; its unit starts it again at that
# (RestartForceExitStatus=133).
REBOOT = 133


class Runtime(MachineRuntime):
    group = PAYLOAD

    def __init__(self, loop: Loop, name: str, begun: Begun | None = None) -> None:
        super().__init__(loop, name, begun)
        self.signals.stops_itself = True  # STOPPING=1, when what it watches has ended, in whatever way
        self.signals.told_by = REBOOT

    def unit_of(self, name: str) -> str:
        return unit_of(name)

    def find(self) -> None:
        image(self.name)
