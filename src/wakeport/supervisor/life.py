"""The life of one supervisor, from top to bottom: cool down, wake, stay awake, sleep.

One task decides everything. What happens beside it (leases, signals, the
container's end) only sets a future that the task waits for.
"""

from __future__ import annotations

import time

from wakeport.light import socket
from wakeport.loop import Future, Loop, any_of, now
from wakeport.runtimes.problems import RuntimeProblem
from wakeport.supervisor.announce import Announcer
from wakeport.supervisor.awake import Awake, Stamps
from wakeport.supervisor.bypass import Bypass
from wakeport.supervisor.chronicle import Changes
from wakeport.supervisor.demand import Demand
from wakeport.supervisor.doze import Doze
from wakeport.supervisor.end import End
from wakeport.supervisor.keep import Keep
from wakeport.supervisor.leases import Leases
from wakeport.supervisor.needs import Needs
from wakeport.supervisor.options import Options
from wakeport.supervisor.record import FORGIVEN_AFTER, STOPPING, Record
from wakeport.supervisor.status import Status
from wakeport.supervisor.stop import Stop, say
from wakeport.supervisor.upgrade import Handover, exec_successor
from wakeport.supervisor.wake import Failed, ToldToStop, Wake
from wakeport.supervisor.work import Work

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from wakeport.runtimes.interface import Runtime

EXIT_ASLEEP, EXIT_FAILED = 0, 1

TRY_AGAIN_AFTER = 10.0  # seconds until a runtime that did not answer is asked again


