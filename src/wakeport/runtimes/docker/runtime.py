"""How the supervisor handles a Docker container: start, look, stop, and hear of its end and its changes."""

from __future__ import annotations

from wakeport.light import json, socket
from wakeport.loop import Loop, now
from wakeport.runtimes.changes import (
    ENDED,
    FROZEN,
    KILLED,
    LISTENING,
    ORDERED,
    OTHER,
    OUT_OF_MEMORY,
    STARTED,
    THAWED,
)
from wakeport.runtimes.container import need_address, targets_at
from wakeport.runtimes.docker.begin import SOCKET, Begun, start_path
from wakeport.runtimes.docker.container import CONNECT, Inspected, unreachable_network
from wakeport.runtimes.docker.engine import TITLE, Engine, Exchange, quoted
from wakeport.runtimes.docker.output import Stream
from wakeport.runtimes.problems import Missing, Refused
from wakeport.runtimes.program import process_ended

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from typing import Any

    from wakeport.runtimes.container import Container, Target

# https://docs.docker.com/reference/cli/docker/system/events
WORDS = {
    "start": STARTED,
    "die": ENDED,
    "pause": FROZEN,
    "unpause": THAWED,
    "oom": OUT_OF_MEMORY,
    "kill": ORDERED,
    "stop": ORDERED,
    "destroy": ORDERED,
}
SIGKILLED = "137"  # 128 + 9, the exit code of a container that a SIGKILL ended

END_WITHIN = 2.0  # seconds for the Engine to see that a container has ended
ASK_EVERY = 0.01  # seconds, meanwhile; a restart policy waits ten times as long, so no end is missed
STOP_MARGIN = 15.0  # seconds beyond the container's own stop timeout, for the Engine to kill and clean up

# Networks whose driver need not be asked for, at a call each.
OF_DOCKER = frozenset({"bridge", "host", "none"})


