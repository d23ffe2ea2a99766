"""How long: time spans as systemd reads and writes them (systemd.time(7))."""

from __future__ import annotations

import math
import re
from typing import Final

# systemd.time(7): a month is 30.44 days and a year 365.25. `M` is a month, `m` a minute.
_SECONDS: Final = {
    1e-6: "usec us µs μs",
    1e-3: "msec ms",
    1.0: "seconds second sec s",
    60.0: "minutes minute min m",
    3600.0: "hours hour hr h",
    86400.0: "days day d",
    604800.0: "weeks week w",
    2629800.0: "months month M",
    31557600.0: "years year y",
}
_UNITS: Final = {word: seconds for seconds, words in _SECONDS.items() for word in words.split()}
_TERM: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)[ \t]*([A-Za-zµμ]*)[ \t]*")
_SPELLED: Final = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))

# Beyond that a float does not hold milliseconds any more, and no machine lives so long.
LONGEST: Final = 100 * 31557600.0

EXAMPLE: Final = 'write it as systemd does: "90s", "1min 30s", "2h"'


class Span:
    """A length of time, in seconds to the millisecond; `float("inf")` for systemd's "infinity"."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    @classmethod
    def parse(cls, text: str) -> Span:
        """Read "1min 30s", "90" (seconds) or "infinity". Raises ValueError."""
        text = text.strip(" \t")
        if text == "infinity":
            return cls(math.inf)
        total, at = 0.0, 0
        while at < len(text):
            term = _TERM.match(text, at)
            if term is None or (term[2] and term[2] not in _UNITS):
                raise ValueError(f"{text!r} is not a time span; {EXAMPLE}")
            total += float(term[1]) * _UNITS[term[2] or "s"]
            at = term.end()
        if not text:
            raise ValueError(f"{text!r} is not a time span; {EXAMPLE}")
        if total > LONGEST:
            raise ValueError(f'{text!r} is longer than 100 years; say less, or "infinity" where that goes')
        return cls(round(total, 3))

    def __str__(self) -> str:
        return spell(self.seconds)

    def __repr__(self) -> str:
        return f"Span({self.seconds!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Span) and self.seconds == other.seconds

    def __hash__(self) -> int:
        return hash(self.seconds)


def spell(seconds: float, gap: str = "") -> str:
    """`seconds` as systemd would write them, to the millisecond: "1min 30s", "250ms", "infinity".

    With `gap=" "` as a person reads them, "9 min 58 s"; systemd understands that too.
    """
    if seconds == math.inf:
        return "infinity"
    left, milliseconds = divmod(round(seconds * 1000), 1000)
    words = []
    for size, unit in _SPELLED:
        count, left = divmod(left, size)
        if count:
            words.append(f"{count}{gap}{unit}")
    if milliseconds:
        words.append(f"{milliseconds}{gap}ms")
    return " ".join(words) or f"0{gap}s"


def roughly(seconds: float) -> str:
    """`seconds` for a glance: two units at most, as in "231 ms", "1.2 s", "9 min 58 s", "3 d 4 h"."""
    if seconds == math.inf:
        return "never"
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    return " ".join(spell(round(seconds), gap=" ").split(" ")[:4])


def decimal(seconds: float) -> str:
    """`seconds` as a plain number, as the programs take them on their command line."""
    return "infinity" if seconds == math.inf else f"{seconds:.6f}".rstrip("0").rstrip(".")
