"""When: moments as a person writes and reads them, in local time. A moment is seconds since 1970."""

from __future__ import annotations

import re
import time
from datetime import date, datetime, timedelta
from typing import Final

_MOMENT: Final = re.compile(
    r"(?:([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})[ \tT]+)?([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?", re.ASCII
)

EXAMPLE: Final = 'write it as "18:00", "18:00:30" or "2030-12-24 18:00"'


def parse(text: str, now: float) -> float:
    """Read "HH:MM[:SS]", the next such moment after `now`, or "YYYY-MM-DD HH:MM[:SS]".

    Raises ValueError with a sentence for people, also for what has passed.
    """
    found = _MOMENT.fullmatch(text.strip(" \t"))
    if found is None:
        raise ValueError(f"{text!r} is not a moment; {EXAMPLE}")
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    today = date(*time.localtime(now)[:3])
    try:
        clock = datetime.min.time().replace(hour, minute, second)
        days = [date(year, month, day)] if found[1] else [today, today + timedelta(days=1)]
        # A clock that is set back shows some moments twice.
        shown = [datetime.combine(day, clock.replace(fold=fold)) for day in days for fold in (0, 1)]
        ahead = [moment.timestamp() for moment in shown if moment.timestamp() > now]
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r}: {error}; {EXAMPLE}") from None
    if not ahead:
        raise ValueError(f"{text!r} has passed")
    return ahead[0]


def spelled(moment: float, now: float) -> str:
    """ "18:00" where it is today, else "2030-12-24 18:00"; with seconds where there are any."""
    shown, today = time.localtime(moment), time.localtime(now)
    day = "" if shown[:3] == today[:3] else time.strftime("%Y-%m-%d ", shown)
    return day + time.strftime("%H:%M:%S" if shown.tm_sec else "%H:%M", shown)
