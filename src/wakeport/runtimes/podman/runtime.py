"""How the supervisor handles a Podman container: what Podman does otherwise than the Docker Engine."""

from __future__ import annotations

import time

from wakeport.loop import Future, Loop
from wakeport.runtimes.changes import ENDED, KILLED, LISTENING, ORDERED, OUT_OF_MEMORY, STARTED
from wakeport.runtimes.docker.runtime import Runtime as DockerRuntime
from wakeport.runtimes.podman.begin import SOCKET, TITLE
from wakeport.runtimes.podman.by_hand import is_stopping
from wakeport.runtimes.podman.container import CONNECT, PodmanInspected
from wakeport.runtimes.problems import Refused, RuntimeProblem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from wakeport.runtimes.container import Container
    from wakeport.runtimes.docker.begin import Begun

ORDERS = {"restart", "remove"}  # podman-events(1); "stop" is there too, and 4.3 never says it
CLEANED = "cleanup"  # by what watches over a container, and where a person stops it by that as well
OBEYED = "0"  # which may be its own will, or that of a client of Podman's socket, whom nobody sees
SIGTERMED = "143"  # 128 + 15, the exit code of a container that a SIGTERM ended: hardly its own


class Runtime(DockerRuntime):
    path = SOCKET
    title = TITLE
    connect = CONNECT
    own_networks = frozenset({"podman"})
    refuses_frozen = 500
    inspected = PodmanInspected

    def __init__(self, loop: Loop, name: str, begun: Begun | None = None) -> None:
        super().__init__(loop, name, begun)
        self.start_is_over: Future[None] = Future()
        if self.starting is None:
            self.start_is_over.set(None)
        self.ended_by_hand = False
        self.end_seen = 0  # nanoseconds since 1970
        self.untold: list[str] = []  # of its end, as long as it is open whether that was ordered
        self.cleaned = 0
        self.seen_running = 0  # nanoseconds since 1970: when it was last looked at and ran

    async def start(self) -> bool:
        """Where it is being stopped, Podman refuses to start it: then right after its end."""
        try:
            while True:
                try:
                    return await super().start()
                except Refused:
                    found = await self.look()
                    if not found.stopping:
                        raise
                    await self.ended(found)
                    await self.end(found)
        finally:
            self.start_is_over.set(None)

    async def look(self, name: str = "") -> PodmanInspected:
        at = time.time_ns()
        found = await super().look(name)
        assert isinstance(found, PodmanInspected), "made by `inspected`"
        if found.running and found.name == self.name:
            self.seen_running = at
        return found

    async def ended(self, container: Container) -> None:
        self.end_seen = 0
        await super().ended(container)
        self.end_seen, self.ended_by_hand = time.time_ns(), is_stopping()

    async def changes(self, tell: Callable[[str], None]) -> None:
        """Podman answers this call only when there is something to tell, and then from `since` on.

        So it need not be made while the first client waits: Podman would search the journal beside the start.
        """
        since = time.time_ns()
        tell(LISTENING)
        await self.start_is_over
        path = f"{self.events_path()}&since={since // 10**9}.{since % 10**9:09d}"
        stream = await self.engine.send("GET", path)
        try:
            if await stream.head() >= 400:
                raise await self.engine.refusal(stream)
        except BaseException:
            stream.close()
            raise
        await self.follow(stream, tell)

    async def told(self, event: dict[str, Any]) -> list[str]:
        if event["Action"] in ORDERS:
            return self._told_that_it_was_ordered()
        if event["Action"] == CLEANED and self.untold:
            # The second is by who has stopped it.
            self.cleaned += 1
            return self._told_that_it_was_ordered() if self.cleaned > 1 else []
        words = await super().told(event)
        # Its events come through the journal, up to a second late: what is known already is no news.
        if words[-1] in (STARTED, ENDED) and event["timeNano"] < self.seen_running:
            return []
        if STARTED in words:
            self.untold = []
        if ENDED in words:
            exit_code = event["Actor"]["Attributes"].get("exitCode")
            if self.ended_by_hand or exit_code == SIGTERMED:
                words.insert(0, ORDERED)
            elif KILLED in words:
                if await self._was_out_of_memory():
                    words.insert(0, OUT_OF_MEMORY)
            elif exit_code == OBEYED or (self.end_seen or time.time_ns()) > event["timeNano"]:
                self.untold, self.cleaned = words, 0
                return []
        return words

    def _told_that_it_was_ordered(self) -> list[str]:
        """And what is known by that of an end of which it was open, or seen too late to look for who did."""
        words, self.untold = [ORDERED, *self.untold], []
        return words

    async def _was_out_of_memory(self) -> bool:
        """There is no event for that."""
        try:
            return (await self.look()).out_of_memory
        except RuntimeProblem:
            return False
