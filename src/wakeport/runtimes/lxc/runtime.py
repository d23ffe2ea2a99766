"""How the supervisor handles a container of LXC."""

from __future__ import annotations

from wakeport.runtimes.freezer import WITHIN
from wakeport.runtimes.lxc.config import directory, refuse_where_unit_does_not_run_it
from wakeport.runtimes.lxc.group import PAYLOAD
from wakeport.runtimes.lxc.name import unit_of
from wakeport.runtimes.problems import Refused
from wakeport.runtimes.program import run
from wakeport.runtimes.systemd.machine import MachineRuntime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.runtimes.container import Container
    from wakeport.runtimes.systemd.unit import Unit


class Runtime(MachineRuntime):
    group = PAYLOAD

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
        if await self._tool("lxc-freeze") != 0:
            raise Refused(f"lxc-freeze -n {self.name} failed")

    async def thaw(self, container: Container) -> None:
        await self._tool("lxc-unfreeze")
        await super().thaw(container)  # where it was frozen in another way

    async def _tool(self, program: str) -> int:
        """Its exit code. Raises Refused: it waits for ever where the container ends meanwhile (5.0)."""
        try:
            return await self.loop.within(WITHIN, run(self.loop, [program, f"--name={self.name}"]))
        except TimeoutError:
            raise Refused(f"{program} -n {self.name} has not come back within {WITHIN:.0f} s") from None

    def _let_it_end(self) -> None:
        self.loop.spawn(self._unfreeze())
        super()._let_it_end()

    async def _unfreeze(self) -> None:
        try:
            await self._tool("lxc-unfreeze")
        except Refused:
            pass  # it ends in another way

    def inside(self, _unit: Unit) -> list[str]:
        return ["lxc-attach", f"--name={self.name}", "--"]
