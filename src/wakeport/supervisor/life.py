"""The life of one supervisor, from top to bottom: cool down, wake, stay awake, sleep.

One task decides everything. What happens beside it (leases, signals, the
container's end) only sets a future that the task waits for.
"""

from __future__ import annotations

import signal
import socket
import sys
import time

from wakeport.activation import listening_fds
from wakeport.loop import Future, Loop, Task, any_of, now
from wakeport.runtimes.changes import ENDED, KILLED, ORDERED, OUT_OF_MEMORY, STARTED
from wakeport.runtimes.docker.begin import Begun
from wakeport.runtimes.docker.runtime import Docker
from wakeport.runtimes.problems import Missing, RuntimeProblem
from wakeport.supervisor.announce import Announcer
from wakeport.supervisor.awake import Awake, Stamps
from wakeport.supervisor.chronicle import Changes
from wakeport.supervisor.keep import Keep
from wakeport.supervisor.leases import Leases
from wakeport.supervisor.options import Options
from wakeport.supervisor.record import ENDED as ENDED_BY_ITSELF
from wakeport.supervisor.record import FORGIVEN_AFTER, STOPPING, Record
from wakeport.supervisor.status import Status
from wakeport.supervisor.upgrade import Handover, exec_successor, forget_next, take_over
from wakeport.supervisor.wake import Failed, ToldToStop, Wake

EXIT_ASLEEP, EXIT_FAILED = 0, 1

TOLD_WITHIN = 2.0  # seconds for the runtime to tell how a container came to its end
BACK_WITHIN = 2.0  # seconds in which a container that ended may come back by another's hand
STOP_AGAIN_AFTER = 10.0  # seconds until a runtime that did not answer is asked again
LAST_OUTPUT_WITHIN = 5.0  # seconds for the rest of the output, after the container's end


def supervise(options: Options, record: Record, begun: Begun | None, stamps: tuple[float, float]) -> int:
    """Run one life; the exit code for systemd."""
    fds = listening_fds()
    handover = take_over()
    if handover is None:
        forget_next(options.state)
    if not fds:
        sys.exit("wakeport: no lease socket was passed; start this through its unit, not by hand")
    loop = Loop()
    life = Life(loop, options, record, Docker(loop, options.container, begun), fds[0])
    loop.on_signal(signal.SIGTERM, lambda: life.told_to_stop.set(None))
    loop.on_signal(signal.SIGHUP, lambda: life.told_to_renew.set(None))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGHUP))
    return loop.run(life.live(Stamps(*stamps), handover))


