"""What the proxy's command line says: `KEY=VALUE` words, one `target=` for each listening descriptor."""

from __future__ import annotations

import math
import sys

KEYS = ("name", "lease", "ready_within", "answer_within", "target", "relay")

# Docker gives a container 10 s to stop, and a lease that is asked for in that time is answered
# only by the next supervisor: a shorter patience would refuse clients who merely came at a bad moment.
ANSWER_WITHIN = 15.0


class OptionError(ValueError):
    """The command line is not what the unit should say; the text names the word."""


class Options:
    """`ready_within` and `answer_within` are seconds; `targets[i]`, as `80/tcp`, is for the i-th listener."""

    __slots__ = ("answer_within", "lease", "name", "ready_within", "relay", "targets")

    def __init__(self, words: list[str]) -> None:
        """Raises OptionError."""
        given: dict[str, list[str]] = {key: [] for key in KEYS}
        for word in words:
            key, equals, value = word.partition("=")
            if not equals or not value or key not in given:
                raise OptionError(f"{word!r} is none of {', '.join(f'{known}=' for known in KEYS)}")
            given[key].append(value)
        self.name = _one(given, "name")
        self.lease = _one(given, "lease")
        self.ready_within = _seconds(_one(given, "ready_within"))
        self.answer_within = _seconds(_one(given, "answer_within", str(ANSWER_WITHIN)))
        self.relay = _one(given, "relay", "")
        self.targets = given["target"]
        if not self.targets:
            raise OptionError("target= is missing: one for each listener, in the order of the socket unit")


def _one(given: dict[str, list[str]], key: str, default: str | None = None) -> str:
    values = given[key]
    if not values and default is not None:
        return default
    if len(values) != 1:
        raise OptionError(f"{key}= is {'given twice' if values else 'missing'}")
    return values[0]


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise OptionError(f"{text!r} is no number of seconds")
    return seconds


def from_command_line() -> Options:
    """The options of this process; exits with 2 and a line on stderr where they make no sense."""
    try:
        return Options(sys.argv[1:])
    except OptionError as error:
        print(f"{error}\nIts systemd unit starts this program; `systemctl cat` shows how.", file=sys.stderr)
        raise SystemExit(2) from None
