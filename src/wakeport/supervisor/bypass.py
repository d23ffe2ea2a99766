"""Awake traffic past the proxy: when the way is open, and whether anybody is on it.

Open while the container is awake, and closed before anything is decided about its sleep: from then on who
comes is at the listener, and the last look finds who came before. What it takes is imported only where a
service wants it.
"""

from __future__ import annotations

import time

from wakeport.loop import Loop, Timer, now
from wakeport.runtimes.problems import RuntimeProblem
from wakeport.runtimes.program import run
from wakeport.supervisor.awake import Awake
from wakeport.supervisor.bound import is_bound, is_listening
from wakeport.supervisor.options import Options
from wakeport.supervisor.stop import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from wakeport.bypass.passage import Passage
    from wakeport.runtimes.container import Target

# Seconds from one renewal to the next: twice within the time that it lasts, or more often where a part of
# what is waited for is less, since by then it is known who has come.
RENEW_EVERY_LEAST, RENEW_EVERY_MOST, QUARTER = 0.2, 2.0, 4
TRY_AGAIN_AFTER = 30.0  # seconds until nft is run again that has failed

# Seconds between two looks at all connections of the machine, 10 ms each: a part of what is waited for.
LOOK_EVERY_LEAST, LOOK_EVERY_MOST, TENTH = RENEW_EVERY_LEAST, 10.0, 10
LOOK_ANYWAY_EVERY = 60.0  # seconds, where nobody was connected, and nobody has come since

NOWHERE = "the container is on no bridge of this machine by which it also answers"

WHO = "bypass"  # in status.json, among those who hold leases


