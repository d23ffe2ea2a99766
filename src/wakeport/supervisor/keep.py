"""Until when the container is kept awake though nobody holds a lease: said once, by a person or by a clock.

Kept in a small file in /run, so that it outlives this process; it is gone at a reboot, after which the
timer says again what the clock wants. Moments are seconds since 1970.
"""

from __future__ import annotations

import os
import time

from wakeport.lease import CALENDAR, FOR_EVER
from wakeport.loop import Loop, Timer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HAND = "hand"

# A timer of the loop knows nothing of a clock that is set, nor of a suspend: so the clock is read again
# after that many seconds at the latest.
READ_CLOCK_EVERY = 30.0

LAST_MOMENT = 253_402_300_799  # the end of the year 9999; what is later cannot be shown, and is for ever


class Keep:
    """Two entries, by hand and by calendar. `on_change()` is called when one begins, changes or ends."""

    def __init__(self, loop: Loop, directory: str, on_change: Callable[[], None]) -> None:
        self.loop = loop
        self.path = directory + "/keep"
        self.on_change = on_change
        self.entries: dict[str, float] = {}
        self.timer: Timer | None = None
        self._load()
        self._look_later()

    @property
    def until(self) -> float | None:
        """The moment after which nothing keeps it; infinity for never, None where nothing does now."""
        ahead = [until for until in self.entries.values() if until > time.time()]
        return max(ahead, default=None)

    @property
    def active(self) -> bool:
        return self.until is not None

    @property
    def facts(self) -> list[dict[str, Any]]:
        """As status.json has them; an `until` of None is for ever."""
        return [
            {"by": by, "until": None if until == float("inf") else until}
            for by, until in sorted(self.entries.items(), reverse=True)
        ]

    def hear(self, who: str, wanted: object) -> float | str | None:
        """Take in what a holder of a lease says; what then holds, as it is said back.

        What is garbled or past is ignored. A person's release is for the clock's entry too, until its
        next window.
        """
        by = CALENDAR if who == CALENDAR else HAND
        if wanted is None:
            self._become({} if by == HAND else {key: self.entries[key] for key in self.entries if key != by})
        elif (until := _moment(wanted)) is not None and until > time.time():
            self._become({**self.entries, by: until})
        return _said(self.entries.get(by))

    def end(self) -> None:
        """Nothing keeps it any more: it was put to sleep by order."""
        self._become({})

    def _become(self, entries: dict[str, float]) -> None:
        if entries != self.entries:
            self.entries = entries
            self._save()
            self.on_change()
        self._look_later()

    def _look_later(self) -> None:
        """Read the clock when the next entry ends, or soon."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.entries:
            left = min(self.entries.values()) - time.time()
            self.timer = self.loop.call_in(max(0.0, min(left, READ_CLOCK_EVERY)), self._look)

    def _look(self) -> None:
        self._become({by: until for by, until in self.entries.items() if until > time.time()})

    def _load(self) -> None:
        try:
            with open(self.path, encoding="utf-8") as file:
                entries = {by: float(until) for by, until in map(str.split, file)}
        except (OSError, ValueError):
            return
        now = time.time()
        self.entries = {by: until for by, until in entries.items() if until > now}

    def _save(self) -> None:
        fresh = self.path + ".new"
        # As with the record: nobody but a successor reads it.
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
            file.writelines(f"{by} {_said(until)}\n" for by, until in self.entries.items())
        os.rename(fresh, self.path)


def _moment(said: object) -> float | None:
    """What a lease said as a moment; None where it is none."""
    if said == FOR_EVER:
        return float("inf")
    if isinstance(said, bool) or not isinstance(said, (int, float)):
        return None
    if 0 < said <= LAST_MOMENT:
        return float(said)
    return float("inf") if LAST_MOMENT < said < float("inf") else None  # NaN is none, nor what is past


def _said(until: float | None) -> float | str | None:
    return FOR_EVER if until == float("inf") else until
