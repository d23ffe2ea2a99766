"""What counts as busy: the settings below [busy], and how each is read from what a person wrote."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from wakeport.kinds import is_command, one_of
from wakeport.span import Span, decimal

OPEN: Final = "open"

_SIZES: Final = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_TRAFFIC: Final = re.compile(r"([0-9]{1,9})[ \t]*([KMGT]?)[ \t]+in[ \t]+(.+)")
_PERCENT: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)[ \t]*%")


class Connections(str):
    """When a connection counts: "open", or while so much passes over it in so long, as in "1K in 5min"."""

    __slots__ = ()

    @property
    def counts(self) -> str | None:
        """Bytes and seconds for the proxy, as in "1024/300"; None where being open is enough."""
        found = _TRAFFIC.fullmatch(self)
        if found is None:
            return None
        return f"{int(found[1]) * _SIZES[found[2]]}/{decimal(Span.parse(found[3]).seconds)}"


class Silent(str):
    """What the container may do while every connection is silent: "stop" or "doze"."""

    __slots__ = ()


class Share(str):
    """How much of one processor the container has to use to be at work, as in "5%"."""

    __slots__ = ()

    @property
    def part(self) -> float:
        return float(self.rstrip("% \t")) / 100


class Check(str):
    """Who is asked whether it is at work: "http:/path" or "exec:COMMAND"."""

    __slots__ = ()


class Busy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Field by field what docs/wakeport.toml explains."""

    connections: Connections = Connections(OPEN)
    silent: Silent = Silent("stop")
    cpu: Share | None = None
    check: Check | None = None

    def __post_init__(self) -> None:
        if self.silent != "stop" and self.connections == OPEN:
            raise ValueError(
                '.silent: an open connection is never silent; say when it is: connections = "1K in 5min"'
            )


def _connections(written: str) -> Connections:
    found = _TRAFFIC.fullmatch(written)
    if written == OPEN:
        return Connections(written)
    if found is None or not int(found[1]):
        raise ValueError(f'{written!r} is neither "open" nor an amount in a time, as in "1K in 5min"')
    window = Span.parse(found[3])
    if not 1 <= window.seconds < float("inf"):
        raise ValueError(f"{found[3]!r} is no time to count bytes in; it takes a second at least, and ends")
    return Connections(f"{found[1]}{found[2]} in {window}")


def _share(written: str) -> Share:
    found = _PERCENT.fullmatch(written)
    if found is None or not 0 < float(found[1]) <= 100_000:
        raise ValueError(f'{written!r} is no share of a processor; write it as in "5%"')
    return Share(f"{found[1]}%")


def _check(written: str) -> Check:
    kind, _, argument = written.partition(":")
    http = kind == "http" and argument.startswith("/") and " " not in argument
    if not written.isprintable() or not (http or (kind == "exec" and is_command(argument))):
        raise ValueError(f"{written!r} is none of http:/path, exec:COMMAND")
    return Check(written)


DECODERS: Final[dict[type, Any]] = {
    Connections: _connections,
    Silent: lambda written: Silent(one_of(written, ("stop", "doze"))),
    Share: _share,
    Check: _check,
}
