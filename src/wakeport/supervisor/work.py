"""Whether the container is at work although nobody needs it: by its processor time, or by its own word."""

from __future__ import annotations

from wakeport.loop import Future, Loop, Task, any_of, now
from wakeport.runtimes.cgroup import cpu_seconds
from wakeport.runtimes.problems import RuntimeProblem
from wakeport.supervisor.awake import Awake
from wakeport.supervisor.options import Options
from wakeport.supervisor.readiness import Readiness, first_tcp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.runtimes.interface import Runtime

LOOK_EVERY = 1.0  # seconds; over so long its processor time is averaged
ASK_EVERY = 15.0  # seconds; a command in a container costs the Engine some 100 ms of processor time
ANSWER_WITHIN = 5.0  # seconds; who is too busy to answer is busy

BUSY = 200  # the HTTP status; any other says that it is not


class Work:
    """`found` says what it was last found at work with, for people; empty where it was at rest.

    Nothing is looked at while the container is needed anyway, nor while it is frozen.
    """

    def __init__(self, loop: Loop, options: Options, runtime: Runtime, readiness: Readiness) -> None:
        self.loop = loop
        self.share = options.busy_cpu
        self.check, _, self.argument = options.busy_check.partition(":")
        self.runtime = runtime
        self.readiness = readiness
        self.found = ""
        self.since: tuple[float, float] | None = None  # monotonic, and its processor time then
        self.asked_at: float | None = None  # monotonic; None before the first look

    def forget(self) -> None:
        """It is needed, or frozen."""
        self.found, self.since, self.asked_at = "", None, None

    @property
    def look_in(self) -> float | None:
        """Seconds until it should be looked at again; None where nothing is to be looked at."""
        looks = []
        if self.since is not None:
            looks.append(self.since[0] + LOOK_EVERY)
        if self.asked_at is not None:
            looks.append(self.asked_at + ASK_EVERY)
        return max(0.0, min(looks) - now()) if looks else None

    async def is_seen(self, awake: Awake, deciding: bool = False) -> bool:
        """Whether it has been at work since the last look. Before a decision all is looked at again."""
        used = self._used(awake, at_once=deciding)
        if used is not None and used > self.share:
            self.found = f"{used:.0%} of a processor"
            return True
        if self.check and (deciding or self.asked_at is None or now() - self.asked_at >= ASK_EVERY):
            self.asked_at = now()
            self.found = await self._said(awake)
            return bool(self.found)
        if used is not None and not self.check:
            self.found = ""
        return False

    def _used(self, awake: Awake, at_once: bool) -> float | None:
        """The part of a processor since the last look, None where that was a moment ago."""
        if self.share == float("inf"):
            return None
        used, at = cpu_seconds(awake.container.pid, own=awake.container.group), now()
        if used is None:
            return None
        if self.since is None:
            self.since = at, used
            return None
        seconds = at - self.since[0]
        if seconds < (LOOK_EVERY / 10 if at_once else LOOK_EVERY):
            return None
        part = (used - self.since[1]) / seconds
        self.since = at, used
        return part

    async def _said(self, awake: Awake) -> str:
        """Why it is busy, by its own word; empty where it is not."""
        answer: Task[bool] = self.loop.spawn(self._ask(awake))
        late: Future[None] = Future()
        timer = self.loop.call_in(ANSWER_WITHIN, lambda: late.set(None))
        try:
            await any_of(answer, late, awake.ended)
            if answer.done:
                return "its own check" if await answer else ""
        finally:
            timer.cancel()
            answer.cancel()
        return "" if awake.ended.done else "its own check, which does not answer"

    async def _ask(self, awake: Awake) -> bool:
        try:
            if self.check == "exec":
                return await self.runtime.execute(self.argument) == 0
            return await self.readiness.status_of(*first_tcp(awake.targets), self.argument) == BUSY
        except (OSError, RuntimeProblem):
            return False  # nobody is there to say so
