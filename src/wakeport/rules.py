"""Who may wake a container: the rules of a listener, in order, of which the first that fits decides.

Rules count only while the container is not awake. All conditions of a rule must hold, and of the strings
of one condition any; whom no rule fits wakes the container.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any, Final

import msgspec

PATTERN_MAX: Final = 255  # characters; no name in DNS is longer, RFC 1035
BODY_MAX: Final = 1000  # characters; it stands on the proxy's command line

WAKE: Final = "wake"
CLOSE: Final = "close"
RESET: Final = "reset"
BODILESS: Final = (204, 304)  # RFC 9110, 6.4.1

_HOST: Final = re.compile(r"[a-z0-9_*-]+(\.[a-z0-9_*-]+)*")
_SIX: Final = re.compile(r"\[[0-9a-f:.]+\]")  # as a Host field has it, RFC 3986, 3.2.2
_STATUS: Final = re.compile(r"[2-5][0-9]{2}")


class Sources(tuple[str, ...]):
    """Addresses and networks, in their one plain spelling, each once."""

    __slots__ = ()


class ServerNames(tuple[str, ...]):
    """Globs for the name that a TLS client asks for, in lower case."""

    __slots__ = ()


class Hosts(tuple[str, ...]):
    """Globs for the host that an HTTP client asks for, in lower case, without a port."""

    __slots__ = ()


class Paths(tuple[str, ...]):
    """Globs for the path of an HTTP request, without its query."""

    __slots__ = ()


class Agents(tuple[str, ...]):
    """Globs for what an HTTP client calls itself; case does not count."""

    __slots__ = ()


class Then(str):
    """ "wake", "close", "reset", or the status and the body of an HTTP answer."""

    __slots__ = ()

    @property
    def is_http(self) -> bool:
        return self[:1].isdecimal()


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[listener.rule]]`. A condition that is empty was not given."""

    source: Sources = msgspec.field(default=Sources(), name="from")
    server_name: ServerNames = ServerNames()
    host: Hosts = Hosts()
    path: Paths = Paths()
    user_agent: Agents = Agents()
    then: Then

    def __post_init__(self) -> None:
        if self.server_name and self.reads_http:
            raise ValueError(
                ".server_name: what stands in TLS hides the HTTP inside: a rule with server_name and "
                "host, path or user_agent never fits"
            )
        if self.server_name and self.then.is_http:
            raise ValueError(".then: a TLS client cannot read such an answer; close or reset it")

    @property
    def reads_http(self) -> bool:
        return bool(self.host or self.path or self.user_agent)

    @property
    def conditions(self) -> dict[str, list[str]]:
        """What was given, by its key in the file."""
        return {
            key: list(given)
            for name, key in zip(self.__struct_fields__, self.__struct_encode_fields__, strict=True)
            if name != "then" and (given := getattr(self, name))
        }

    @property
    def word(self) -> str:
        """The rule as the proxy's command line has it: JSON, each condition a list."""
        return json.dumps({**self.conditions, "then": self.then}, ensure_ascii=False)


def check_order(rules: tuple[Rule, ...]) -> None:
    """Raises ValueError where a rule can never count, with the key's path in front."""
    given = [rule.conditions for rule in rules]
    for index, conditions in enumerate(given[:-1]):
        if not conditions:
            raise ValueError(
                f".rule[{index}]: it has no condition, so what follows never counts; put it last"
            )
    for index, conditions in enumerate(given):
        if (earlier := given.index(conditions)) < index:
            raise ValueError(f".rule[{index}]: it never counts, rule[{earlier}] has the same conditions")
    if rules and rules[-1].then == WAKE and given[-1]:
        # The one mistake that everybody makes who thinks of it as a list of what is allowed.
        raise ValueError(
            f".rule[{len(rules) - 1}]: whom no rule fits wakes the container too, so it changes nothing; "
            'put a last rule below it, with nothing but then = "close"'
        )


def network(written: str) -> str:
    """An address or a network in its one plain spelling. Raises ValueError."""
    try:
        interface = ipaddress.ip_interface(written)
    except ValueError:
        interface = None
    if interface is None or "%" in written:
        raise ValueError(f'{written!r} is neither an address nor a network as in "10.1.0.0/16" or "fd00::/8"')
    found: ipaddress.IPv4Network | ipaddress.IPv6Network = interface.network
    if interface.ip != found.network_address:
        raise ValueError(f'{written!r} is an address in a network; write "{found}", or "{interface.ip}"')
    mapped = found.network_address.ipv4_mapped if isinstance(found, ipaddress.IPv6Network) else None
    if mapped is not None and found.prefixlen >= 96:
        # A dual-stack socket shows IPv4 clients so, and the proxy takes that off.
        found = ipaddress.ip_network((mapped, found.prefixlen - 96))
    return str(found.network_address) if found.prefixlen == found.max_prefixlen else str(found)


def overlap(some: tuple[str, ...], others: tuple[str, ...]) -> bool:
    """Whether there is an address that is in one of each; all are as `network` spells them."""
    first, second = (list(map(ipaddress.ip_network, networks)) for networks in (some, others))
    return any(one.version == other.version and one.overlaps(other) for one in first for other in second)


def _host(written: str) -> str:
    lower = _pattern(written).lower()
    if "//" in lower:
        raise ValueError(f"{written!r}: the name alone, please, without http:// and path")
    if _SIX.fullmatch(lower):
        return lower
    if ":" in lower:
        raise ValueError(f"{written!r}: the name alone, please, without a port")
    if not lower.isascii():
        raise ValueError(f'{written!r}: clients send it in its ASCII form, "xn--…"; write it so')
    if not _HOST.fullmatch(lower):
        raise ValueError(f'{written!r} is no host name, and no glob as in "*.example.org"')
    return lower


def _server_name(written: str) -> str:
    name = _host(written)
    if re.fullmatch(r"[0-9.]+|\[.*", name):
        raise ValueError(f"{written!r} is an address; TLS clients send names only")  # RFC 6066, 3
    return name


def _path(written: str) -> str:
    if not _pattern(written).startswith(("/", "*")):
        raise ValueError(f"{written!r}: a path begins with '/'")
    if "?" in written or "#" in written:
        raise ValueError(f"{written!r}: the path alone, please; what follows a '?' is not looked at")
    if not written.isascii() or " " in written:
        raise ValueError(f"{written!r}: write it as clients send it, with %20 for a blank")
    return written


def _pattern(written: str) -> str:
    if not written or not written.isprintable() or len(written) > PATTERN_MAX:
        raise ValueError(f"{written!r}: 1 to {PATTERN_MAX} printable characters, please")
    return written


def _then(written: str) -> Then:
    if written in (WAKE, CLOSE, RESET):
        return Then(written)
    status, _, body = written.partition(" ")
    if not _STATUS.fullmatch(status):
        raise ValueError(
            f'{written!r} is none of wake, close, reset, and no answer as in "200 asleep", '
            "with a status from 200 to 599"
        )
    if not body.isprintable() or len(body) > BODY_MAX:
        raise ValueError(f"{written!r}: behind the status up to {BODY_MAX} printable characters, please")
    if body and int(status) in BODILESS:
        raise ValueError(f"{written!r}: an answer {status} has no body")
    return Then(written)


DECODERS: Final[dict[type, Any]] = {
    Sources: lambda written: Sources(dict.fromkeys(map(network, written))),
    ServerNames: lambda written: ServerNames(map(_server_name, written)),
    Hosts: lambda written: Hosts(map(_host, written)),
    Paths: lambda written: Paths(map(_path, written)),
    Agents: lambda written: Agents(map(_pattern, written)),
    Then: _then,
}
