"""The lighter sleep: freeze a container that nobody needs, thaw it when somebody does.

The state `dozing` is announced before the freeze call. Whoever has used the container a moment ago without
being busy can then stir, and is heard before or right after the freeze.
"""

from __future__ import annotations

from wakeport.lease import DOZING as SAID_TO_DOZE
from wakeport.loop import Loop, any_of, now
from wakeport.runtimes.problems import Missing, Refused, RuntimeProblem
from wakeport.supervisor.announce import Announcer
from wakeport.supervisor.awake import Awake, Stamps
from wakeport.supervisor.chronicle import Changes
from wakeport.supervisor.demand import Demand
from wakeport.supervisor.record import DOZING, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.runtimes.interface import Runtime

# Seconds for a watcher to answer, which takes it a millisecond; one that is stuck keeps nobody awake.
HEARD_WITHIN = 1.0

# Seconds from a freeze to the runtime's word of it, at most: who came in between hangs in it.
TOLD_WITHIN = 0.5


class Doze:
    """`is_frozen` from the moment in which the freeze call is made, to the one in which it is undone.

    A freeze call that a predecessor made, or that got no answer, may come to pass at any later time.
    """

    def __init__(
        self,
        loop: Loop,
        record: Record,
        runtime: Runtime,
        announcer: Announcer,
        demand: Demand,
        changes: Changes,
    ) -> None:
        self.loop = loop
        self.record = record
        self.runtime = runtime
        self.announcer = announcer
        self.demand = demand
        self.changes = changes
        self.is_frozen = False
        self.is_hushed = False  # frozen for a last look, and not to doze
        self.may_come_late = record.phase == DOZING

    @property
    def is_asked(self) -> bool:
        """Whether somebody has asked for the container since it was frozen, or it was frozen in vain."""
        return self.is_frozen and (self.demand.asked or self.is_hushed)

    def is_due(self, awake: Awake) -> bool:
        left = self.demand.dozes_in
        return not self.is_frozen and awake.owned and left is not None and left <= 0

    async def freeze(self, awake: Awake) -> None:
        """Unless somebody has come until this very moment. Raises RuntimeProblem: then it runs, or may."""
        self.demand.catch_up()
        if self.demand.asked or not self.is_due(awake):
            self.demand.bypass.open()
            return
        await self._be_watched()
        self.demand.bypass.rest()
        self.record.dozing()
        self.announcer.dozing(awake)
        self.is_frozen, self.changes.frozen = True, None
        try:
            await self.runtime.freeze(awake.container)
        except RuntimeProblem:
            self.may_come_late = True
            self._runs(awake, Stamps(0.0, 0.0))
            raise
        if self.demand.bypass.look():
            # Sent on in the very moment in which that way was closed.
            self.demand.asked, self.demand.asked_at = True, now()

    async def hush(self, awake: Awake) -> None:
        """Freeze it for a last look at who has come, where it accepts its clients itself.

        Running, it could accept one between that look and its end; where it cannot be frozen it still may.
        Raises RuntimeProblem.
        """
        await self._be_watched()
        if not self.is_frozen:
            self.demand.asked = False
            self.record.dozing()
            self.is_hushed = self.is_frozen = True
            self.changes.frozen = None
            try:
                await self.runtime.freeze(awake.container)
            except Refused:
                self.is_hushed = self.is_frozen = False
        heard = self.demand.leases.ask_watchers({"state": SAID_TO_DOZE})
        patience = self.loop.spawn(self.loop.sleep(HEARD_WITHIN))
        await any_of(heard, patience, awake.ended)
        patience.cancel()

    async def _be_watched(self) -> None:
        """Raises Refused where nobody tells who is connected to one that accepts its clients itself."""
        if self.demand.options.pass_fd and not self.demand.leases.watched:
            await self.runtime.start_watcher(f"wakeport-{self.demand.options.name}.service")
            raise Refused("nobody tells who is connected; its watcher is started again")

    async def push_out(self, awake: Awake) -> None:
        """Free its memory, piece by piece, until somebody asks for it or no more goes."""
        from wakeport.runtimes.reclaim import CannotReclaim, memory_of, steps  # most never doze

        pid, own, why = awake.container.pid, awake.container.group, ""
        before = memory_of(pid, own=own)
        try:
            for _ in steps(pid, own=own):
                await self.loop.sleep(0)
                if self.demand.asked or awake.ended.done:
                    break
        except (CannotReclaim, OSError) as reason:
            why = str(reason)
        self.announcer.pushed_out(before, memory_of(pid, own=own), why)

    async def thaw(self, awake: Awake) -> None:
        """Raises RuntimeProblem."""
        self.demand.asked = False
        stamps = Stamps(self.demand.asked_at, now())
        self.changes.frozen = None
        await self.runtime.thaw(awake.container)
        stamps.running = stamps.ready = now()
        self._runs(awake, stamps)

    async def notice(self, awake: Awake) -> None:
        """Follow what somebody else did: a person, or a predecessor whose call came late.

        A person who froze it has a reason: it stays so until somebody new asks.
        """
        told, self.changes.frozen = self.changes.frozen, None
        missed, self.changes.missed = self.changes.missed, False
        if not missed and told in (None, self.is_frozen):
            return
        try:
            # The word may be an echo of our own last call but one.
            paused = (await self.runtime.look(awake.container.id)).paused
        except Missing:
            return  # its end is told elsewhere
        except RuntimeProblem:
            # It may be in use: no reason to give it up. Looked at again when somebody comes, or Docker.
            self.changes.missed = True
            return
        if paused == self.is_frozen:
            return
        if paused:
            self.is_frozen = True
            in_use = self.demand.quiet_since is None
            early = TOLD_WITHIN if in_use else 0.0
            since_then = self.demand.asked_at > self.changes.since - early
            self.demand.asked = since_then or (in_use and self.may_come_late)
            self.may_come_late = False
            self.record.dozing()
            self.demand.bypass.close()
            self.announcer.dozing(awake)
        else:
            self.demand.stirred_at = now()
            self._runs(awake, Stamps(0.0, 0.0))

    def _runs(self, awake: Awake, stamps: Stamps) -> None:
        self.is_frozen = self.is_hushed = False
        self.announcer.awake(awake, stamps)
        if awake.owned:
            self.record.own(awake.container.id, awake.container.started_at)
        self.demand.bypass.open()
