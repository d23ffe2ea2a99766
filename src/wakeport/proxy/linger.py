"""When nobody is there: first to say so on the lease, then to leave."""

from __future__ import annotations

from wakeport.loop import Loop, Timer, now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# A client that opens one connection after another would otherwise make two messages of each.
RELEASE_AFTER = 0.1  # seconds

# Longer than the pause between two connections of a page or a script; a start costs about 60 ms.
LEAVE_AFTER = 1.0  # seconds


class Linger:
    """`release` is called after a tenth of a second without clients, `leave` after a second of it.

    One timer however often clients come and go: it is read when it is due, not moved each time.
    """

    def __init__(self, loop: Loop, release: Callable[[], None], leave: Callable[[], None]) -> None:
        self.loop = loop
        self.release = release
        self.leave = leave
        self.since: float | None = None
        self.released = False
        self.timer: Timer | None = None

    def nobody(self) -> None:
        """Also of who was sent away at once: the silence goes on then."""
        self.since = now() if self.since is None else self.since
        if self.timer is not None and self.timer.when > self.since + RELEASE_AFTER:
            # Set for the end of an earlier silence, it would keep the container awake until then.
            self.timer.cancel()
            self.timer = None
        if self.timer is None:
            self.timer = self.loop.call_in(RELEASE_AFTER, self._look)

    def somebody(self) -> None:
        self.since = None
        self.released = False

    def stay_no_longer(self) -> None:
        """Leave now, where that was due before and put off: what there was to stay for may be over."""
        if self.since is not None and now() - self.since >= LEAVE_AFTER:
            self.leave()

    def _look(self) -> None:
        self.timer = None
        if self.since is None:
            return
        idle = now() - self.since
        if idle < RELEASE_AFTER:
            self.timer = self.loop.call_at(self.since + RELEASE_AFTER, self._look)
            return
        if (
            not self.released
        ):  # also where it is time for both: who does not leave after all holds on to nothing
            self.released = True
            self.release()
        if idle < LEAVE_AFTER:
            self.timer = self.loop.call_at(self.since + LEAVE_AFTER, self._look)
        else:
            self.leave()
