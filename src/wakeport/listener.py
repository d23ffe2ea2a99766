"""One listener of a service: where systemd listens, what is behind it, and how its clients are treated."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any, Final

import msgspec

from wakeport.kinds import Deadline, one_of
from wakeport.place import Place, plain_path, socket_path
from wakeport.rules import CLOSE, WAKE, Rule, check_order, network
from wakeport.span import Span

OPEN_TO_ALL: Final = "0666"
OPEN_TO_GROUP: Final = "0660"

UNIX: Final = "unix"  # in accept_proxy: whoever connects to this Unix socket

# ProtectHome= and InaccessiblePaths= of the proxy's unit: for the system's proxies there is nothing below
# these. Those of a user see what the user sees.
HIDDEN: Final = ("/tmp", "/var/tmp", "/home", "/root", "/run/user")

_MODE: Final = re.compile(r"0?[0-7]{3}")
_ACCOUNT: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]*\$?")


class SendProxy(str):
    """Which version of the PROXY header goes to the container first: "off", "v1" or "v2"."""

    __slots__ = ()


class Trusted(tuple[str, ...]):
    """Who may connect, and must say with a PROXY header for whom: addresses, networks, "unix"."""

    __slots__ = ()


class Page(str):
    """When a browser gets the page: "off", "on" (at once) or a span."""

    __slots__ = ()

    @property
    def seconds(self) -> float | None:
        """How long a browser waits for it; None where it never comes."""
        return None if self == "off" else 0.0 if self == "on" else Span.parse(self).seconds


class PageFile(str):
    __slots__ = ()


class WakeOn(str):
    """ "connect", or "data" where a client has to say something first."""

    __slots__ = ()


class Mode(str):
    """Four octal digits."""

    __slots__ = ()


class Owner(str):
    """ "user:group", "user" (and that one's own group) or ":group"."""

    __slots__ = ()

    @property
    def user(self) -> str:
        return self.partition(":")[0]

    @property
    def group(self) -> str:
        return self.partition(":")[2]


class Listener(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`on` is where systemd listens, `to` the container's port or a socket's path (None: look it up).

    Field by field what docs/wakeport.toml explains.
    """

    on: Place
    to: int | str | None = None
    mode: Mode | None = None
    owner: Owner | None = None
    send_proxy: SendProxy = SendProxy("off")
    accept_proxy: Trusted = Trusted()
    page: Page = Page("off")
    page_file: PageFile | None = None
    wake_on: WakeOn = WakeOn("connect")
    flow_idle: Deadline = Deadline(60)
    rule: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        self._check_target()
        self._check_kind_of_socket()
        self._check_trust()
        if self.page_file is not None and self.page == "off":
            raise ValueError('.page_file: it is never shown; say page = "on" as well')
        check_order(self.rule)

    def _check_target(self) -> None:
        if isinstance(self.to, str):
            if not self.to.startswith("/"):
                raise ValueError(
                    f".to: {self.to!r} is neither a port (a number, without quotes) nor a socket's path"
                )
            try:
                socket_path(self.to)
            except ValueError as error:
                raise ValueError(f".to: {error}") from None
            if self.on.udp:
                raise ValueError(f".to: {self.to!r}: datagrams do not go to a socket's path; name a UDP port")
            if self.to == self.on.path:
                raise ValueError(f".to: {self.to!r}: that is where systemd listens; it would lead to itself")
        elif self.to is not None and not 1 <= self.to <= 65535:
            raise ValueError(f".to: {self.to}: a port is a number from 1 to 65535")

    def _check_kind_of_socket(self) -> None:
        """What only a Unix socket, only a stream or only UDP can have."""
        refused: dict[str, str] = {}
        if not self.on.path:
            refused = dict.fromkeys(("mode", "owner"), "a port has none; it is for a Unix socket")
        if self.on.udp:
            no_stream = "UDP has no connection to which that could apply; it is for TCP and Unix sockets"
            refused |= dict.fromkeys(("send_proxy", "accept_proxy"), no_stream)
            refused |= dict.fromkeys(("page", "page_file"), "a browser does not come by UDP; it is for TCP")
            refused["wake_on"] = "a datagram is data already; it is for TCP and Unix sockets"
        else:
            refused["flow_idle"] = "a connection ends by itself; it is for UDP"
        for key, reason in refused.items():
            if getattr(self, key) != DEFAULTS[key]:
                raise ValueError(f".{key}: {reason}")
        for index, rule in enumerate(self.rule):
            if self.on.udp and (set(rule.conditions) - {"from"} or rule.then not in (WAKE, CLOSE)):
                raise ValueError(
                    f'.rule[{index}]: UDP has "from" alone to go by, and "wake" or "close" (no answer) to do'
                )
            if self.on.path and rule.source and not self.accept_proxy:
                raise ValueError(
                    f".rule[{index}].from: who connects to a Unix socket has no address; "
                    "only a PROXY header (accept_proxy) would give one"
                )

    def _check_trust(self) -> None:
        if self.on.path and self.accept_proxy and self.accept_proxy != (UNIX,):
            raise ValueError('.accept_proxy: who connects to a Unix socket has no address; write ["unix"]')
        if self.on.port and UNIX in self.accept_proxy:
            raise ValueError('.accept_proxy: "unix" is for Unix sockets; write addresses and networks')

    @property
    def leads_to_path(self) -> bool:
        return isinstance(self.to, str)

    @property
    def judges(self) -> bool:
        """Whether a connection alone is not enough to wake the container."""
        return bool(self.rule) or self.wake_on != "connect"

    @property
    def socket_mode(self) -> str:
        """Who may connect to a Unix socket: everybody, unless it is somebody's."""
        return self.mode or (OPEN_TO_ALL if self.owner is None else OPEN_TO_GROUP)


def visible(path: str) -> str:
    """`path`, where a proxy of the system can see what is there. Raises ValueError."""
    for hidden in HIDDEN:
        if PurePosixPath(path).is_relative_to(hidden):
            raise ValueError(f"{path!r}: the proxy's sandbox hides {hidden} from it; move it elsewhere")
    return path


def _trusted(written: list[str]) -> Trusted:
    return Trusted(one if one == UNIX else network(one) for one in written)


def _page(written: str) -> Page:
    if written in ("off", "on"):
        return Page(written)
    try:
        span = Span.parse(written)
    except ValueError:
        span = Span(float("inf"))
    if span.seconds == float("inf"):
        raise ValueError(f'{written!r} is none of "off", "on", and no time span as in "3s"')
    return Page(span) if span.seconds else Page("on")


def _mode(written: str) -> Mode:
    if not _MODE.fullmatch(written):
        raise ValueError(f'{written!r} is no mode; write it as chmod(1) has it: "0660"')
    if not int(written, 8) & 0o222:
        raise ValueError(f"{written!r} lets nobody in: to connect takes the right to write")
    return Mode(written.rjust(4, "0"))


def _owner(written: str) -> Owner:
    user, colon, group = written.partition(":")
    names = [name for name in (user, group) if name]
    if not names or (colon and not group) or not all(map(_ACCOUNT.fullmatch, names)):
        raise ValueError(f'{written!r} is no owner; write "user:group", "user" or ":group"')
    return Owner(written)


DECODERS: Final[dict[type, Any]] = {
    Place: Place.parse,
    SendProxy: lambda written: SendProxy(one_of(written, ("off", "v1", "v2"))),
    Trusted: _trusted,
    Page: _page,
    PageFile: lambda written: PageFile(plain_path(written)),
    WakeOn: lambda written: WakeOn(one_of(written, ("connect", "data"))),
    Mode: _mode,
    Owner: _owner,
}

DEFAULTS: Final[dict[str, Any]] = {
    field.name: field.default for field in msgspec.structs.fields(Listener) if not field.required
}
