"""How the supervisor handles a plain program: start, stop, freeze, and hear of its end.

It is a child of this process, so there is nobody else to ask. Where the supervisor crashes, who has
started it (`wakeport try`) ends the program, and the successor starts it anew.
"""

from __future__ import annotations

from wakeport.light import signal
from wakeport.loop import Future, Loop
from wakeport.runtimes.cgroup import OwnGroup
from wakeport.runtimes.changes import ENDED, KILLED, LISTENING, ORDERED, STARTED
from wakeport.runtimes.container import Container
from wakeport.runtimes.network import LOOPBACK
from wakeport.runtimes.problems import Refused
from wakeport.runtimes.process.begin import Begun, begin
from wakeport.runtimes.process.child import Child
from wakeport.runtimes.program import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from wakeport.runtimes.container import Target


class Program(Container):
    # It is in a group with whoever has started `wakeport try`, whose figures are not its own.
    group = OwnGroup(lambda _parts: False)

    def __init__(self, name: str, child: Child | None) -> None:
        self.id = self.name = name
        if child is None:
            return
        self.running = not child.over.done
        self.paused = self.running and child.frozen
        self.pid = child.pid if self.running else 0
        self.started_at = child.started_at
        self.exit_code = child.code
        if child.code < 0:
            self.exit_code = 128 - child.code  # as shells say it
            self.error = f"killed by signal {-child.code}"


class Runtime:
    def __init__(self, loop: Loop, words: str, begun: Begun | None = None) -> None:
        self.loop = loop
        self.words = words
        self.has_thawed = False
        self.asked = False
        self.begun: Begun | None = None
        self.child: Child | None = None
        self.tell: Callable[[str], None] = _to_nobody
        if begun is not None:
            self._take(begun)

    def _take(self, begun: Begun) -> None:
        self.begun, self.asked = begun, True
        if begun.pid:
            self.child = Child(self.loop, begun.pid, begun.at)
            self.loop.spawn(self._follow(self.child))

    async def start(self) -> bool:
        if self.child is not None and self.begun is None and not self.child.over.done:
            self.has_thawed = self.child.frozen
            await self.thaw(await self.look())
            return False
        self.has_thawed = False
        if self.begun is None:
            self._take(begin(self.words))
        begun, self.begun = self.begun, None
        assert begun is not None, "just begun"
        if begun.error is not None:
            raise Refused(f"{begun.path or self.words} cannot be executed: {begun.error.strerror}")
        self.tell(STARTED)
        return True

    async def look(self, _name: str = "") -> Container:
        return Program(self.words, self.child)

    async def exists(self, _container_id: str) -> bool:
        return True

    async def targets(self, _container: Container, ports: list[str]) -> dict[str, Target]:
        return {port: (LOOPBACK, int(port.partition("/")[0])) for port in ports}

    def behind(self, _container: Container, _port: str, target: Target) -> Target:
        return target

    async def freeze(self, _container: Container) -> None:
        if self.child is not None:
            self.child.frozen = True
            self.child.signal(signal.SIGSTOP)

    async def thaw(self, _container: Container) -> None:
        if self.child is not None:
            self.child.frozen = False
            self.child.signal(signal.SIGCONT)

    async def stop(self, container: Container) -> None:
        child = self.child
        if child is None or child.over.done:
            return
        self.tell(ORDERED)
        child.signal(signal.SIGTERM)
        child.signal(signal.SIGCONT)  # it could not hear the first while it is frozen
        try:
            await self.loop.within(container.stop_timeout, child.end())
        except TimeoutError:
            child.signal(signal.SIGKILL)
            await child.end()

    async def ended(self, _container: Container) -> None:
        if self.child is not None:
            await self.child.end()

    async def end(self, _container: Container) -> Container:
        return await self.look()

    async def changes(self, tell: Callable[[str], None]) -> None:
        self.tell = tell
        tell(LISTENING)
        never: Future[None] = Future()
        await never

    async def _follow(self, child: Child) -> None:
        await child.end()
        if child.code == -signal.SIGKILL:
            self.tell(KILLED)
        self.tell(ENDED)

    def detach(self) -> None:
        """Its output is not copied: it has our own."""

    async def copy_output(self, container: Container, _since: float, _to: int) -> None:
        await self.ended(container)

    def output_facts(self) -> dict[str, Any]:
        return {}

    def go_on_with_output(self, facts: dict[str, Any]) -> None:
        """Nothing is ever under way."""

    async def execute(self, command: str) -> int:
        import shlex  # only readiness by command needs it

        return await run(self.loop, shlex.split(command))


def _to_nobody(_word: str) -> None:
    return
