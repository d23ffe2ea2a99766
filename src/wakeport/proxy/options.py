"""What the proxy's command line says: `KEY=VALUE` words, and after each `target=` those of its listener."""

from __future__ import annotations

import math
import sys

from wakeport.light import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KEYS = (
    *("name", "lease", "ready_within", "answer_within", "relay", "status", "hold_max", "hold_for"),
    *("doze", "counts", "silent", "systemd", "allow"),
)
LISTENER_KEYS = ("send_proxy", "accept_proxy", "page", "page_file", "wake_on", "flow_idle", "rule")

# Docker gives a container 10 s to stop, and a lease that is asked for in that time is answered
# only by the next supervisor: a shorter patience would refuse clients who merely came at a bad moment.
ANSWER_WITHIN = 15.0

FLOW_IDLE = 60.0  # seconds; three times the 20 s of a game's or a VPN's keepalive


class OptionError(ValueError):
    """The command line is not what the unit should say; the text names the word."""


class Listener:
    """How one listener treats its clients.

    `target` is a key of what the supervisor announces, as `80/tcp`, `53/udp` or `/path.sock`. `page` is
    the seconds until a browser gets the waiting page (None: never), `flow_idle` those until a UDP flow
    is forgotten. `rules` are the objects that proxy/admission/rules.py reads.
    """

    __slots__ = (
        "accept_proxy",
        "flow_idle",
        "page",
        "page_file",
        "rules",
        "send_proxy",
        "target",
        "wake_on",
    )

    def __init__(self, target: str, words: list[tuple[str, str]]) -> None:
        """Raises OptionError."""
        given: dict[str, list[str]] = {key: [] for key in LISTENER_KEYS}
        for key, value in words:
            given[key].append(value)
        self.target = target
        self.send_proxy = _choice(given, "send_proxy", ("off", "v1", "v2"))
        self.accept_proxy = given["accept_proxy"]  # addresses and networks, as ADDRESS[/BITS]
        self.page = _seconds(_one(given, "page"), at_least=0) if given["page"] else None
        self.page_file = _one(given, "page_file", "")
        self.wake_on = _choice(given, "wake_on", ("connect", "data"))
        self.flow_idle = _seconds(_one(given, "flow_idle", str(FLOW_IDLE)))
        self.rules = [_object(text) for text in given["rule"]]

    @property
    def judges(self) -> bool:
        """Whether a connection alone is not enough to wake the container."""
        return bool(self.rules) or self.wake_on != "connect"


class Options:
    """`ready_within`, `answer_within` and `hold_for` are seconds; `listeners[i]` is for the i-th descriptor.

    `hold_max` is how many clients may wait at once, `status` the file in which the supervisor publishes
    its state; both have defaults that ask nothing of anybody.

    `doze` says that the container may be frozen, so that the proxy has to be there when it is thawed.
    `counts` are the bytes, and the seconds in which they have to pass, for a connection to count as used
    (None: an open one counts), `silent` what the container may do while there are only others.

    `allow` are the addresses and networks, as ADDRESS[/BITS], from which alone clients may come to a port;
    none: all.

    `systemd` is where a user's manager listens for that user; empty for the system's, which an
    unprivileged process asks over the message bus.
    """

    __slots__ = (
        "allow",
        "answer_within",
        "counts",
        "doze",
        "hold_for",
        "hold_max",
        "lease",
        "listeners",
        "name",
        "ready_within",
        "relay",
        "silent",
        "status",
        "systemd",
    )

    def __init__(self, words: list[str]) -> None:
        """Raises OptionError."""
        given: dict[str, list[str]] = {key: [] for key in KEYS}
        listeners: list[tuple[str, list[tuple[str, str]]]] = []
        for word in words:
            key, equals, value = word.partition("=")
            if not equals or not value:
                raise OptionError(f"{word!r} is no KEY=VALUE")
            if key == "target":
                listeners.append((value, []))
            elif key in LISTENER_KEYS and listeners:
                listeners[-1][1].append((key, value))
            elif key in KEYS:
                given[key].append(value)
            else:
                raise OptionError(f"{word!r} is none of {', '.join(f'{known}=' for known in KEYS)}")
        self.name = _one(given, "name")
        self.lease = _one(given, "lease")
        self.ready_within = _seconds(_one(given, "ready_within"))
        self.answer_within = _seconds(_one(given, "answer_within", str(ANSWER_WITHIN)))
        self.relay = _one(given, "relay", "")
        self.status = _one(given, "status", "")
        self.systemd = _one(given, "systemd", "")
        self.hold_max = _number(_one(given, "hold_max", str(sys.maxsize)))
        self.hold_for = _seconds(_one(given, "hold_for", "inf"), at_most=math.inf)
        self.doze = _choice(given, "doze", ("no", "yes")) == "yes"
        self.counts = _traffic(_one(given, "counts")) if given["counts"] else None
        self.silent = _choice(given, "silent", ("stop", "doze"))
        self.allow = given["allow"]
        self.listeners = [Listener(target, said) for target, said in listeners]
        if not self.listeners:
            raise OptionError("target= is missing: one for each listener, in the order of the socket unit")


def _one(given: dict[str, list[str]], key: str, default: str | None = None) -> str:
    values = given[key]
    if not values and default is not None:
        return default
    if len(values) != 1:
        raise OptionError(f"{key}= is {'given twice' if values else 'missing'}")
    return values[0]


def _choice(given: dict[str, list[str]], key: str, choices: tuple[str, ...]) -> str:
    """One of `choices`, the first of which is the default."""
    chosen = _one(given, key, choices[0])
    if chosen not in choices:
        raise OptionError(f"{key}={chosen} is none of {', '.join(choices)}")
    return chosen


def _seconds(text: str, at_least: float = math.ulp(0.0), at_most: float = 1e12) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not at_least <= seconds <= at_most:
        raise OptionError(f"{text!r} is no number of seconds")
    return seconds


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise OptionError(f"{text!r} is no number above 0")
    return int(text)


def _traffic(text: str) -> tuple[int, float]:
    """Bytes and seconds, from "1024/300"."""
    size, _, window = text.partition("/")
    return _number(size), _seconds(window)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise OptionError(f"{text!r} is no JSON object")
    return found


def from_command_line() -> Options:
    """The options of this process; exits with 2 and a line on stderr where they make no sense."""
    try:
        return Options(sys.argv[1:])
    except OptionError as error:
        print(f"{error}\nIts systemd unit starts this program; `systemctl cat` shows how.", file=sys.stderr)
        raise SystemExit(2) from None
