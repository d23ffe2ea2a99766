"""The services that this one needs: a lease on each, for as long as our container is to run.

Shared by count, since each who needs a service holds a lease of its own on it. They start in parallel,
and our container is started when all of them are awake.
"""

from __future__ import annotations

import os

from wakeport.lease import AWAKE, FAILED, STOPPING, Message
from wakeport.lease_holder import LeaseHolder
from wakeport.light import socket
from wakeport.loop import Future, Loop, any_of, now

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Iterable
    from typing import Any

    from wakeport.supervisor.leases import Holder

# Seconds for the first word of a supervisor whose lease socket has taken our connection. It may lie there
# until a predecessor has stopped its container, for which Docker gives 10 s unless somebody has said more.
WORD_WITHIN = 60.0

BACK_WITHIN = 5.0  # seconds for what dozes to be thawed, before a container that is stopped ends without it


class NotAwake(Exception):
    """A need that does not wake; `str()` of it says which, and why."""


class Need:
    """One service, as far as its supervisor has told of it."""

    def __init__(self, loop: Loop, path: str, who: str, on_change: Callable[[Need], None]) -> None:
        self.name = path.rpartition("/")[2].removesuffix(".lease")
        self.path = path
        self.on_change = on_change
        self.holder = LeaseHolder(loop, path, who, self._told, self._lost, self._outlived)
        self.quiet_since = now()  # its last word, or when it could first have said one
        self.waits_for = ""
        self.failure = ""
        self.was_stopped = False  # and has not been asked since
        self.rests = False

    @property
    def is_awake(self) -> bool:
        return self.holder.state == AWAKE

    @property
    def silent_until(self) -> float:
        """When its silence is too long (monotonic); for ever while it speaks, or stops first."""
        speaks = self.holder.state is not None or self.holder.awaits_stop
        return float("inf") if speaks else self.quiet_since + WORD_WITHIN

    @property
    def may_come(self) -> bool:
        return not (self.is_awake or self.was_stopped or self.failure or self.holder.is_shut)

    def hold(self) -> None:
        self.was_stopped = self.rests = False
        self.failure = ""
        self.holder.hold()

    def rest(self) -> None:
        self.rests = True
        self.holder.release(rests=True)

    def ask(self) -> None:
        """It has yet to say that it is awake, and has its time for a word."""
        self.quiet_since = now()
        self.hold()

    def _told(self, message: Message) -> None:
        self.quiet_since = now()
        state = message.get("state")
        self.waits_for = str(message.get("waits_for") or "")
        self.failure = str(message.get("reason") or "no reason was given") if state == FAILED else ""
        self.was_stopped = state == STOPPING
        self._changed()

    def _lost(self) -> None:
        if self.rests and not self.was_stopped:
            # The successor of one that crashed does not know of us, and would stop what we come back to.
            self.holder.hold()
            self.rest()
        self._changed()

    def _outlived(self) -> None:
        self.quiet_since = now()
        self._changed()

    def _changed(self) -> None:
        self.on_change(self)

    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"path": self.path, "fd": None}
        facts |= {"state": self.holder.state, "was_stopped": self.was_stopped, "rests": self.rests}
        connection = self.holder.connection
        if connection is not None:
            facts["fd"] = connection.sock.fileno()
            facts["heard"], facts["unsent"] = connection.decoder.pending.hex(), connection.unsent.hex()
        return facts

    def go_on(self, facts: dict[str, Any] | None) -> None:
        """Where our older self left off; it is asked for now where that had not done so."""
        if facts is not None and facts["fd"] is not None:
            heard, unsent = bytes.fromhex(facts["heard"]), bytes.fromhex(facts["unsent"])
            sock = socket.socket(fileno=facts["fd"])
            self.holder.take_over(sock, heard, unsent, facts["state"], busy=not facts["rests"])
        self.was_stopped = facts is not None and facts["was_stopped"]
        self.rests = facts is not None and facts["rests"]
        if not (self.was_stopped or self.rests):
            self.hold()

    def __str__(self) -> str:
        return f"service {self.name}, which it needs"


