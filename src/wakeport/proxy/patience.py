"""How long clients are held before they are told that nothing comes."""

from __future__ import annotations

from wakeport.loop import Loop, Timer, now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# The supervisor ends its own wait at ready_within and says why. Only where it cannot does this one
# count, and it must not forestall the better reason.
GRACE = 30.0  # seconds


class Patience:
    """One deadline for all who wait: `answer_within` seconds for the supervisor's first word, then
    `ready_within` and some grace for the container. `exhausted` gets the reason, for people.
    """

    def __init__(
        self, loop: Loop, answer_within: float, ready_within: float, exhausted: Callable[[str], None]
    ) -> None:
        self.loop = loop
        self.answer_within = answer_within
        self.awake_within = ready_within + GRACE
        self.exhausted = exhausted
        self.since: float | None = None
        self.timer: Timer | None = None

    def begin(self, answered: bool) -> None:
        """Somebody waits. Who comes later waits with them: the deadline stays where it is."""
        if self.since is None:
            self.begin_anew(answered)

    def begin_anew(self, answered: bool) -> None:
        """Somebody waits, and what they waited for so far does not count: a predecessor had to stop first."""
        self.since = now()
        self._expect(answered)

    def answered(self) -> None:
        """The supervisor is there and at work."""
        if self.since is not None:
            self._expect(answered=True)

    def suspend(self) -> None:
        """Somebody waits, but for as long as the predecessor needs to stop, which it bounds itself."""
        self.since = now()
        self._disarm()

    def end(self) -> None:
        """Nobody waits any more."""
        self.since = None
        self._disarm()

    def _expect(self, answered: bool) -> None:
        assert self.since is not None
        self._disarm()
        seconds = self.awake_within if answered else self.answer_within
        missing = "the container was not awake" if answered else "no supervisor answered on the lease"
        self.timer = self.loop.call_at(
            self.since + seconds, lambda: self.exhausted(f"{missing} within {seconds:g} s")
        )

    def _disarm(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
