"""From the start call to readiness: what one wake waits for, and what can end it early."""

from __future__ import annotations

import time

from wakeport.loop import Future, Loop, any_of, now
from wakeport.runtimes.problems import Missing, RuntimeProblem
from wakeport.supervisor.announce import Announcer
from wakeport.supervisor.awake import Awake, Stamps
from wakeport.supervisor.chronicle import Output
from wakeport.supervisor.needs import Needs, NotAwake
from wakeport.supervisor.options import Options
from wakeport.supervisor.readiness import Readiness
from wakeport.supervisor.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any, TypeVar

    from wakeport.runtimes.container import Container
    from wakeport.runtimes.interface import Runtime

    T = TypeVar("T")

OVERLAP = 1.0  # seconds of output read again after a crash: better a line twice than a line lost


class Failed(Exception):
    """This wake came to nothing; `str()` of it is the reason, for people."""


class ToldToStop(Exception):
    """SIGTERM: systemd, or a person through it, wants the container stopped."""


class Wake:
    """One attempt. `awake` is set as soon as the container runs, so that a failed attempt can be undone."""

    def __init__(
        self,
        loop: Loop,
        options: Options,
        record: Record,
        runtime: Runtime,
        needs: Needs,
        announcer: Announcer,
        told_to_stop: Future[None],
    ) -> None:
        self.loop = loop
        self.options = options
        self.record = record
        self.runtime = runtime
        self.needs = needs
        self.announcer = announcer
        self.told_to_stop = told_to_stop
        self.readiness = Readiness(loop, runtime, options.ready, announcer.waking)
        self.awake: Awake | None = None
        self.heard_until: float | None = None  # epoch; what was written before has been copied

    async def ready(self, stamps: Stamps) -> Awake:
        """Start the container and wait until it is ready. Raises Failed, RuntimeProblem or ToldToStop."""
        since = stamps.called
        if self.needs:
            await self.needs_ready()
            stamps.called = now()
        deadline = stamps.called + self.options.ready_within
        self.announcer.waking("the runtime to start it", stamps.began)
        awake = self.awake = await self._before(deadline, self._start(since))
        stamps.running = now()
        awake.targets = await self._before(
            deadline, self.runtime.targets(awake.container, self.options.ports)
        )
        reached = self.readiness.reached(awake.container, awake.targets, self.runtime.has_thawed)
        await self._before(deadline, reached)
        stamps.ready = now()
        return awake

    async def needs_ready(self) -> None:
        """Return when all that it needs is awake. Raises Failed or ToldToStop.

        Its own deadline begins behind this: those that it needs keep theirs, and say why they fail.
        """
        work = self.loop.spawn(self.needs.ready())
        try:
            await any_of(work, self.told_to_stop)
        finally:
            if not work.done:
                work.cancel()
        if self.told_to_stop.done:
            raise ToldToStop
        try:
            await work
        except NotAwake as reason:
            raise Failed(str(reason)) from None

    async def _start(self, since: float) -> Awake:
        """`since` is when this process began to call for the container, its needs included (monotonic)."""
        heard_until = self.heard_until or time.time() - (now() - since)
        if not self.runtime.asked:
            self.record.intend()
        fresh = await self.runtime.start()
        container = await self.runtime.look()
        if container.paused:
            # A freeze that a predecessor had asked for came after our start call.
            await self.runtime.thaw(container)
        if not fresh and container.id == self.record.container_id and self.heard_until is None:
            # A predecessor crashed, and said nothing of how far it had come.
            self.runtime.detach()
            heard_until -= OVERLAP
        return await self._watch(container, fresh, heard_until)

    def over(self) -> None:
        """The container has ended, and its output has been copied to the last line."""
        self.awake = None
        self.heard_until = time.time()

    async def go_on(self, heard_until: float) -> Awake:
        """Watch the container that our older self woke, and whose output it copied until then (epoch)."""
        self.awake = await self._watch(await self.runtime.look(), False, heard_until)
        self.awake.targets = await self.runtime.targets(self.awake.container, self.options.ports)
        return self.awake

    async def _watch(self, container: Container, fresh: bool, heard_until: float) -> Awake:
        # One that a predecessor started, and crashed before it was ready, is woken by this wake too.
        woken = fresh or "" < self.record.asked <= container.started_at
        owned = fresh or self.options.adopt or await self._is_ours(container)
        if owned:
            self.record.own(container.id, container.started_at)
        else:
            self.record.disown()
        ended = self.loop.spawn(self.runtime.ended(container))
        output = Output(self.loop, self.runtime, container, heard_until, ended)
        awake = Awake(container, owned, ended, output)
        awake.woken = woken
        return awake

    async def _is_ours(self, container: Container) -> bool:
        """Of a container that ran already: did our predecessor start it, or own the one before it?"""
        if self.record.claims(container.id, container.started_at):
            return True
        predecessor = self.record.container_id
        return (
            bool(predecessor) and predecessor != container.id and not await self.runtime.exists(predecessor)
        )

    async def _before(self, deadline: float, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of `coroutine`, unless time is up, the container ends, or we are told to stop."""
        work = self.loop.spawn(coroutine)
        up: Future[None] = Future()
        timer = self.loop.call_at(deadline, lambda: up.set(None))
        ended: Future[None] = self.awake.ended if self.awake else Future()
        try:
            await any_of(work, up, ended, self.told_to_stop)
        finally:
            timer.cancel()
            if not work.done:
                work.cancel()
        if self.told_to_stop.done:
            raise ToldToStop
        if ended.done:
            raise Failed(await self._end())
        if up.done:
            waits_for = self.readiness.waits_for or "the runtime to start it"
            raise Failed(f"not ready within {self.options.ready_within:g} s: still waiting for {waits_for}")
        return await work

    async def _end(self) -> str:
        """Why the container is not running, in its runtime's words."""
        try:
            assert self.awake is not None, "only what has run can have ended"
            container = await self.runtime.end(self.awake.container)
        except Missing:
            return "the container was removed while it woke"
        except RuntimeProblem as problem:
            return f"the container ended before it was ready: {problem}"
        detail = f": {container.error}" if container.error else ""
        return f"the container exited with code {container.exit_code} before it was ready{detail}"