class Life:
    def __init__(
        self,
        loop: Loop,
        options: Options,
        record: Record,
        runtime: Runtime,
        asked: dict[str, _socket.socket],
        lease_fd: int,
    ) -> None:
        self.loop = loop
        self.options = options
        self.record = record
        self.runtime = runtime
        self.lease_fd = lease_fd
        self.told_to_stop: Future[None] = Future()
        self.told_to_renew: Future[None] = Future()
        self.stirred: Future[None] = Future()
        self.leases = Leases(loop, socket.socket(fileno=lease_fd), self._leases_changed)
        self.keep = Keep(loop, options.state, self._keep_changed)
        self.leases.on_keep = self.keep.hear
        self.bypass = Bypass(loop, options, self._leases_changed)
        self.demand = Demand(self.leases, self.keep, self.bypass, options)
        self.announcer = Announcer(Status(loop, options, self.keep.facts), self.leases, options.journal)
        self.needs = Needs(loop, options.name, options.needs, asked, self.announcer.waking)
        self.wake = Wake(loop, options, record, runtime, self.needs, self.announcer, self.told_to_stop)
        self.changes = Changes(loop, runtime, self._container_changed)
        self.doze = Doze(loop, record, runtime, self.announcer, self.demand, self.changes)
        self.work = Work(loop, options, runtime, self.wake.readiness)
        self.end = End(loop, runtime, self.changes, self.told_to_stop)
        self.stop = Stop(loop, options, record, runtime)
        self.awake_since = 0.0

    async def live(self, stamps: Stamps, handover: Handover | None) -> int:
        self.bypass.begin(self.announcer.status.targets_before, handover.bypass if handover else [])
        try:
            if handover is None:
                settled = await self._settle(stamps)
                if settled is None:
                    return self._leave()
                self.loop.spawn(self.changes.follow())
                awake = await self._wake(settled)
            else:
                self.loop.spawn(self.changes.follow())
                awake = await self._resume(handover)
            while await self._stay_awake(awake):
                awake = await self._wake(Stamps(now(), now()))
        except ToldToStop:
            await self._stop()
        except (Failed, RuntimeProblem) as failure:
            return await self._give_up(str(failure))
        return self._leave()

    async def _settle(self, stamps: Stamps) -> Stamps | None:
        """See through what a predecessor left: a failure that cools down, a stop that was cut short.

        The stamps of the wake that follows; None where nobody asks for one.
        """
        cooling, stopping = self.record.wait_left() > 0, self.record.phase == STOPPING
        if not cooling and not stopping:
            return stamps
        if cooling:
            await self._cool_down()
        if stopping:
            # As in a stop of our own, who comes waits in the backlog: told that we stop, they would ask anew.
            self.leases.close_door()
            self.announcer.stopping(waits_for="the stop that was under way")
            await self.stop.ours(self.record.container_id or self.options.container)
            self.leases.open_door()
        if self.told_to_stop.done or not self.demand.last_look():
            return None
        return Stamps(now(), now())

    async def _cool_down(self) -> None:
        """Answer every lease at once until the next attempt may be made."""
        while (left := self.record.wait_left()) > 0 and not self.told_to_stop.done:
            self.announcer.failed(self.record)
            await self._something(left)

    async def _wake(self, stamps: Stamps) -> Awake:
        awake = await self.wake.ready(stamps)
        self.announcer.awake(awake, stamps)
        if not awake.owned:
            say(
                "it ran already, started by hand: it stays up until it is stopped; adopt = true lets it sleep"
            )
        self.awake_since = now()
        self.doze.is_frozen = False
        self.bypass.lead_to(awake)
        self.bypass.open()
        self.demand.begin()
        self.changes.forget()
        return awake

    async def _stay_awake(self, awake: Awake) -> bool:
        """Until it is time to sleep, and sleep. True where the container ended and is to be woken again."""
        self._leases_changed()
        while True:
            if awake.ended.done:
                return await self._outlive(awake)
            if self.told_to_renew.done and not self.doze.is_asked:
                self._renew(awake)  # who has asked would not ask again
            self._forgive_if_due()
            if self.told_to_stop.done or await self._may_sleep(awake):
                await self._stop()
                return False
            await self._is_at_work(awake)
            await self._doze_or_thaw(awake)
            await self._something(self._next_look(awake), awake.ended, self.told_to_renew)

    async def _may_sleep(self, awake: Awake) -> bool:
        """Whether it is time, the runtime is there to stop it, and nobody has come until this very moment."""
        if not self._is_idle(awake) or await self._is_at_work(awake, deciding=True):
            return False
        self.bypass.close()
        try:
            await self.runtime.exists(awake.container.id)
            if self.options.pass_fd:
                await self.doze.hush(awake)
        except RuntimeProblem as problem:
            # Given up now, it would run on with nobody to put it to sleep.
            self._put_off("it is time to sleep, but it cannot be stopped", problem)
        else:
            if self._is_idle(awake) and not self.demand.last_look():
                return True
        if not self.doze.is_frozen:
            self.bypass.open()
        return False

    def _is_idle(self, awake: Awake) -> bool:
        left = self.demand.sleeps_in
        return awake.owned and left is not None and left <= 0

    def _put_off(self, what: str, problem: RuntimeProblem) -> None:
        say(f"{what}: {problem}")
        self.demand.put_off(TRY_AGAIN_AFTER)
        self._leases_changed()

    async def _is_at_work(self, awake: Awake, deciding: bool = False) -> bool:
        """Whether it is, although nobody holds a lease: then its times begin anew."""
        if self.demand.quiet_since is None or self.doze.is_frozen:
            self.work.forget()
            return False
        found = self.work.found
        seen = await self.work.is_seen(awake, deciding)
        if seen:
            self.demand.renew()
        if seen or found != self.work.found:
            self._leases_changed()
        return seen

    async def _doze_or_thaw(self, awake: Awake) -> None:
        await self.doze.notice(awake)
        if self.doze.is_asked:
            await self.wake.needs_ready()
            await self.doze.thaw(awake)
        elif self.doze.is_due(awake) and not await self._is_at_work(awake, deciding=True):
            try:
                await self.doze.freeze(awake)
                if self.doze.is_frozen:
                    self.needs.rest()
                    await self.doze.push_out(awake)
            except RuntimeProblem as problem:
                if not awake.ended.done:
                    self._put_off("it is time to doze, but it cannot be frozen", problem)

    def _forgive_if_due(self) -> None:
        if self.record.attempts and now() - self.awake_since >= FORGIVEN_AFTER:
            self.record.forgive()
            self.announcer.forgiven()

    def _next_look(self, awake: Awake) -> float | None:
        """Seconds until something may be due; None where only an event can bring it about."""
        dozes_in, sleeps_in = self._depths_in(awake)
        looks = [sleeps_in] if self.doze.is_frozen else [dozes_in, sleeps_in, self.work.look_in]
        if self.record.attempts:
            looks.append(self.awake_since + FORGIVEN_AFTER - now())
        due = [look for look in looks if look is not None]
        return max(0.0, min(due)) if due else None

    def _depths_in(self, awake: Awake | None) -> tuple[float | None, float | None]:
        """Seconds until it dozes, and until it is stopped; None where it does not."""
        if awake is None or not awake.owned:
            return None, None
        return self.demand.dozes_in, self.demand.sleeps_in

    async def _outlive(self, awake: Awake) -> bool:
        """The container ended by itself. True where it is back at once (restarted, recreated), or is kept."""
        awake_for = now() - self.awake_since
        self.bypass.end()
        self.leases.close_door()
        self.announcer.stopping()
        if awake.owned:
            # Before the rest of the output: who restarts it may be faster than that.
            self.record.ended()
        await self.stop.rest_of_output(awake)
        if awake_for >= FORGIVEN_AFTER:
            self.record.forgive()
        elif not await self.end.was_ordered():
            raise Failed(f"the container ended {awake_for:.1f} s after it was ready")
        if not await self.end.is_undone(self.lease_fd):
            if not self.keep.active or await self.end.was_by_hand():
                return False
            self.record.intend()
        self.wake.over()
        self.leases.open_door()
        return True

    async def _stop(self) -> None:
        """Put it to sleep. Clients that come meanwhile wait in the backlog for the next supervisor."""
        self.bypass.close()
        self.leases.close_door()
        self.announcer.stopping("STOPPING=1")
        await self.needs.rest_no_more()
        await self.stop.undo(self.wake.awake)
        if self.record.phase != STOPPING and (self.wake.awake is None or self.wake.awake.owned):
            self.bypass.end()
        self.record.forgive()

    async def _give_up(self, reason: str) -> int:
        """Answer those who wait at once, then stop what was started; systemd starts us again to cool down."""
        delay = self.record.fail(reason)
        self.bypass.end()
        self.announcer.failed(self.record)
        say(f"{self.record.reason}; the next attempt is made in {delay:g} s at the earliest")
        await self.stop.undo(self.wake.awake)
        if self.record.wait_left() <= 0 and not self.demand.last_look():
            # The stop outlasted the back-off: whom systemd starts now would wake the container for nobody.
            return self._leave()
        return EXIT_FAILED

    def _leave(self) -> int:
        self.keep.end()
        self.announcer.left(self.record)
        # What could not be stopped is not asleep: a successor, whom systemd starts, sees to that.
        return EXIT_FAILED if self.record.phase == STOPPING else EXIT_ASLEEP

    def _keep_changed(self) -> None:
        self.announcer.kept(self.keep.facts)
        self._leases_changed()

    def _leases_changed(self) -> None:
        self.demand.look()
        self.needs.consider(self.leases.holders.values())
        self.announcer.holders(self.demand, *self._depths_in(self.wake.awake), self.work.found)
        self.stirred.set(None)

    def _container_changed(self) -> None:
        self.wake.readiness.look_again()
        self.stirred.set(None)

    async def _something(self, seconds: float | None, *futures: Future[None]) -> None:
        """Wait until anything happens that a decision may hang on, `seconds` at most."""
        over: Future[None] = Future()
        timer = self.loop.call_in(seconds, lambda: over.set(None)) if seconds is not None else None
        await any_of(self.stirred, over, self.told_to_stop, *futures)
        # What happened while a call was awaited counts too, so it is taken back only now.
        self.stirred = Future()
        if timer is not None:
            timer.cancel()

    def _renew(self, awake: Awake) -> None:
        """Become the newer version; where that cannot be executed, go on as we are."""
        self.told_to_renew = Future()
        # It comes up with them held, as at any start: a stop must not kill it before it can hear one.
        self.loop.hold_signals()
        if not self.told_to_stop.done:
            # The newer version may have other listeners and networks, which would get into the way of these.
            self.bypass.close()
            output = self.runtime.output_facts()
            handover = Handover(
                self.awake_since,
                self.demand.quiet_since,
                self.demand.idle_since,
                self.doze.is_frozen,
                time.time() if output else awake.output.copied_until,
                output,
                self.leases.holders.values(),
                self.needs.facts(),
                self.options.bypass if self.bypass.look() else [],
            )
            problem = exec_successor(self.options.state, self.lease_fd, handover)
            say(f"the newer version cannot be started, going on with this one: {problem}")
            if not self.doze.is_frozen:
                self.bypass.open()
        self.loop.release_signals()

    async def _resume(self, handover: Handover) -> Awake:
        """Go on where our older self left off."""
        for holder in handover.holders:
            self.leases.adopt(holder)
        self.needs.go_on(handover.needs)
        self.runtime.go_on_with_output(handover.output)
        awake = await self.wake.go_on(handover.heard_until)
        self.awake_since = handover.awake_since
        self.demand.quiet_since, self.demand.idle_since = handover.quiet_since, handover.idle_since
        self.doze.is_frozen, self.changes.missed = handover.frozen, True  # nobody listened in between
        self.bypass.lead_to(awake)
        if handover.frozen:
            self.announcer.dozing(awake)
        else:
            self.announcer.awake(awake, Stamps(0.0, 0.0))
            self.bypass.open()
        return awake
