"""How the supervisor handles a unit of systemd: start, look, freeze, stop, and hear of its end."""

from __future__ import annotations

import time

from wakeport.light import socket
from wakeport.loop import Future, Loop, any_of
from wakeport.runtimes.cgroup import group_of
from wakeport.runtimes.container import need_address, targets_at
from wakeport.runtimes.freezer import Freezer
from wakeport.runtimes.network import LOOPBACK, address
from wakeport.runtimes.problems import Missing, Refused, Unreachable
from wakeport.runtimes.program import ids, name_of, process_ended, run
from wakeport.runtimes.systemd.begin import SOCKET, START, Begun
from wakeport.runtimes.systemd.bus import Bus
from wakeport.runtimes.systemd.signals import FORGOTTEN, Signals
from wakeport.runtimes.systemd.unit import WANTED, Unit, loaded, object_path, stamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from wakeport.runtimes.container import Container, Target

BY_SYSTEMD = ("systemd-run", "--quiet", "--wait", "--collect", "--")

STOP_MARGIN = 15.0  # seconds beyond the unit's own TimeoutStopSec=
END_WITHIN = 2.0  # seconds for systemd to see that a process has ended
LOOK_EVERY = 0.002  # seconds, for an address that is not there yet; a look costs 0.1 ms


class UnitRuntime:
    """One unit, by the name that its runtime gives it. Every call raises Unreachable, Missing or Refused.

    `by_systemd` is how a command is run by systemd instead of by us.

    What differs between a plain service, a machine and an LXC container is in methods that their own
    modules replace.
    """

    by_systemd: tuple[str, ...] = BY_SYSTEMD

    def __init__(self, loop: Loop, name: str, begun: Begun | None = None) -> None:
        self.loop = loop
        self.name = name
        self.unit = self.unit_of(name)
        self.path = object_path(self.unit)
        self.begun = begun
        raw = begun.connection if begun else None
        self.bus = Bus(
            loop,
            socket.socket(fileno=raw.detach()) if raw else None,
            begun.heard if begun else b"",
            self.systemd_socket(),
        )
        self.signals = Signals(self.bus, self.unit, self.path)
        self.freezer = Freezer(loop, lambda word: self.signals.tell(word))
        self.since_look = self.signals.changed()  # done at the next signal behind the last look's begin
        self.has_thawed = False
        self.asked = begun is not None and begun.started
        self.just_seen: Unit | None = None  # by `start`, for who looks behind it

    def unit_of(self, name: str) -> str:
        """What systemd calls it."""
        raise NotImplementedError

    def systemd_socket(self) -> str:
        """Where the manager listens whose unit it is."""
        return SOCKET

    def seen(self, unit: Unit) -> Unit:
        """Where more is to be known of it than systemd says."""
        return unit

    async def address(self, unit: Unit) -> str:
        """A network of its own may get its address a moment after its start.

        Nor is its process there from the first moment on: until it has been moved, it is in the host's, where
        another answers on its port, and that may be our own socket.
        """
        while True:
            found = address(unit.pid)
            if found is not None and (found != LOOPBACK or self.is_in_place(unit)):
                return found
            await self.loop.sleep(LOOK_EVERY)

    def is_in_place(self, unit: Unit) -> bool:
        """Whether its first process has the network that it is to have."""
        if unit.on_host_network:
            return True
        # Before it has executed its program, systemd calls it by that one's name in parentheses, and at the
        # very first as itself.
        name = name_of(unit.pid)
        return not (name == "systemd" or name.startswith("("))

    async def start(self) -> bool:
        begun, self.begun = self.begun, None
        self.has_thawed = False
        if begun is not None and begun.error is not None:
            raise Unreachable(f"systemd does not answer: {begun.error.strerror}") from begun.error
        started = begun is not None and begun.started
        at = begun.at if begun is not None and started else time.time()
        serial = START if started else self._send_start()
        self.asked = True
        result = await self.signals.result_of(await self.bus.answer(serial))
        if result == FORGOTTEN:
            result = await self.signals.result_of(await self.bus.answer(self._send_start()))
        found = await self.look()
        if result not in ("done", "skipped") and not found.running:
            raise Refused(f"{self.unit} did not start: {found.error or self._ended(found, result)}")
        if found.paused:
            await self.thaw(found)
            return False
        self.just_seen = found
        return found.started_at >= stamp(int(at * 1e6))

    def _send_start(self) -> int:
        """The serial of the call."""
        self.bus.send("ResetFailedUnit", self.unit)
        return self.bus.send("StartUnit", self.unit, "replace")

    def _ended(self, found: Unit, result: str) -> str:
        return f"it ended with status {found.exit_code}" if result == "failed" else f"the job was {result}"

    async def look(self, _name: str = "") -> Unit:
        just_seen, self.just_seen = self.just_seen, None
        if just_seen is not None:
            return just_seen
        # What changes while systemd answers may be in the answer or not.
        self.since_look = self.signals.changed()
        found = await self.bus.properties(self.path, WANTED)
        unit = self.seen(loaded(self.unit, found))
        self.signals.is_up(unit.running)
        self.freezer.follow(group_of(unit.pid, own=unit.group) if unit.pid else None)
        return unit

    async def exists(self, _container_id: str) -> bool:
        try:
            await self.look()
        except Missing:
            return False
        return True

    async def targets(self, container: Container, ports: list[str]) -> dict[str, Target]:
        assert isinstance(container, Unit), "only what was looked at has been started"
        return targets_at(ports, await self.address(container) if need_address(ports) else "")

    def behind(self, _container: Container, _port: str, target: Target) -> Target:
        return target

    async def freeze(self, _container: Container) -> None:
        await self.bus.call("FreezeUnit", self.unit)

    async def thaw(self, _container: Container) -> None:
        self.has_thawed = True
        try:
            await self.bus.call("ThawUnit", self.unit)
        except Refused:
            # Refused of what runs already, and of what has ended; the latter `ended` tells.
            if (await self.look()).paused:
                raise

    async def stop(self, container: Container) -> None:
        try:
            found = await self.look()
            if found.paused:
                await self.unfreeze_to_end(found)
            await self.loop.within(container.stop_timeout + STOP_MARGIN, self._stop())
        except Missing:
            return
        except TimeoutError:
            raise Unreachable(f"{self.unit} has not stopped in time") from None

    async def unfreeze_to_end(self, unit: Unit) -> None:
        """Where it accepts its clients itself, what it ends by awaits it before it runs again: it takes no
        client in between.

        StopUnit() thaws it. ThawUnit() of one that ends by that is never answered (252).
        """
        if not unit.accepts or unit.has_stop_command or not unit.kill_signal:
            await self.thaw(unit)
            return
        try:
            await self.bus.call("KillUnit", self.unit, "all" if unit.kills_all else "main", unit.kill_signal)
        except Refused:
            return  # it has no main process

    async def start_watcher(self, unit: str) -> None:
        """The one that tells of its clients, which systemd starts for none of them while it runs."""
        await self.bus.call("StartUnit", unit, "replace")

    async def _stop(self) -> None:
        while True:
            result = await self.signals.result_of(await self.bus.call("StopUnit", self.unit, "replace"))
            if result != FORGOTTEN or not (await self.look()).running:
                return

    async def ended(self, container: Container) -> None:
        """A pidfd tells at once; a unit without a process is followed by what systemd says of it."""
        pid = container.pid
        while True:
            if pid:
                await process_ended(self.loop, pid)
            changed = self.signals.changed()
            try:
                found = await self.look()
            except Missing:
                return
            except Unreachable:
                if pid:
                    return
                await self.loop.sleep(1.0)  # systemd executes itself anew
                continue
            if not found.running or found.started_at != container.started_at:
                return  # in the latter case it has been started again since
            if not found.pid or found.pid == pid:
                if pid and found.state != "active":
                    return  # ended, and what systemd has to do behind it is under way
                await changed
                pid = 0 if found.pid == pid else pid
                continue
            pid = found.pid  # it has handed over to another process

    async def end(self, _container: Container) -> Unit:
        patience: Future[None] = Future()
        timer = self.loop.call_in(END_WITHIN, lambda: patience.set(None))
        try:
            while True:
                changed = self.signals.changed()
                found = await self.look()
                if not found.running or patience.done:
                    return found
                await any_of(changed, patience)
        finally:
            timer.cancel()

    async def changes(self, tell: Callable[[str], None]) -> None:
        await self.signals.follow(tell)

    def detach(self) -> None:
        """Its output goes to the journal by itself."""

    async def copy_output(self, container: Container, _since: float, _to: int) -> None:
        """Its output is in the journal already, under its own unit."""
        await self.ended(container)

    def output_facts(self) -> dict[str, Any]:
        return {}

    def go_on_with_output(self, facts: dict[str, Any]) -> None:
        """Nothing is ever under way."""

    async def execute(self, command: str) -> int:
        import shlex  # only readiness by command needs it

        there = self.inside(await self.look())
        return await run(self.loop, [*self.by_systemd, *there, *shlex.split(command)])

    def inside(self, unit: Unit) -> list[str]:
        """What goes before a command, so that it runs where the container's first process does, and as its
        user. Only systemd has the rights to go there.
        """
        uid, gid = ids(unit.pid)
        spaces = ("--mount", "--net", "--ipc", "--uts", "--root", "--wd")
        return ["nsenter", f"--target={unit.pid}", *spaces, f"--setuid={uid}", f"--setgid={gid}", "--"]