class Runtime:
    """One container, by its name. Every call raises Unreachable, Missing or Refused.

    What stands first is what others have differently who speak as the Engine does.
    """

    path = SOCKET
    title = TITLE
    connect = CONNECT
    own_networks = OF_DOCKER
    refuses_frozen = 409  # the answer to the start of one that is paused
    inspected = Inspected

    def __init__(self, loop: Loop, name: str, begun: Begun | None = None) -> None:
        self.loop = loop
        self.name = name
        self.engine = Engine(loop, self.path, self.title)
        self.begun = begun or Begun()
        self.attached = self._exchange(self.begun.attached, self.begun.answer)
        self.starting = self._exchange(self.begun.started)
        self.output: Stream | None = None  # under way
        self.left_off: dict[str, Any] = {}  # of an older self's
        self.has_thawed = False
        self.asked = self.starting is not None  # to start it: that may yet happen, whatever came of the call

    def _exchange(self, raw: _socket.socket | None, received: bytes = b"") -> Exchange | None:
        return self.engine.exchange(socket.socket(fileno=raw.detach()), received) if raw else None

    async def start(self) -> bool:
        """Finish the start call that `begin` sent, or make it. False where the container ran already.

        One that was frozen is thawed; `has_thawed` says whether that was so.
        """
        self.has_thawed = False
        if self.begun.error is not None:
            raise self.engine.unreachable(self.begun.error) from self.begun.error
        if self.attached is not None:
            await self.attached.head()
        exchange = self.starting or await self.engine.send("POST", start_path(self.name))
        self.starting, self.asked = None, True
        try:
            if await exchange.head() < 400:
                return exchange.status != 304
            refusal = await self.engine.refusal(exchange)
        finally:
            exchange.close()
        # Since then somebody may have thawed it.
        if exchange.status == self.refuses_frozen and (found := await self.look()).running:
            await self.thaw(found)
            return False
        raise refusal

    async def freeze(self, container: Container) -> None:
        """Take the processor from all its processes, and leave them their memory and their connections.

        Through the Engine, so that `docker ps` shows it. Its health turns to "unhealthy" by that, also for a
        while after.
        """
        try:
            await self.engine.call("POST", f"/containers/{container.id}/pause")
        except Refused:
            # The Engine refuses what somebody else has frozen.
            if not (await self.look(container.id)).paused:
                raise

    async def thaw(self, container: Container) -> None:
        """Go on with it where `freeze` stopped it; nothing to do where it runs."""
        try:
            await self._thaw(container.id)
        except (Missing, Refused):
            # The Engine refuses what runs already, and what has ended; the latter `ended` tells.
            if (await self.look(container.id)).paused:
                raise

    async def _thaw(self, container: str) -> None:
        self.has_thawed = True
        await self.engine.call("POST", f"/containers/{container}/unpause")

    async def look(self, name: str = "") -> Inspected:
        return self.inspected(await self.engine.inspect(name or self.name))

    async def exists(self, container_id: str) -> bool:
        try:
            await self.look(container_id)
        except Missing:
            return False
        return True

    async def targets(self, container: Container, ports: list[str]) -> dict[str, Target]:
        """Where each of `ports` answers: "80/tcp" on the container's own address, "/app.sock" on the host."""
        assert isinstance(container, Inspected), "only what was looked at has been started"
        return targets_at(ports, await self._address(container) if need_address(ports) else "")

    def behind(self, _container: Container, _port: str, target: Target) -> Target:
        return target

    async def _address(self, owner: Inspected) -> str:
        while owner.shares_network_of:
            owner = await self.look(owner.shares_network_of)
        known = set(owner.networks) <= self.own_networks
        drivers = {} if known else await self.engine.drivers(owner.networks)
        address = owner.address(drivers)
        if address is None:
            why = (
                unreachable_network(owner.network_mode, drivers, self.connect)
                or "it has no address on any network"
            )
            raise Refused(f'container "{owner.name}" cannot be reached: {why}')
        return address

    async def ended(self, container: Container) -> None:
        """Return when the container's first process has ended.

        That is seen at once, and also while the Engine itself is away.
        """
        if container.pid:  # else it had ended before it was looked at
            await process_ended(self.loop, container.pid)

    async def end(self, container: Container) -> Container:
        """How it ended. The Engine learns of that some milliseconds after `ended`, so it is asked again."""
        # It has a call for that, /wait, which says nothing while a restart policy brings the container back.
        until = now() + END_WITHIN
        while (found := await self.look(container.id)).running and not found.restarting and now() < until:
            await self.loop.sleep(ASK_EVERY)
        return found

    async def stop(self, container: Container) -> None:
        """Stop it and return when it has stopped; nothing to do where it is gone or stopped already."""
        try:
            # Engine 20.10 thaws a container that it stops, others were seen to wait for it for ever.
            if (await self.look(container.id)).paused:
                await self.thaw(container)
            await self.engine.call(
                "POST", f"/containers/{container.id}/stop", within=container.stop_timeout + STOP_MARGIN
            )
        except Missing:
            return

    async def start_watcher(self, unit: str) -> None:
        raise Refused(f"{unit} has nothing to watch: a container gets no socket")

    def detach(self) -> None:
        """Give the attachment up: what is to be copied began before it."""
        if self.attached is not None:
            self.attached.close()
            self.attached = None

    async def copy_output(self, container: Container, since: float, to: int) -> None:
        """Copy what the container writes to descriptor `to`, until the container or the Engine ends.

        Taken from where an older self left off, or from the attachment that `begin` made, the first time;
        else from the Engine's own log, from `since` (epoch seconds) on.
        """
        if self.left_off:
            stream, self.left_off = self._gone_on_with(self.left_off, to), {}
        else:
            stream = Stream(self.loop, await self._opened(container, since), to, container.tty)
        self.output = stream
        try:
            await stream.copy()
        finally:
            if self.output is stream:
                self.output = None
            stream.exchange.close()

    async def _opened(self, container: Container, since: float) -> Exchange:
        exchange, self.attached = self.attached, None
        if exchange is None or exchange.status >= 400:
            query = f"follow=1&stdout=1&stderr=1&since={since:.9f}"
            exchange = await self.engine.open("GET", f"/containers/{container.id}/logs?{query}")
        return exchange

    def _gone_on_with(self, facts: dict[str, Any], to: int) -> Stream:
        exchange = self.engine.exchange(socket.socket(fileno=facts["fd"]))
        return Stream.handed_over(self.loop, exchange, to, facts)

    def output_facts(self) -> dict[str, Any]:
        return self.output.facts() if self.output is not None else self.left_off

    def go_on_with_output(self, facts: dict[str, Any]) -> None:
        self.left_off = facts

    async def changes(self, tell: Callable[[str], None]) -> None:
        """Tell every event of a container of this name, in the words of changes.py, until the Engine goes."""
        stream = await self.engine.open("GET", self.events_path())
        tell(LISTENING)
        await self.follow(stream, tell)

    def events_path(self) -> str:
        filters = quoted(json.dumps({"type": ["container"], "container": [self.name]}))
        return f"/events?filters={filters}"

    async def follow(self, stream: Exchange, tell: Callable[[str], None]) -> None:
        pending = b""
        try:
            while data := await stream.read():
                *lines, pending = (pending + data).split(b"\n")
                for event in map(json.loads, filter(None, lines)):
                    # The Engine's filter matches by prefix: "web" hears of "web2" too.
                    if event["Actor"]["Attributes"].get("name") == self.name:
                        for word in await self.told(event):
                            tell(word)
        finally:
            stream.close()

    async def told(self, event: dict[str, Any]) -> list[str]:
        """What an event says in the words of changes.py."""
        killed = event["Actor"]["Attributes"].get("exitCode") == SIGKILLED
        return [*([KILLED] if killed else []), WORDS.get(event["Action"], OTHER)]

    async def execute(self, command: str) -> int:
        """The exit code of `command` run inside the container, without a shell; its output is dropped."""
        import shlex  # only readiness by command needs it

        made = await self.engine.call(
            "POST",
            f"/containers/{self.name}/exec",
            {"Cmd": shlex.split(command), "AttachStdout": True, "AttachStderr": True},
        )
        output = await self.engine.open("POST", f"/exec/{made['Id']}/start", {"Detach": False, "Tty": False})
        try:
            await output.body()
        finally:
            output.close()
        result = await self.engine.call("GET", f"/exec/{made['Id']}/json")
        return int(result["ExitCode"])
