"""How a container that nobody here stopped came to its end, and whether somebody brings it back."""

from __future__ import annotations

from wakeport.loop import Future, Loop, Task, any_of
from wakeport.runtimes.changes import ENDED, KILLED, ORDERED, OUT_OF_MEMORY, STARTED
from wakeport.supervisor.chronicle import Changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.runtimes.interface import Runtime

TOLD_WITHIN = 2.0  # seconds for the runtime to tell how a container came to its end
BACK_WITHIN = 2.0  # seconds in which a container that ended may come back by another's hand


class End:
    """Waits for what the runtime tells, unless `told_to_stop` is set."""

    def __init__(self, loop: Loop, runtime: Runtime, changes: Changes, told_to_stop: Future[None]) -> None:
        self.loop = loop
        self.runtime = runtime
        self.changes = changes
        self.told_to_stop = told_to_stop

    async def was_ordered(self) -> bool:
        """Whether a person, a tool or the runtime's own end made it end, and not a fault of its own."""
        told = self.loop.spawn(self.changes.hear(ENDED))
        await self._first(told, self._wait(TOLD_WITHIN))
        if KILLED in self.changes.told and OUT_OF_MEMORY not in self.changes.told:
            return True  # kill(1) from outside: hardly a container does that to itself
        return ORDERED in self.changes.told or not self.changes.listening

    async def was_by_hand(self) -> bool:
        """Whether somebody wants it to be asleep; the end of the runtime itself is no such word."""
        await self._first(self.loop.spawn(self.changes.hear(ENDED)), self._wait(TOLD_WITHIN))
        return ORDERED in self.changes.told and self.changes.listening

    async def is_undone(self, lease_fd: int) -> bool:
        """Whether somebody else starts it again within moments; no client on `lease_fd` waits for that."""
        # Only the runtime's own word makes us ask it: where it is being stopped, a question
        # would have systemd start it again.
        started = self.loop.spawn(self.changes.hear(STARTED))
        client = self.loop.spawn(self.loop.readable(lease_fd))
        await self._first(started, client, self._wait(BACK_WITHIN))
        return STARTED in self.changes.told and (await self.runtime.look()).running

    def _wait(self, seconds: float) -> Task[None]:
        return self.loop.spawn(self.loop.sleep(seconds))

    async def _first(self, *tasks: Task[None]) -> None:
        """Wait for the first of `tasks`, or for the word to stop; the others are given up."""
        await any_of(*tasks, self.told_to_stop)
        for task in tasks:
            task.cancel()
