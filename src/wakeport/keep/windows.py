"""A window by the clock, "Mon..Fri 08:00-18:00": what it says, whether a moment is inside, and until when.

Local time throughout, as systemd's timers have it. A moment is seconds since 1970. Pure, but for the time
zone.
"""

from __future__ import annotations

import re
import time
from datetime import date, datetime, timedelta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EVERY_DAY = frozenset(range(7))
WHOLE_DAY = 86400  # seconds, and the end of a window that lasts to midnight

# Windows that join for longer than a week have no gap in any week: every one is like the other.
FOR_EVER_AFTER = 8 * WHOLE_DAY

# Where clocks are put forward, it is in these hours of the night, and by one hour at most.
CLOCKS_CHANGE_BEFORE = 4 * 3600  # seconds after midnight
CLOCKS_CHANGE_BY = 3600

_FULL = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NUMBERS = {name.lower(): number for names in (DAYS, _FULL) for number, name in enumerate(names)}

_CLOCK = r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?"
_WINDOW = re.compile(rf"(?:([A-Za-z.,]+)[ \t]+)?{_CLOCK}[ \t]*-[ \t]*{_CLOCK}", re.ASCII)

EXAMPLE = 'write it as in "Mon..Fri 08:00-18:00", "Sat,Sun 10:00-12:00" or "22:00-06:00"'


class Window:
    """From `start` to `end`, in seconds after midnight by the clock, on the days (0 is Monday) it begins on.

    Where `end` is not after `start` it is that of the next day.
    """

    __slots__ = ("days", "end", "start")

    def __init__(self, days: frozenset[int], start: int, end: int) -> None:
        self.days = days
        self.start = start
        self.end = end

    @classmethod
    def parse(cls, text: str) -> Window:
        """Read "[WEEKDAYS] HH:MM[:SS]-HH:MM[:SS]". Raises ValueError with a sentence for people."""
        found = _WINDOW.fullmatch(text.strip(" \t"))
        if found is None:
            raise ValueError(f"{text!r} is not a window; {EXAMPLE}")
        days = found[1]
        start, end = _seconds(text, *found.group(2, 3, 4)), _seconds(text, *found.group(5, 6, 7))
        if start == WHOLE_DAY:
            raise ValueError(f"{text!r} begins at midnight; write that as 00:00")
        if start == end:
            raise ValueError(f'{text!r} ends when it begins; the whole day is "00:00-24:00"')
        return cls(_days(text, days) if days else EVERY_DAY, start, end)

    @property
    def calendar(self) -> list[str]:
        """When it begins, as OnCalendar= has it, systemd.time(7)."""
        starts = [self.start]
        if self.start < CLOCKS_CHANGE_BEFORE:
            # A time that the clocks leave out in spring does not come, and the timer waits for another
            # day; an hour later it has come at the latest. On all other days that one changes nothing.
            starts.append(self.start + CLOCKS_CHANGE_BY)
        return [f"{_spelled_days(self.days)}*-*-* {_clock(start, seconds=True)}" for start in starts]

    def around(self, moment: float) -> Iterator[tuple[float, float]]:
        """Its beginnings and ends of that day and the one before: all that `moment` can be inside of."""
        today = date(*time.localtime(moment)[:3])
        for day in (today - timedelta(days=1), today):
            if day.weekday() in self.days:
                over_midnight = 0 if self.end > self.start else WHOLE_DAY
                # Where the clock shows a time twice, the window has both.
                yield min(_moments(day, self.start)), max(_moments(day, self.end + over_midnight))

    def __str__(self) -> str:
        return f"{_spelled_days(self.days)}{_clock(self.start)}-{_clock(self.end)}"

    def __repr__(self) -> str:
        return f"Window({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Window) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def kept_until(windows: Sequence[Window], moment: float) -> float | None:
    """When the windows end of which one has `moment` inside: overlapping and adjoining ones are one.

    None where it is inside of none, infinity where they leave no gap.
    """
    until = moment
    while until - moment < FOR_EVER_AFTER:
        ends = [end for window in windows for start, end in window.around(until) if start <= until < end]
        if not ends:
            return until if until > moment else None
        until = max(ends)
    return float("inf")


def _moments(day: date, seconds: int) -> tuple[float, float]:
    """When clocks show so many seconds after the midnight that begins `day`: twice where they are set back.

    PEP 495: of a time that they leave out, those are an hour apart too.
    """
    shown = datetime.combine(day, datetime.min.time()) + timedelta(seconds=seconds)
    first, second = shown.timestamp(), shown.replace(fold=1).timestamp()
    return (first, first) if second < first else (first, second)


def _seconds(text: str, hours: str, minutes: str, seconds: str | None) -> int:
    total = int(hours) * 3600 + int(minutes) * 60 + int(seconds or 0)
    if int(minutes) > 59 or int(seconds or 0) > 59 or total > WHOLE_DAY:
        raise ValueError(f"{text!r}: a time of day goes from 00:00 to 24:00; {EXAMPLE}")
    return total


def _days(text: str, written: str) -> frozenset[int]:
    """ "Mon..Wed,Fri" as numbers; a range may go over Sunday."""
    days: set[int] = set()
    for part in written.split(","):
        first, dots, last = part.partition("..")
        try:
            begin = _NUMBERS[first.lower()]
            end = _NUMBERS[last.lower()] if dots else begin
        except KeyError as unknown:
            raise ValueError(f"{text!r}: {unknown} is no weekday; {EXAMPLE}") from None
        days |= {(begin + ahead) % 7 for ahead in range((end - begin) % 7 + 1)}
    return frozenset(days)


def _spelled_days(days: frozenset[int]) -> str:
    """As systemd writes them, with a blank behind; every day is nothing at all."""
    if days == EVERY_DAY:
        return ""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    spelled = [
        f"{DAYS[run[0]]}..{DAYS[run[-1]]}" if len(run) > 2 else ",".join(DAYS[day] for day in run)
        for run in runs
    ]
    return f"{','.join(spelled)} "


def _clock(total: int, seconds: bool = False) -> str:
    shown = f"{total // 3600:02}:{total // 60 % 60:02}"
    return f"{shown}:{total % 60:02}" if seconds or total % 60 else shown
