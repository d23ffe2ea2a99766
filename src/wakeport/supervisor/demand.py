"""Whether the container is needed, and for how long it has not been: what decisions to sleep rest on."""

from __future__ import annotations

from wakeport.loop import now
from wakeport.supervisor.bypass import Bypass
from wakeport.supervisor.keep import Keep
from wakeport.supervisor.leases import Leases
from wakeport.supervisor.options import Options

NEVER = float("inf")


class Demand:
    """All times are seconds on the monotonic clock.

    `quiet_since` is when it was last needed, None while it is: so long it has had no reason to run.
    `idle_since` is the same, but None also while somebody rests: so long nobody would miss it. `asked` says
    whether somebody asked for it, busy or not, since that was last taken back, and `asked_at` when; from
    `stirred_at` on it is left awake for a while.
    """

    def __init__(self, leases: Leases, keep: Keep, bypass: Bypass, options: Options) -> None:
        self.leases = leases
        self.keep = keep
        self.bypass = bypass
        self.options = options
        self.quiet_since: float | None = None
        self.idle_since: float | None = None
        self.asked = False
        self.asked_at = self.stirred_at = 0.0

    @property
    def is_needed(self) -> bool:
        """Whether somebody, or a keep, wants it to run."""
        return self.quiet_since is None

    def look(self) -> None:
        """Something about the leases has changed."""
        needed = self.leases.busy or self.keep.active or self.bypass.busy
        self.quiet_since = None if needed else self.quiet_since or now()
        self.idle_since = None if needed or self.leases.somebody_rests else self.idle_since or now()
        if self.leases.asked:
            self.leases.asked, self.asked = False, True
            self.asked_at = self.stirred_at = now()

    def last_look(self) -> bool:
        """Whether anybody keeps it from being stopped until this very moment: by a lease, by a keep that
        was said on one, or by a connection past the proxy. If not, nobody is accepted any more.
        """
        if self.bypass.last_look() or self.leases.last_look():
            self.look()
            return True
        if self.keep.active:
            self.leases.open_door()
        return self.keep.active

    def catch_up(self) -> None:
        """Hear who came or spoke until this very moment, by whatever way."""
        self.asked = False
        self.bypass.last_look()
        self.leases.catch_up()
        self.look()

    def begin(self) -> None:
        """It is awake: what was before counts no more."""
        self.quiet_since = self.idle_since = None
        self.stirred_at = now()
        self.look()

    def renew(self) -> None:
        """It was at work until now, although nobody holds a lease for it."""
        if self.quiet_since is not None:
            self.quiet_since = now()
        if self.idle_since is not None:
            self.idle_since = now()

    def put_off(self, seconds: float) -> None:
        """What was to be done now can only be tried again in so many seconds."""
        again = now() + seconds
        if self.idle_since is not None:
            self.idle_since = max(self.idle_since, again - self.options.idle)
        self.stirred_at = max(self.stirred_at, again - self.options.doze)

    @property
    def dozes_in(self) -> float | None:
        """Seconds until it has been quiet for long enough to doze; None while that time does not run."""
        if self.quiet_since is None or self.options.doze == NEVER:
            return None
        return max(self.quiet_since, self.stirred_at) + self.options.doze - now()

    @property
    def sleeps_in(self) -> float | None:
        """Seconds until it has been idle for long enough to be stopped; None while that time does not run."""
        if self.idle_since is None or self.options.idle == NEVER:
            return None
        return self.idle_since + self.options.idle - now()
