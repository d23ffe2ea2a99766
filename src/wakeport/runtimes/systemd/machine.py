"""How the supervisor handles a container whose unit runs a program that keeps watch over it.

What systemd says holds for that program. The container's own processes are below it, in a group of their
own, and that group alone is frozen: the program has to answer systemd's watchdog, which kills it otherwise
(systemd-nspawn@.service: after 3 minutes; measured with 252).
"""

from __future__ import annotations

from wakeport.loop import any_of
from wakeport.runtimes.cgroup import group_of
from wakeport.runtimes.changes import ORDERED
from wakeport.runtimes.first_process import first_process
from wakeport.runtimes.freezer import is_frozen, set_frozen, write_frozen
from wakeport.runtimes.problems import Refused
from wakeport.runtimes.program import name_of, process_ended
from wakeport.runtimes.systemd.runtime import UnitRuntime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wakeport.runtimes.cgroup import OwnGroup
    from wakeport.runtimes.container import Container
    from wakeport.runtimes.systemd.unit import Unit

NOT_THERE = 1  # what a command says for whose container there is no process; its end is told elsewhere
LOOK_EVERY = 0.002  # seconds, for a first process that is not there yet; a look at proc costs 0.05 ms


def below(unit: Unit, group: OwnGroup) -> Unit:
    """The container, by what systemd says of its unit; `group` is how its own cgroup is found."""
    unit.group = group
    unit.pid = first_process(unit.main_pid) if unit.main_pid else 0
    directory = group_of(unit.pid, own=group) if unit.pid else None
    unit.paused = unit.paused or (directory is not None and is_frozen(directory))
    return unit


class MachineRuntime(UnitRuntime):
    """`group` is how the container's own cgroup is found."""

    group: OwnGroup

    def seen(self, unit: Unit) -> Unit:
        if not unit.running:
            self.find()
        return below(unit, self.group)

    def find(self) -> None:
        """Raises Missing where there is no such container: a unit is there for every name."""
        raise NotImplementedError

    async def start(self) -> bool:
        fresh = await super().start()
        # Where systemd calls the unit started before the container is there, as that of LXC.
        while True:
            found = await self.look()
            if found.pid or not found.running:
                self.just_seen = found
                return fresh
            changed = self.since_look
            # To ask systemd each time would take the processor from the container that starts.
            while not (changed.done or first_process(found.main_pid)):
                await any_of(changed, self.loop.spawn(self.loop.sleep(LOOK_EVERY)))

    def is_in_place(self, unit: Unit) -> bool:
        """Until it executes a program of its own, it is a copy of whoever watches over it."""
        return name_of(unit.pid) not in ("", name_of(unit.main_pid))

    async def freeze(self, container: Container) -> None:
        directory = group_of(container.pid, own=self.group)
        if directory is None:
            raise Refused("it has no cgroup2 of its own")
        frozen = self.loop.spawn(set_frozen(self.loop, directory, True))
        ended = self.loop.spawn(process_ended(self.loop, container.pid))
        try:
            await any_of(frozen, ended)
            if not frozen.done:
                raise Refused("it has ended")
            await frozen
        finally:
            frozen.cancel()
            ended.cancel()

    async def thaw(self, container: Container) -> None:
        """Whoever froze it, and whether it was the container or its whole unit."""
        self.has_thawed = True
        try:
            await self.bus.call("ThawUnit", self.unit)
        except Refused:
            pass  # it was not the unit
        directory = group_of(container.pid, own=self.group)
        if directory is not None:
            await set_frozen(self.loop, directory, False)

    async def unfreeze_to_end(self, unit: Unit) -> None:
        """What it ends by goes to the program that watches over it, which is not frozen."""
        await self.thaw(unit)

    async def changes(self, tell: Callable[[str], None]) -> None:
        def hear(word: str) -> None:
            if word == ORDERED:
                self._let_it_end()
            tell(word)

        await self.signals.follow(hear)

    def _let_it_end(self) -> None:
        """Frozen it would not hear that it is to end, and systemd knows nothing of that."""
        directory = self.freezer.directory
        if directory is not None and is_frozen(directory):
            try:
                write_frozen(directory, False)
            except OSError:
                pass  # it is gone

    async def execute(self, command: str) -> int:
        if not (await self.look()).pid:
            return NOT_THERE
        return await super().execute(command)

    def inside(self, unit: Unit) -> list[str]:
        """As root of the container."""
        return ["nsenter", f"--target={unit.pid}", "--all", "--root", "--wd", "--"]