class Needs:
    """`on_wait` hears what is still missing, whenever that changes.

    `asked` are the connections that were opened before anything was imported, by their path.
    """

    def __init__(
        self,
        loop: Loop,
        name: str,
        paths: list[str],
        asked: dict[str, _socket.socket],
        on_wait: Callable[[str], None],
    ) -> None:
        self.loop = loop
        self.on_wait = on_wait
        self.needs = [Need(loop, path, f"service {name}", self._heard) for path in paths]
        self.waiting = False
        self.changed: Future[None] = Future()
        self.users: set[tuple[int, str]] = set()
        for need in self.needs:
            if need.path in asked:
                sock = socket.socket(fileno=asked[need.path].detach())
                need.holder.take_over(sock, b"", b"", None, busy=True)
                need.holder.report([], [])

    def __bool__(self) -> bool:
        return bool(self.needs)

    async def ready(self) -> None:
        """Return when all are awake. Raises NotAwake as soon as one of them can not be.

        Without a deadline: each has its own, which its supervisor keeps. Only silence ends here.
        """
        self.waiting, said = True, ""
        try:
            for need in self.needs:
                need.ask()
            while missing := [need for need in self.needs if not need.is_awake]:
                self._refuse(missing)
                waits_for = "; ".join(map(_said, missing))
                if waits_for != said:
                    said = waits_for
                    self.on_wait(waits_for)
                self.changed = Future()
                await self._change_until(min(need.silent_until for need in missing))
        finally:
            self.waiting = False

    def rest(self) -> None:
        """Our container dozes: theirs may too, but not be stopped, since ours comes back to them."""
        for need in self.needs:
            need.rest()

    async def rest_no_more(self) -> None:
        """Our container goes on, if only to end. Return when those that dozed with it are there for that.

        Not all may come: one that is being stopped as well, or fails, or takes too long, is gone without.
        """
        until = now() + BACK_WITHIN
        awaited = [need for need in self.needs if need.rests and not need.was_stopped]
        for need in awaited:
            need.hold()
        while now() < until and any(need.may_come for need in awaited):
            self.changed = Future()
            await self._change_until(until)

    def consider(self, holders: Iterable[Holder]) -> None:
        """Somebody came to us or went: for whoever has come, those that were stopped are asked again.

        Not before: who stops a service that is needed has been told so and wants it stopped, by force or
        by hand, and our lease would wake it again in the same moment.
        """
        users = {
            (holder.connection.fileno(), use)
            for holder in holders
            if holder.busy
            for use in ("", *holder.use)  # "" is the lease itself, whatever it is for
        }
        came, self.users = users - self.users, users
        for need in self.needs:
            if came and need.was_stopped:
                need.hold()

    def facts(self) -> list[dict[str, Any]]:
        """What our newer self goes on with, for JSON; `fd` is an open lease, or None."""
        return [need.facts() for need in self.needs]

    def go_on(self, handed_over: list[dict[str, Any]]) -> None:
        """Keep the leases of our older self, without a moment in which one of them would be free."""
        facts = {entry["path"]: entry for entry in handed_over}
        for need in self.needs:
            need.go_on(facts.pop(need.path, None))
        for entry in facts.values():
            if entry["fd"] is not None:
                os.close(entry["fd"])  # it is not needed any more

    def _heard(self, need: Need) -> None:
        if need.was_stopped and self.waiting:
            need.hold()  # our wake cannot do without it; the answer comes when it has stopped
        self.changed.set(None)

    def _refuse(self, missing: list[Need]) -> None:
        for need in missing:
            if need.failure:
                raise NotAwake(f"{need}: {need.failure}")
            if need.holder.is_shut:
                raise NotAwake(f"{need}: nobody listens on its lease socket, {need.path}")
            if now() >= need.silent_until:
                raise NotAwake(f"{need}: no supervisor answered on its lease within {WORD_WITHIN:g} s")

    async def _change_until(self, when: float) -> None:
        if when == float("inf"):
            await self.changed
            return
        over: Future[None] = Future()
        timer = self.loop.call_at(when, lambda: over.set(None))
        try:
            await any_of(self.changed, over)
        finally:
            timer.cancel()


def _said(need: Need) -> str:
    return f"{need} and which waits for {need.waits_for}" if need.waits_for else str(need)
