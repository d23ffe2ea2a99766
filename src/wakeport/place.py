"""A place to listen: a TCP or UDP port, on one address or on all, or the path of a Unix socket."""

from __future__ import annotations

import ipaddress
import re
from pathlib import PurePosixPath
from typing import Final

SOCKET_PATH_MAX: Final = 107  # bytes: sun_path less its final NUL, unix(7)

_PORT: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]:|(?P<four>[0-9.]+):)?(?P<port>[0-9]{1,5})")

GRAMMAR: Final = "write PORT, ADDRESS:PORT, [IPV6]:PORT, one of these with /udp, or /path.sock"


class Place:
    """One thing to listen on. Exactly one of `port` and `path` is set; `address` is "" for all addresses."""

    __slots__ = ("address", "path", "port", "udp")

    def __init__(self, port: int = 0, address: str = "", path: str = "", udp: bool = False) -> None:
        self.port = port
        self.address = address
        self.path = path
        self.udp = udp

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read `[ADDRESS:]PORT[/udp]` or `/path.sock`. Raises ValueError with a sentence for people."""
        if text.startswith("/"):
            return cls(path=socket_path(text))
        place, slash, protocol = text.partition("/")
        found = _PORT.fullmatch(place)
        if found is None or (slash and protocol not in ("tcp", "udp")):
            raise ValueError(f"{text!r} is not a place to listen; {GRAMMAR}")
        port = int(found["port"])
        if not 1 <= port <= 65535:
            raise ValueError(f"{text!r}: a port is a number from 1 to 65535")
        address = found["six"] or found["four"] or ""
        try:
            address = address and str(ipaddress.ip_address(address))
        except ValueError as error:
            raise ValueError(f"{text!r}: {error}") from error
        if bool(found["six"]) != (":" in address):
            raise ValueError(f"{text!r}: brackets are for IPv6; {GRAMMAR}")
        return cls(port=port, address=address, udp=protocol == "udp")

    @property
    def tcp(self) -> bool:
        return bool(self.port) and not self.udp

    @property
    def protocol(self) -> str:
        """What a client speaks towards the container: a Unix stream in front is TCP behind."""
        return "udp" if self.udp else "tcp"

    @property
    def family(self) -> int:
        """4 or 6 for a port on one address, else 0."""
        return ipaddress.ip_address(self.address).version if self.address else 0

    @property
    def bare(self) -> str:
        """As systemd's own settings have it, which name the protocol by their key."""
        if self.path:
            return self.path
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}" if host else str(self.port)

    @property
    def everywhere(self) -> Place:
        """The same port on all addresses."""
        return Place(port=self.port, udp=self.udp)

    def overlaps(self, other: Place) -> bool:
        """Whether the two cannot both be held: the same path, or the same port on a common address."""
        if self.path or other.path:
            return self.path == other.path
        if self.port != other.port or self.udp != other.udp:
            return False
        return self.address == other.address or self._everywhere(other) or other._everywhere(self)

    def _everywhere(self, other: Place) -> bool:
        # `::` takes IPv4 along unless bindv6only says otherwise; to assume that errs on the safe side.
        return self.address in ("", "::") or (self.address == "0.0.0.0" and other.family != 6)

    def __str__(self) -> str:
        return f"{self.bare}/udp" if self.udp else self.bare

    def __repr__(self) -> str:
        return f"Place({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def plain_path(text: str) -> str:
    """`text`, where it is an absolute path in its one plain spelling. Raises ValueError."""
    if not text.startswith("/"):
        raise ValueError(f"{text!r}: an absolute path, please: it begins with '/'")
    if not text.isprintable():
        raise ValueError(f"{text!r}: a path of printable characters, please")
    if text != text.strip() or "\\" in text:
        # systemd strips the ends of a value, and reads a backslash at its end as "goes on in the next line".
        raise ValueError(f"{text!r}: a path without backslashes, and without blanks at its ends, please")
    path = PurePosixPath(text)
    if str(path) != text or ".." in path.parts or text.startswith("//") or not path.name:
        raise ValueError(f"{text!r}: a path without '..', '//' or a slash at its end, please")
    return text


def socket_path(text: str) -> str:
    """`text`, where a Unix socket can have that path. Raises ValueError."""
    if len(plain_path(text).encode()) > SOCKET_PATH_MAX:
        raise ValueError(f"{text!r}: the path of a socket has at most {SOCKET_PATH_MAX} bytes")
    return text


def split_target(text: str) -> tuple[Place, int | str | None]:
    """Read what `--listen` takes, `PLACE[=TARGET]`: the place, and the port or socket path behind it.

    A path in front may contain `=`: what counts as the end of it is `=` and a number at the very end,
    or `=/`. Raises ValueError with a sentence for people.
    """
    if text.startswith("/"):
        place, equals, target = text.partition("=/")
        target = f"/{target}" if equals else ""
        if not equals:
            place, equals, target = text.rpartition("=")
            if not target.isdecimal():
                return Place.parse(text), None
    else:
        place, equals, target = text.partition("=")
    if not equals:
        return Place.parse(text), None
    if target.startswith("/"):
        return Place.parse(place), socket_path(target)
    if not (target.isascii() and target.isdecimal() and 1 <= int(target) <= 65535):
        raise ValueError(
            f"{text!r}: behind '=' stands the container's port, a number from 1 to 65535, or a socket's path"
        )
    return Place.parse(place), int(target)