class Life:
    def __init__(self, loop: Loop, options: Options, record: Record, runtime: Docker, lease_fd: int) -> None:
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
        self.announcer = Announcer(Status(loop, options, self.keep.facts), self.leases)
        self.leases.on_keep = self.keep.hear
        self.wake = Wake(loop, options, record, runtime, self.announcer, self.told_to_stop)
        self.changes = Changes(loop, runtime, self.wake.readiness.look_again)
        self.awake_since = 0.0
        self.idle_since: float | None = None

    async def live(self, stamps: Stamps, handover: Handover | None) -> int:
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
            self.announcer.stopping(waits_for="the stop that was under way")
            await self._stop_ours(self.record.container_id or self.options.container)
        if self.told_to_stop.done or not self._last_look():
            return None
        self.record.intend()
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
            self._say(
                "it ran already, started by hand: it stays up until it is stopped; adopt = true lets it sleep"
            )
        self.awake_since = now()
        self.idle_since = None
        self.changes.forget()
        return awake

    async def _stay_awake(self, awake: Awake) -> bool:
        """Until it is time to sleep, and sleep. True where the container ended and is to be woken again."""
        self._leases_changed()
        while True:
            if awake.ended.done:
                return await self._outlive(awake)
            if self.told_to_renew.done:
                self._renew()
            self._forgive_if_due()
            if self.told_to_stop.done or await self._may_sleep(awake):
                await self._stop()
                return False
            await self._something(self._next_look(self._sleeps_in()), awake.ended, self.told_to_renew)

    async def _may_sleep(self, awake: Awake) -> bool:
        """Whether it is time, the runtime is there to stop it, and nobody has come until this very moment."""
        if not self._is_idle():
            return False
        try:
            await self.runtime.look(awake.container.id)
        except Missing:
            pass
        except RuntimeProblem as problem:
            # Given up now, it would run on with nobody to put it to sleep.
            self._say(f"it is time to sleep, but it cannot be stopped: {problem}")
            self.idle_since = now() - self.options.idle + STOP_AGAIN_AFTER
            self._leases_changed()
            return False
        return self._is_idle() and not self._last_look()

    def _is_idle(self) -> bool:
        left = self._sleeps_in()
        return left is not None and left <= 0

    def _sleeps_in(self) -> float | None:
        """Seconds until it is time to sleep; None while it is not to sleep at all."""
        awake = self.wake.awake
        if awake is None or not awake.owned or self.idle_since is None or self.options.idle == float("inf"):
            return None
        return self.idle_since + self.options.idle - now()

    def _forgive_if_due(self) -> None:
        if self.record.attempts and now() - self.awake_since >= FORGIVEN_AFTER:
            self.record.forgive()
            self.announcer.forgiven()

    def _next_look(self, sleeps_in: float | None) -> float | None:
        looks = [] if sleeps_in is None else [sleeps_in]
        if self.record.attempts:
            looks.append(self.awake_since + FORGIVEN_AFTER - now())
        return max(0.0, min(looks)) if looks else None

    async def _outlive(self, awake: Awake) -> bool:
        """The container ended by itself. True where it is back at once (restarted, recreated), or is kept."""
        awake_for = now() - self.awake_since
        self.leases.close_door()
        self.announcer.stopping()
        if awake.owned:
            # Before the rest of the output: who restarts it may be faster than that.
            self.record.ended()
        await self._rest_of_output(awake)
        if awake_for >= FORGIVEN_AFTER:
            self.record.forgive()
        elif not await self._ended_by_order():
            raise Failed(f"the container ended {awake_for:.1f} s after it was ready")
        if not await self._is_back():
            if not self.keep.active or await self._ended_by_hand():
                return False
            self.record.intend()
        self.wake.over()
        self.leases.open_door()
        return True

    async def _ended_by_order(self) -> bool:
        """Whether a person, a tool or the runtime's own end made it end, and not a fault of its own."""
        told = self.loop.spawn(self.changes.hear(ENDED))
        await self._first(told, self._wait(TOLD_WITHIN))
        if KILLED in self.changes.told and OUT_OF_MEMORY not in self.changes.told:
            return True  # kill(1) from outside: hardly a container does that to itself
        return ORDERED in self.changes.told or not self.changes.listening

    async def _ended_by_hand(self) -> bool:
        """Whether somebody wants it to be asleep; the end of the runtime itself is no such word."""
        await self._first(self.loop.spawn(self.changes.hear(ENDED)), self._wait(TOLD_WITHIN))
        return ORDERED in self.changes.told and self.changes.listening

    async def _is_back(self) -> bool:
        """Whether somebody else starts it again within moments; no client waits for that."""
        # Only the runtime's own word makes us ask it: where it is being stopped, a question
        # would have systemd start it again.
        started = self.loop.spawn(self.changes.hear(STARTED))
        client = self.loop.spawn(self.loop.readable(self.lease_fd))
        await self._first(started, client, self._wait(BACK_WITHIN))
        return STARTED in self.changes.told and (await self.runtime.look()).running

    def _wait(self, seconds: float) -> Task[None]:
        return self.loop.spawn(self.loop.sleep(seconds))

    async def _first(self, *tasks: Task[None]) -> None:
        """Wait for the first of `tasks`, or for the word to stop; the others are given up."""
        await any_of(*tasks, self.told_to_stop)
        for task in tasks:
            task.cancel()

    async def _stop(self) -> None:
        """Put it to sleep. Clients that come meanwhile wait in the backlog for the next supervisor."""
        self.leases.close_door()
        self.announcer.stopping("STOPPING=1")
        await self._undo()
        self.record.forgive()

    async def _give_up(self, reason: str) -> int:
        """Answer those who wait at once, then stop what was started; systemd starts us again to cool down."""
        delay = self.record.fail(reason)
        self.announcer.failed(self.record)
        self._say(f"{self.record.reason}; the next attempt is made in {delay:g} s at the earliest")
        await self._undo()
        if self.record.wait_left() <= 0 and not self._last_look():
            # The stop outlasted the back-off: whom systemd starts now would wake the container for nobody.
            return self._leave()
        return EXIT_FAILED

    async def _undo(self) -> None:
        """Stop the container if it is ours, whatever stage its wake had reached."""
        awake = self.wake.awake
        try:
            if awake is None:
                await self._stop_ours(self.options.container)
            elif awake.owned and not awake.ended.done:
                await self._stop_ours(awake.container.id)
                await self._rest_of_output(awake)
            elif awake.owned and awake.container.restarts_itself:
                # Its end is not the end: left alone, its runtime would start it again and again.
                await self.runtime.stop(awake.container)
                self.record.asleep()
            elif self.record.phase != ENDED_BY_ITSELF:
                self.record.asleep()
        except RuntimeProblem as problem:
            self._say(f"the stop failed: {problem}")
            if awake is not None or self.runtime.asked:
                self.record.stopping()

    async def _stop_ours(self, name: str) -> None:
        """Stop the container `name`, if it runs and wakeport started it."""
        try:
            container = await self.runtime.look(name)
        except Missing:
            self.record.asleep()
            return
        if container.running and (
            self.options.adopt or self.record.claims(container.id, container.started_at)
        ):
            self.record.own(container.id, container.started_at)
            self.record.stopping()
            await self.runtime.stop(container)
        self.record.asleep()

    async def _rest_of_output(self, awake: Awake) -> None:
        patience = self._wait(LAST_OUTPUT_WITHIN)
        await any_of(awake.output, patience)
        patience.cancel()

    def _leave(self) -> int:
        self.keep.end()
        self.announcer.left(self.record)
        # What could not be stopped is not asleep: a successor, whom systemd starts, sees to that.
        return EXIT_FAILED if self.record.phase == STOPPING else EXIT_ASLEEP

    def _last_look(self) -> bool:
        """Whether anybody needs the container until this very moment: by a lease, or a keep said on one."""
        if self.leases.last_look():
            return True
        if self.keep.active:
            self.leases.open_door()
        return self.keep.active

    def _keep_changed(self) -> None:
        self.announcer.kept(self.keep.facts)
        self._leases_changed()

    def _leases_changed(self) -> None:
        if self.leases.busy or self.keep.active:
            self.idle_since = None
        elif self.idle_since is None:
            self.idle_since = now()
        self.announcer.holders(self._sleeps_in())
        self.stirred.set(None)

    async def _something(self, seconds: float | None, *futures: Future[None]) -> None:
        """Wait until anything happens that a decision may hang on, `seconds` at most."""
        self.stirred = Future()
        over: Future[None] = Future()
        timer = self.loop.call_in(seconds, lambda: over.set(None)) if seconds is not None else None
        await any_of(self.stirred, over, self.told_to_stop, *futures)
        if timer is not None:
            timer.cancel()

    def _renew(self) -> None:
        """Become the newer version; where that cannot be executed, go on as we are."""
        self.told_to_renew = Future()
        # It comes up with them held, as at any start: a stop must not kill it before it can hear one.
        self.loop.hold_signals()
        if not self.told_to_stop.done:
            handover = Handover(self.awake_since, self.idle_since, time.time(), self.leases.holders.values())
            problem = exec_successor(self.options.state, self.lease_fd, handover)
            self._say(f"the newer version cannot be started, going on with this one: {problem}")
        self.loop.release_signals()

    async def _resume(self, handover: Handover) -> Awake:
        """Go on where our older self left off."""
        for holder in handover.holders:
            self.leases.adopt(holder)
        awake = await self.wake.go_on(handover.heard_until)
        self.announcer.awake(awake, Stamps(0.0, 0.0))
        self.awake_since, self.idle_since = handover.awake_since, handover.idle_since
        return awake

    def _say(self, text: str) -> None:
        print(f"wakeport: {text}", file=sys.stderr, flush=True)
