"""What is followed beside a wake, as long as the runtime lets us: the container's output and its changes."""

from __future__ import annotations

import time

from wakeport.loop import Future, Loop, Task, any_of, now
from wakeport.runtimes.changes import FROZEN, LISTENING, THAWED
from wakeport.runtimes.problems import RuntimeProblem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wakeport.runtimes.container import Container
    from wakeport.runtimes.interface import Runtime

STDOUT = 1  # the journal, under the container's unit

# Seconds before a lost stream is opened again. A runtime that a person stops is
# started again by systemd at the first call, so containers that end with it get
# the time to end; where they live on, the log has kept what we missed.
RETRY_AFTER = 12.0


class Output:
    """The container's output, on its way to the journal, to the last line; a gap is filled from its log.

    Where no copy is under way, all of it from before `copied_until` (epoch) is there.
    """

    def __init__(
        self, loop: Loop, runtime: Runtime, container: Container, copied_until: float, ended: Task[None]
    ) -> None:
        self.loop = loop
        self.runtime = runtime
        self.container = container
        self.copied_until = copied_until
        self.ended = ended
        self.to_the_end = loop.spawn(self._copy())

    async def _copy(self) -> None:
        while True:
            try:
                await self.runtime.copy_output(self.container, self.copied_until, STDOUT)
            except RuntimeProblem:
                pass  # it is away
            self.copied_until = time.time()
            pause = self.loop.spawn(self.loop.sleep(RETRY_AFTER))
            await any_of(self.ended, pause)
            if self.ended.done:
                pause.cancel()
                return


class Changes:
    """What the runtime has told of the container, see runtimes/changes.py; `on_change()` hears of each.

    `frozen` is its last word on that, None where it has said nothing since somebody took it. `missed` says
    that there may have been one that nobody heard. `since` is when the one or the other began (monotonic).
    """

    def __init__(self, loop: Loop, runtime: Runtime, on_change: Callable[[], None]) -> None:
        self.loop = loop
        self.runtime = runtime
        self.on_change = on_change
        self.told: set[str] = set()
        self.frozen: bool | None = None
        self.missed = False
        self.since = 0.0
        self.deaf = False
        self.next: Future[None] = Future()

    async def follow(self) -> None:
        """Listen for as long as the loop runs."""
        while True:
            try:
                await self.runtime.changes(self._hear)
            except RuntimeProblem:
                pass  # it is away
            self.told.discard(LISTENING)
            if not self.deaf:
                self.deaf, self.since = True, now()
            self._stir()
            await self.loop.sleep(RETRY_AFTER)

    @property
    def listening(self) -> bool:
        """Whether the runtime is there and tells; where it goes away its containers may end with it."""
        return LISTENING in self.told

    def forget(self) -> None:
        """What was told so far is of the past; but what was frozen while it woke is so now."""
        self.told &= {LISTENING}

    async def hear(self, *words: str) -> None:
        """Return when one of `words` has been told, or when nothing can be told any more."""
        while self.listening and not self.told.intersection(words):
            self.next = Future()
            await self.next

    def _hear(self, word: str) -> None:
        self.told.add(word)
        if word in (FROZEN, THAWED):
            self.frozen, self.since = word == FROZEN, now()
        elif word == LISTENING and self.deaf:
            self.deaf, self.missed = False, True
        self._stir()

    def _stir(self) -> None:
        self.next.set(None)
        self.on_change()
