"""How the supervisor handles a container of LXC."""

from __future__ import annotations

from wakeport.runtimes.lxc.config import directory, refuse_where_unit_does_not_run_it
from wakeport.runtimes.lxc.group import PAYLOAD
from wakeport.runtimes.lxc.name import unit_of
from wakeport.runtimes.problems import Refused
from wakeport.runtimes.systemd.machine import MachineRuntime
from wakeport.runtimes.systemd.program import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.loop import Loop
    from wakeport.runtimes.container import Container
    from wakeport.runtimes.systemd.begin import Begun
    from wakeport.runtimes.systemd.unit import Unit


class Runtime(MachineRuntime):
    group = PAYLOAD

    def __init__(self, loop: Loop, name: str, begun: Begun | None = None) -> None:
        super().__init__(loop, name, begun)
        # Told to end or killed: lxc-start says the same of both (5.0), and hands on what else it exits with.
        self.signals.ordered_status = 0

    def unit_of(self, name: str) -> str:
        return unit_of(name)

    async def start(self) -> bool:
        if self.begun is None or not self.begun.started:
            await self.look()  # raises Refused where it runs beside its unit
        return await super().start()

    def find(self) -> None:
        directory(self.name)
        refuse_where_unit_does_not_run_it(self.name)

    async def freeze(self, _container: Container) -> None:
        """Through its monitor, or LXC would not know of it: it could neither say so nor undo it."""
        if await run(self.loop, ["lxc-freeze", f"--name={self.name}"]) != 0:
            raise Refused(f"lxc-freeze -n {self.name} failed")

    async def thaw(self, container: Container) -> None:
        await run(self.loop, ["lxc-unfreeze", f"--name={self.name}"])
        await super().thaw(container)  # where it was frozen in another way

    def _let_it_end(self) -> None:
        self.loop.spawn(run(self.loop, ["lxc-unfreeze", f"--name={self.name}"]))
        super()._let_it_end()

    def inside(self, _unit: Unit) -> list[str]:
        return ["lxc-attach", f"--name={self.name}", "--"]