class Bypass:
    """`busy` as of the last look: somebody is connected past the proxy, or was since then. So it is as well
    where the kernel does not tell: who cannot be seen is not to be cut off.

    `on_change()` is called where that, or who it is, is new.
    """

    def __init__(self, loop: Loop, options: Options, on_change: Callable[[], None]) -> None:
        self.loop = loop
        self.options = options
        self.on_change = on_change
        self.passage: Passage | None = None
        self.awake: Awake | None = None
        self.is_open = False
        self.is_over = False  # not wanted any more, and somebody is on it
        self.busy = False
        self.has_come = False  # somebody, before the way was closed
        self.since = 0.0  # seconds since 1970
        self.looked_at = -LOOK_ANYWAY_EVERY  # monotonic, as the next
        self.made_at = -TRY_AGAIN_AFTER
        self.why_closed = ""
        self.timer: Timer | None = None
        shortest = min(options.idle, options.doze)
        self.renew_every = min(max(shortest / QUARTER, RENEW_EVERY_LEAST), RENEW_EVERY_MOST)
        self.look_every = min(max(shortest / TENTH, LOOK_EVERY_LEAST), LOOK_EVERY_MOST)

    def begin(self, targets: Mapping[str, Target], left: list[str]) -> None:
        """A predecessor that was killed has left it as it was, leading to `targets`, which may be others'.

        `left` are the words of our older self, where somebody is on its way past the proxy.
        """
        words = self.options.bypass or left
        if not words:
            return
        self.is_over = not self.options.bypass
        from wakeport.bypass.passage import Passage

        try:
            self.passage = Passage(
                words, self.options.allow, self.options.busy_least, self.options.busy_window
            )
            if not self.options.takes_over:
                self.passage.succeed(_ports(targets))
        except OSError as error:
            self._complain(error)

    def lead_to(self, awake: Awake) -> None:
        """Where the container answers, of both families of IP."""
        if self.passage is None:
            return
        try:
            self.awake = awake
            self.passage.lead_to(_everywhere(awake))
            if awake.woken:
                # What the kernel still knows of this address was another's.
                self.passage.forget()
        except OSError as error:
            self._complain(error)

    def open(self) -> None:
        """To a container that runs."""
        if self.is_over:
            self._see_off()
        elif self.passage is not None and not self.is_open:
            self._put_off()
            self.is_open = True
            self._renew()

    def close(self) -> None:
        """From now on who comes is at the listener."""
        if self.passage is None or not self.is_open:
            return
        self._put_off()
        self.is_open, self.has_come = False, True
        try:
            self.has_come = bool(self.passage.came())
        except OSError as error:
            self._complain(error)
        try:
            self.passage.close()
        except OSError as error:
            self.has_come = True
            self._complain(error)
        if self.busy:
            self._look_until_they_left()

    def last_look(self) -> bool:
        """Close it; whether anybody is connected past the proxy, or was since the look before."""
        self.close()
        came, self.has_come = self.has_come, False
        self.look()
        self.busy = self.busy or came
        return self.busy

    def look(self) -> bool:
        """Whether anybody is connected now."""
        if self.passage is None:
            return False
        self.looked_at = now()
        before = self.passage.flows.clients
        try:
            self.passage.look()
            self.busy = bool(self.passage.flows.clients)
        except OSError as error:
            self.busy = True
            self._complain(error)
        self.since = self.since if before else time.time()
        return self.busy

    def end(self) -> None:
        """Close it to a container that has ended: also who was connected comes to the listener next."""
        self.close()
        self._put_off()
        self.busy = False
        if self.passage is not None:
            try:
                self.passage.forget()
            except OSError as error:
                self._complain(error)

    def rest(self) -> None:
        """The container is about to be frozen: what comes next of UDP is to thaw it."""
        if self.passage is not None:
            try:
                self.passage.forget_idle()
            except OSError as error:
                self._complain(error)

    def holders(self) -> list[dict[str, Any]]:
        """Who is on it, as a holder of a lease is told."""
        if self.passage is None or not self.busy:
            return []
        flows, at = self.passage.flows, time.time()
        return [
            {
                "who": WHO,
                "busy": True,
                "rests": False,
                "use": flows.clients,
                "last": [None if quiet is None else round(at - quiet, 3) for quiet in flows.quiet],
                "since": round(self.since, 3),
            }
        ]

    def facts(self) -> dict[str, Any] | None:
        """For status.json; None where the service has none."""
        if not self.options.bypass:
            return None
        gated_by, why, is_in = "", self.why_closed, False
        if self.passage is not None and self.is_open:
            gated_by, is_in = self.passage.gated_by, self.passage.is_in
            why = why or ("" if self.passage.elements else NOWHERE)
        return {"open": is_in and not why, "why": why, "gated_by": gated_by}

    def _see_off(self) -> None:
        """Nobody is sent on any more; who is on it counts until he has gone."""
        self._put_off()
        before = (self.busy, self.holders())
        if self.look():
            self.timer = self.loop.call_in(self.look_every, self._see_off)
        else:
            self.passage = None
        if before != (self.busy, self.holders()):
            self.on_change()

    def _renew(self) -> None:
        self.timer = None
        if self.passage is None or not self.is_open:
            return
        self.timer = self.loop.call_in(self.renew_every, self._renew)
        before = (self.busy, self.passage.flows.clients, self.facts())
        try:
            came = self.passage.came()
            if self.awake is not None and self.awake.container.also_at:
                self.passage.lead_to(_everywhere(self.awake))  # it may listen there later, or no more
            self.passage.renew()
            self.why_closed = ""
        except FileNotFoundError:
            came, self.passage.is_in = 0, False
            self.loop.spawn(self._make_table())
        except OSError as error:
            came = 0
            self._complain(error)
        # None is connected who has not come, but for one who came in the moment of a renewal.
        some = came or self.busy or self.passage.flows.silent
        told = False
        if now() - self.looked_at >= (self.look_every if some else LOOK_ANYWAY_EVERY):
            told = self.look()  # also for how long they have been silent
        self.busy = self.busy or bool(came)
        if told or before != (self.busy, self.passage.flows.clients, self.facts()):
            self.on_change()

    def _look_until_they_left(self) -> None:
        """While a person has it frozen, nobody else looks at who was connected when that began."""
        self.timer = self.loop.call_in(self.look_every, self._look_until_they_left)
        if now() - self.looked_at >= self.look_every and not self.look():
            self._put_off()
            self.on_change()

    async def _make_table(self) -> None:
        """The first of all services does it, or whoever finds that somebody has flushed all rules."""
        if now() - self.made_at < TRY_AGAIN_AFTER and self.why_closed:
            return
        from wakeport.bypass.table import commands

        self.made_at, self.why_closed = now(), ""
        try:
            if await run(self.loop, ["nft", commands()]):
                self.why_closed = "nft(8) could not make the table; `wakeport doctor` tells more"
        except RuntimeProblem as problem:
            self.why_closed = str(problem)
        if self.why_closed:
            say(f"bypass: {self.why_closed}; all clients go through the proxy")
            self.on_change()
        elif self.passage is not None and self.is_open:
            self._put_off()
            try:
                self.passage.renew()
            except OSError as error:
                self._complain(error)
            self.timer = self.loop.call_in(self.renew_every, self._renew)
            self.on_change()

    def _put_off(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _complain(self, error: OSError) -> None:
        why = f"the kernel refuses: {error.strerror}"
        if why != self.why_closed:
            self.why_closed = why
            say(f"bypass: {why}; all clients go through the proxy")


def _ports(targets: Mapping[str, Target]) -> dict[str, list[tuple[str, int]]]:
    """Without those that are paths."""
    return {key: [(target[0], target[1])] for key, target in targets.items() if len(target) == 2}


def _everywhere(awake: Awake) -> dict[str, list[tuple[str, int]]]:
    """Also by IPv6 where it has such an address, and listens there; never where it would not answer from."""
    from wakeport.bypass.elements import packed
    from wakeport.bypass.surroundings import answers_from

    found = _ports(awake.targets)
    container = awake.container
    if container.also_at:
        for key, places in found.items():
            six = (container.also_at, places[0][1])
            hears = is_bound if key.endswith("/udp") else is_listening
            try:
                if hears(container.pid, *six):
                    places.append(six)
            except OSError:
                continue
    return {
        key: [place for place in places if answers_from(container.pid, packed(place[0]))]
        for key, places in found.items()
    }
