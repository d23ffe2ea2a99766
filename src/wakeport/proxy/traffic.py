"""Which connections need the container: those over which something passes, where open is not enough.

Loaded only where a service says how much has to pass (`counts=BYTES/SECONDS`).
"""

from __future__ import annotations

import select

from wakeport.lease import DOZING
from wakeport.lease_holder import LeaseHolder
from wakeport.light.collections import deque
from wakeport.loop import Loop, now
from wakeport.proxy.pulse import said_ago
from wakeport.proxy.relay import Relay, Side

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

LOOK_EVERY = 1.0  # seconds; what is decided on it is decided so late at most

# A container that is frozen may not have seen what was passed on just before; an idle one takes some 10 ms.
SEEN_AFTER = 0.3  # seconds

# What passes is summed up in pieces of a window, or a trickle over a day would take 10 MB a connection.
# So it counts for up to a 64th longer.
PIECES = 64


class Meter:
    """What has passed over one connection, as far back as it matters."""

    __slots__ = ("marks", "said", "said_at", "seen", "total")

    def __init__(self) -> None:
        self.seen = 0  # bytes, both ways
        self.said = 0  # of these, the client's
        self.said_at = 0.0  # when it was last seen to have said something
        self.marks: deque[tuple[float, int]] = deque()
        self.total = 0  # bytes, of all marks

    def look(self, relay: Relay, least: int, at: float, window: float) -> None:
        """Note what has passed by now. Marks that are not needed to make up `least` are forgotten."""
        said = relay.client.passed
        passed = said + relay.target.passed
        if passed == self.seen:
            return
        if said != self.said:
            self.said, self.said_at = said, at
        fresh, self.seen = passed - self.seen, passed
        self.total += fresh
        end = (at // (window / PIECES) + 1) * (window / PIECES)
        if self.marks and self.marks[-1][0] == end:
            fresh += self.marks.pop()[1]
        self.marks.append((end, fresh))
        while self.total - self.marks[0][1] >= least:
            self.total -= self.marks.popleft()[1]

    def is_used(self, least: int, since: float) -> bool:
        """Whether as much has passed since then."""
        while self.marks and self.marks[0][0] < since:
            self.total -= self.marks.popleft()[1]
        return self.total >= least


class Traffic:
    """Holds the lease while over any connection `least` bytes have passed in the last `window` seconds.

    A new connection counts for that long in any case, and so does whatever else is served: who is held, and
    UDP flows, which end by themselves. With `rests` the container is kept from being stopped while there are
    only silent ones.
    """

    def __init__(
        self,
        loop: Loop,
        served: Mapping[Any, Relay | None],
        lease: LeaseHolder,
        least: int,
        window: float,
        rests: bool,
    ) -> None:
        self.loop = loop
        self.served = served
        self.lease = lease
        self.least = least
        self.window = window
        self.rests = rests
        self.meters: dict[Relay, Meter] = {}
        self.ticking = False
        self.trapped: list[Side] = []

    def begin(self, relay: Relay) -> None:
        meter = self.meters[relay] = Meter()
        meter.marks.append((now(), self.least))
        meter.total = self.least
        self._tick_later()

    def told(self, state: object) -> None:
        """What the supervisor said last; None where it has gone."""
        if state == DOZING:
            self._await_first()
        else:
            self._await_no_more()

    def _await_first(self) -> None:
        """The container dozes: it is to be asked for as soon as any client says something."""
        self._look()
        if any(self._spoke_just_now(relay, meter) for relay, meter in self.meters.items()):
            self.lease.stir()
            return
        self.trapped = [relay.client for relay in self.meters]
        for side in self.trapped:
            side.divert(self._trap(side))

    def _spoke_just_now(self, relay: Relay, meter: Meter) -> bool:
        ago = said_ago(relay.client.sock)
        if ago is None:  # all that is known is at which look it was new
            return now() - meter.said_at < LOOK_EVERY + SEEN_AFTER
        return meter.said > 0 and ago < SEEN_AFTER

    def _await_no_more(self) -> None:
        trapped, self.trapped = self.trapped, []
        for side in trapped:
            if not side.relay.finished:
                side.divert(None)
        self._tick_later()

    def _trap(self, side: Side) -> Callable[[int], None]:
        def on_event(events: int) -> None:
            # Also where it only takes bytes again: what follows these may have to come from the container.
            if not events & select.EPOLLERR:
                self.lease.stir()
                self._await_no_more()
            side.on_event(events)

        return on_event

    def _tick_later(self) -> None:
        if not self.ticking:
            self.ticking = True
            self.loop.call_in(LOOK_EVERY, self._tick)

    def _tick(self) -> None:
        self.ticking = False
        if not self.served or self.trapped:
            return
        self._look()
        since = now() - self.window
        # Each is looked at, so that each forgets what is old. A target that reads nothing may be at work.
        used = [
            relay
            for relay, meter in self.meters.items()
            if meter.is_used(self.least, since) or relay.target.is_owed
        ]
        self._tick_later()
        if self.lease.connection is None and not self.lease.is_orphaned:
            return  # it failed, and is asked when that is over; or was stopped, and the next client asks
        if used or any(relay is None for relay in self.served.values()):
            self.lease.hold()
        elif self.lease.busy:
            self.lease.release(self.rests)
        elif self.lease.is_orphaned:
            self.lease.hold()  # a successor does not know who rests, and we have to hear when it dozes

    def _look(self) -> None:
        at = now()
        self.meters = {relay: meter for relay, meter in self.meters.items() if not relay.finished}
        for relay, meter in self.meters.items():
            meter.look(relay, self.least, at, self.window)
