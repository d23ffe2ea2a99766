"""What systemd tells of a unit unasked, in the words of changes.py: its states, and who ordered its end."""

from __future__ import annotations

from wakeport.loop import Future
from wakeport.runtimes.changes import (
    ENDED,
    KILLED,
    LISTENING,
    ORDERED,
    OTHER,
    OUT_OF_MEMORY,
    STARTED,
)
from wakeport.runtimes.problems import RuntimeProblem
from wakeport.runtimes.systemd.begin import PATH as MANAGER_PATH
from wakeport.runtimes.systemd.bus import PROPERTIES, Bus
from wakeport.runtimes.systemd.unit import DUMPED, EXITED, KILLED_BY_SIGNAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from wakeport.dbus.messages import Message

JOB = "org.freedesktop.systemd1.Job"
ORDERS = ("stop", "restart", "try-restart")  # jobs that end a unit
FORGOTTEN = "forgotten"  # of a job: systemd has executed itself anew, and nobody tells us of it any more
KEPT = 64  # results of jobs that nobody has asked for yet

SIGKILL, SIGTERM = 9, 15
DOWN = ("inactive", "failed")


class Signals:
    """Listens from the first moment on, for the result of a job may come right behind the job itself.

    `stops_itself` is for a main process that tells systemd when it is about to end by itself: that looks
    as if somebody had asked it to. `told_by` is the exit status by which it says that somebody has.
    """

    stops_itself = False
    told_by: int | None = None

    def __init__(self, bus: Bus, unit: str, path: str) -> None:
        self.bus = bus
        self.unit = unit
        self.path = path
        self.results: dict[str, str] = {}
        self.up: bool | None = None
        self.jobs: set[int] = set()  # those under way that began while it was up
        self.main_pid = 0  # as far as systemd has told it
        self.next: Future[None] = Future()
        self.lost: Future[None] = Future()
        self.tell: Callable[[str], None] = _to_nobody
        bus.hear_of(MANAGER_PATH, path)
        bus.on_signal.append(self._hear)
        bus.on_end.append(self._end)

    def changed(self) -> Future[None]:
        """Done at the next signal about this unit, or at the end of the connection."""
        return self.next

    async def result_of(self, job: list[Any]) -> str:
        """How that job ended: done, failed, canceled, timeout, dependency, skipped, or FORGOTTEN."""
        path = str(job[0])
        while path not in self.results:
            if self.bus.connection is None:
                return FORGOTTEN
            await self.next
        return self.results.pop(path)

    async def follow(self, tell: Callable[[str], None]) -> None:
        """Tell until systemd hangs up. Raises RuntimeProblem where it does not answer at all."""
        self.lost = Future()
        # On systemd's own socket everybody hears everything; the bus wants to be asked.
        await self.bus.call("Subscribe")
        self.tell = tell
        tell(LISTENING)
        try:
            await self.lost
        finally:
            self.tell = _to_nobody

    def _hear(self, message: Message) -> None:
        if message.member == "JobRemoved" and message.body[2] == self.unit:
            while len(self.results) >= KEPT:
                del self.results[next(iter(self.results))]
            self.results[message.body[1]] = message.body[3]
            self.jobs.discard(message.body[0])
        elif message.member == "JobNew" and message.body[2] == self.unit:
            if self.up:
                self.jobs.add(message.body[0])
            self._ask_for_order(message.body[1])
        elif message.member == "PropertiesChanged" and message.path == self.path:
            self._properties(dict(message.body[1]))
        else:
            return
        self._stir()

    def is_up(self, up: bool) -> None:
        """What the first look has found, so that the next change is known as one."""
        self.up = up if self.up is None else self.up

    def _ask_for_order(self, job: str) -> None:
        """A stop takes as long as the unit does, so its job is mostly still there to be asked."""
        try:
            serial = self.bus.send("Get", JOB, "JobType", path=job, interface=PROPERTIES)
        except RuntimeProblem:
            return
        self.bus.loop.spawn(self._order(serial))

    async def _order(self, serial: int) -> None:
        try:
            [kind] = await self.bus.answer(serial)
        except RuntimeProblem:
            return  # done already: it was no stop of what runs
        if kind in ORDERS:
            self.tell(ORDERED)

    def _properties(self, changed: dict[str, Any]) -> None:
        if changed.get("Result") == "oom-kill":
            self.tell(OUT_OF_MEMORY)
        self.main_pid = changed.get("MainPID", self.main_pid)
        if changed.get("ActiveState") == "deactivating" and self.main_pid and not self.stops_itself:
            self.tell(ORDERED)  # told to end while its process lives
        if changed.get("ExecMainCode") in (KILLED_BY_SIGNAL, DUMPED):
            self.tell({SIGKILL: KILLED, SIGTERM: ORDERED}.get(changed.get("ExecMainStatus", 0), OTHER))
        if (changed.get("ExecMainCode"), changed.get("ExecMainStatus")) == (EXITED, self.told_by):
            self.tell(ORDERED)
        if "ActiveState" in changed:
            up = changed["ActiveState"] not in DOWN and changed.get("SubState") != "auto-restart"
            if not up and self.jobs:
                # Who looks late finds the job gone, and cannot ask it; but of what it was about it is told
                # before its end.
                self.tell(ORDERED)
            if up != self.up:
                self.tell(STARTED if up else ENDED)
            self.up = up
        self.tell(OTHER)

    def _end(self) -> None:
        self.lost.set(None)
        self._stir()

    def _stir(self) -> None:
        stirred, self.next = self.next, Future()
        stirred.set(None)


def _to_nobody(_word: str) -> None:
    return
