"""What a single setting may say: the kinds of values, and how each is read from what a person wrote."""

from __future__ import annotations

import re
import shlex
from typing import Any, Final

from wakeport.keep.windows import Window
from wakeport.span import Span

RUNTIMES: Final = ("docker", "podman", "nspawn", "lxc", "unit")
OWN, CLASSIC = PROXIES = ("wakeport", "systemd-socket-proxyd")

CLIENTS_MAX: Final = 1_000_000  # beyond any limit of descriptors that a process gets

# Docker's own rule, and what systemd takes in the name of a unit: systemd.unit(5)
_CONTAINER: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_UNIT: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.@:\\-]*")


class ContainerName(str):
    __slots__ = ()


class Runtime(str):
    __slots__ = ()


class Proxy(str):
    __slots__ = ()


class Ready(str):
    """When the container counts as ready: "connect", "health", "http:/path" or "exec:COMMAND"."""

    __slots__ = ()


class Clients(int):
    """How many clients: one at least."""

    __slots__ = ()


class Windows(tuple[str, ...]):
    """When it is kept awake by the clock: windows in their one plain spelling, each once."""

    __slots__ = ()


class Deadline(Span):
    """A span that ends: longer than nothing, shorter than for ever."""

    __slots__ = ()


class Patience(Span):
    """A span longer than nothing; "infinity" means never."""

    __slots__ = ()


def decode(decoders: dict[type, Any], kind: type, written: Any) -> Any:
    """What `written` means as a `kind`: for msgspec, which adds the key's path to the ValueError."""
    if issubclass(kind, tuple):
        return decoders[kind](listed(written))
    if issubclass(kind, int):
        if type(written) is not int:
            raise ValueError(f"expected a whole number, got {written!r}")
        return decoders[kind](written)
    if issubclass(kind, Span) and type(written) is int:
        written = str(written)
    if not isinstance(written, str):
        raise ValueError(f"expected a string, got {written!r}")  # noqa: TRY004  # msgspec adds a path to ValueErrors
    return decoders[kind](written)


def listed(written: Any) -> list[str]:
    """One string or a list of strings, as a list. Raises ValueError."""
    several = [written] if isinstance(written, str) else written
    if not isinstance(several, list) or not all(isinstance(one, str) for one in several):
        raise ValueError(f"expected a string or a list of strings, got {written!r}")
    if not several:
        raise ValueError("an empty list fits nothing; leave the key out, or put something in")
    return several


def one_of(written: str, choices: tuple[str, ...]) -> str:
    if written not in choices:
        raise ValueError(f"{written!r} is none of {', '.join(choices)}")
    return written


def _container(written: str) -> ContainerName:
    if not _UNIT.fullmatch(written):
        raise ValueError(f"{written!r} cannot be the name of a container")
    return ContainerName(written)


def check_container(written: str, runtime: str) -> None:
    """Raises ValueError where no container of this runtime can be called that."""
    if runtime != "unit" and not _CONTAINER.fullmatch(written):
        raise ValueError(f".container: {written!r} cannot be the name of a container")


def _runtime(written: str) -> Runtime:
    return Runtime(one_of(written, RUNTIMES))


def _proxy(written: str) -> Proxy:
    if written not in PROXIES:
        raise ValueError(f"{written!r} is no proxy; there are {' and '.join(PROXIES)}")
    return Proxy(written)


def _ready(written: str) -> Ready:
    kind, _, argument = written.partition(":")
    if not written.isprintable():
        raise ValueError(f"{written!r} contains what cannot be printed")
    plain = written in ("connect", "health")
    http = kind == "http" and argument.startswith("/") and " " not in argument
    command = kind == "exec" and is_command(argument)
    if not (plain or http or command):
        raise ValueError(f"{written!r} is none of connect, health, http:/path, exec:COMMAND")
    return Ready(written)


def is_command(text: str) -> bool:
    """Whether a command can be made of it, as a shell would split it."""
    try:
        return bool(shlex.split(text))
    except ValueError:  # a quote that is not closed
        return False


def _clients(written: int) -> Clients:
    if not 1 <= written <= CLIENTS_MAX:
        raise ValueError(f"{written} is no number of clients; it goes from 1 to {CLIENTS_MAX}")
    return Clients(written)


def _windows(written: list[str]) -> Windows:
    return Windows(dict.fromkeys(str(Window.parse(one)) for one in written))


def _deadline(written: str) -> Deadline:
    span = Span.parse(written)
    if not 0.001 <= span.seconds < float("inf"):
        raise ValueError(f"{written!r} is no deadline; it must end, and not at once")
    return Deadline(span.seconds)


def _patience(written: str) -> Patience:
    span = Span.parse(written)
    if span.seconds < 0.001:
        raise ValueError(f'{written!r} leaves no time at all; "infinity" means never')
    return Patience(span.seconds)


DECODERS: Final[dict[type, Any]] = {
    ContainerName: _container,
    Runtime: _runtime,
    Proxy: _proxy,
    Ready: _ready,
    Clients: _clients,
    Windows: _windows,
    Deadline: _deadline,
    Patience: _patience,
}
