"""One container a connection: the settings of `mode = "per-connection"`, and what does not go with it.

In the mode "shared" one container serves all clients, and none of these counts.
"""

from __future__ import annotations

import re
import shlex
from typing import Any, Final, cast

import msgspec

from wakeport.busy import Share
from wakeport.kinds import RUNTIMES, Clients, Patience, is_command, one_of
from wakeport.listener import DEFAULTS as PLAIN_LISTENER
from wakeport.listener import Listener
from wakeport.runtimes import choice
from wakeport.runtimes.per_connection import Asked

SHARED, PER_CONNECTION = MODES = ("shared", "per-connection")

# What a runtime may take as the name of an image or its id; never what could be an option.
_IMAGE: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._:/@-]{0,254}")
_NETWORK: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_MEMORY: Final = re.compile(r"[1-9][0-9]{0,8}[KMG]")


class Mode(str):
    """Whether all clients share a container, or each connection gets one of its own."""

    __slots__ = ()


class Image(str):
    __slots__ = ()


class Command(str):
    """What runs in the container instead of the image's own command; split as a shell would, without one."""

    __slots__ = ()


class Network(str):
    __slots__ = ()


class Memory(str):
    """An amount as in "256M"; K, M and G are powers of 1024."""

    __slots__ = ()


class PerConnection(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a service that says how it gives each connection a container."""

    mode: Mode = Mode(SHARED)
    image: Image | None = None
    command: Command | None = None
    connections_max: Clients = Clients(64)
    # A quarter of all: one client, or one address with many behind it, never has the whole port.
    connections_max_per_source: Clients = Clients(16)
    time_max: Patience = Patience(3600)
    network: Network = Network("none")
    memory_max: Memory | None = None
    cpu_max: Share | None = None
    processes_max: Clients = Clients(512)
    read_only: bool = True

    @property
    def per_connection(self) -> bool:
        return self.mode == PER_CONNECTION

    @property
    def asked(self) -> Asked:
        """What its runtime hears of it."""
        return Asked(
            service=getattr(self, "name"),  # noqa: B009  # a field of the whole service
            image=str(self.image),
            command=tuple(shlex.split(self.command or "")),
            network=self.network,
            memory_max=self.memory_max,
            cpu_max=self.cpu_max.part if self.cpu_max else None,
            processes_max=int(self.processes_max),
            read_only=self.read_only,
        )

    def check_mode(self) -> None:
        """Raises ValueError at a setting that belongs to the other mode, with the reason."""
        plain = {field.name: field.default for field in msgspec.structs.fields(type(self))}
        if not self.per_connection:
            for key in _OWN:
                if getattr(self, key) != plain[key]:
                    raise ValueError(f".{key}: it says nothing where all share a container; {_RATHER}")
            return
        # Its name is the service's where nothing else was said.
        plain["container"] = getattr(self, "name")  # noqa: B009  # a field of the whole service
        for key, reason in _REFUSED.items():
            if getattr(self, key) != plain[key]:
                raise ValueError(f".{key}: {reason} ({_HERE})")
        runtime = getattr(self, "runtime")  # noqa: B009
        each = choice.per_connection(runtime)
        if each is None:
            able = [one for one in RUNTIMES if choice.per_connection(one)]
            raise ValueError(f".runtime: {' and '.join(able)} alone can do that so far ({_HERE})")
        if self.image is None:
            raise ValueError(f".image: is missing; {_HERE} makes a container of it for each")
        for key, reason in each.refused(self.asked):
            raise ValueError(f'.{key}: {reason} (runtime = "{runtime}")')
        self._check_listeners(cast("tuple[Listener, ...]", getattr(self, "listener")))  # noqa: B009

    def _check_listeners(self, listeners: tuple[Listener, ...]) -> None:
        if not listeners:
            raise ValueError(f".listener: there is none, so nobody can connect ({_HERE})")
        for index, one in enumerate(listeners):
            where = f".listener[{index}]"
            if one.on.udp:
                raise ValueError(f"{where}.on: UDP has no connections ({_HERE})")
            for key, reason in _REFUSED_OF_LISTENER.items():
                if getattr(one, key) != PLAIN_LISTENER[key]:
                    raise ValueError(f"{where}.{key}: {reason} ({_HERE})")
            if one.wake_on != "connect" and not all(
                other.on.tcp and other.wake_on == "data" for other in listeners
            ):
                raise ValueError(
                    f"{where}.wake_on: here the kernel waits for the first byte, at all listeners or at "
                    f"none, and all have to be TCP ports ({_HERE})"
                )


_HERE: Final = f'mode = "{PER_CONNECTION}"'
_RATHER: Final = f"with {_HERE} it does"
_OWN: Final = tuple(key for key in PerConnection.__struct_fields__ if key != "mode")

_ENDS: Final = "each container ends with its connection, and none is put to sleep"
_AT_ONCE: Final = "a container begins with its connection, and nobody waits until it is ready"
_NOBODY_HELD: Final = "nobody is held: a connection has its container, or is closed"
_NO_PROXY: Final = "there is no proxy; the connection is the program's own input and output"

_REFUSED: Final = {
    "container": "each connection gets a container of its own; image says of what",
    "ready": _AT_ONCE,
    "ready_within": _AT_ONCE,
    "doze": _ENDS,
    "idle": _ENDS,
    "adopt": _ENDS,
    "keep": _ENDS,
    "busy": _ENDS,
    "hold_max": _NOBODY_HELD,
    "hold_for": _NOBODY_HELD,
    "allow": "systemd itself accepts the connections, from wherever they come",
    "proxy": _NO_PROXY,
    "bypass": _NO_PROXY,
    "pass_fd": _NO_PROXY,
    "fd_name": _NO_PROXY,
    "needs": "nobody would keep those awake, since nothing of it runs between connections",
}
_REFUSED_OF_LISTENER: Final = {
    "to": "there is no port behind it; the connection is the program's own input and output",
    "send_proxy": _NO_PROXY,
    "accept_proxy": _NO_PROXY,
    "page": _NO_PROXY,
    "page_file": _NO_PROXY,
    "rule": _NO_PROXY,
}


def _image(written: str) -> Image:
    if not _IMAGE.fullmatch(written):
        raise ValueError(f"{written!r} cannot be the name of an image")
    return Image(written)


def _command(written: str) -> Command:
    if not written.isprintable() or not is_command(written):
        raise ValueError(f"{written!r} is no command; words are split as a shell would, without one")
    return Command(written)


def _network(written: str) -> Network:
    if not _NETWORK.fullmatch(written):
        raise ValueError(f"{written!r} cannot be the name of a network")
    return Network(written)


def _memory(written: str) -> Memory:
    if not _MEMORY.fullmatch(written):
        raise ValueError(f'{written!r} is no amount of memory; write it as in "256M"')
    return Memory(written)


DECODERS: Final[dict[type, Any]] = {
    Mode: lambda written: Mode(one_of(written, MODES)),
    Image: _image,
    Command: _command,
    Network: _network,
    Memory: _memory,
}
