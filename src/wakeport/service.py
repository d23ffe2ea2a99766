"""What a service is: its settings, their defaults, and which of them make sense together.

/etc/wakeport/NAME.toml is the single source of truth for a service NAME. This
module reads such a text; it touches no file.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

import msgspec
import tomllib

from wakeport import busy, bypass_settings, kinds, listener, pass_fd, per_connection, rules
from wakeport.busy import OPEN, Busy
from wakeport.complaint import complaint
from wakeport.errors import BadInput
from wakeport.kinds import (
    CLASSIC,
    OWN,
    Clients,
    ContainerName,
    Deadline,
    Patience,
    Proxy,
    Ready,
    Runtime,
    Windows,
)
from wakeport.listener import Listener
from wakeport.pass_fd import FdName
from wakeport.per_connection import PerConnection

NAME_MAX: Final = 64  # of the 255 bytes of a unit's name, and of the 107 of a socket's path

RESERVED_ENDINGS: Final = {
    "-container": 'wakeport-NAME-container is the supervisor of the service "NAME"',
    "-keep": 'wakeport-NAME-keep keeps the service "NAME" awake by the clock',
    ".lease": 'NAME.lease is the lease socket of the service "NAME"',
}

_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


class Service(PerConnection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service, whole. Field by field what docs/wakeport.toml explains."""

    name: str
    container: ContainerName
    runtime: Runtime = Runtime("docker")
    ready: Ready = Ready("connect")
    ready_within: Deadline = Deadline(90)
    doze: Patience = Patience(float("inf"))
    idle: Patience = Patience(600)
    adopt: bool = False
    keep: Windows = Windows()
    hold_max: Clients = Clients(16384)
    hold_for: Patience = Patience(float("inf"))
    allow: rules.Sources = rules.Sources()
    proxy: Proxy = Proxy(OWN)
    bypass: bool = False
    pass_fd: bool = False
    fd_name: FdName = FdName("")
    needs: tuple[str, ...] = ()
    busy: Busy = Busy()
    listener: tuple[Listener, ...] = ()

    def __post_init__(self) -> None:
        self.check_mode()
        if not self.per_connection:
            kinds.check_container(self.container, self.runtime)
        if float("inf") > self.doze.seconds >= self.idle.seconds:
            raise ValueError(f".doze: it is stopped after {self.idle}, so it would never doze; say less")
        self._check_passing()
        self._check_bypass()
        self._check_needs()
        self._check_places()
        self._check_unix_sockets()
        self._check_allow()
        if self.proxy == CLASSIC:
            self._check_classic()
        self._check_busy()
        for key, asked in (("ready", self.ready), ("busy.check", self.busy.check or "")):
            if asked.startswith("http:") and all(one.on.udp or one.leads_to_path for one in self.listener):
                raise ValueError(f".{key}: HTTP is asked of a TCP port, and no listener leads to one")

    def _check_busy(self) -> None:
        """A setting that could change nothing was meant to change something."""
        if self.busy.silent != "stop" and self.doze.seconds == float("inf"):
            raise ValueError('.busy.silent: it never dozes; say after how long: doze = "5min"')
        if self.busy.connections != OPEN and all(one.on.udp for one in self.listener):
            raise ValueError(
                ".busy.connections: no listener has connections; a UDP client counts until flow_idle is over"
            )

    def _check_passing(self) -> None:
        """What only a proxy could do, where the program has the sockets themselves."""
        if not self.pass_fd:
            if self.fd_name:
                raise ValueError(".fd_name: no socket is passed; pass_fd = true passes it")
            return
        if not self.listener:
            raise ValueError(".pass_fd: there is no listener, so there is no socket to pass")
        for key, reason in pass_fd.REFUSED.items():
            if getattr(self, key) != DEFAULTS[key]:
                raise ValueError(f".{key}: {reason}")
        if self.busy.connections != OPEN or self.busy.silent != "stop":
            raise ValueError(f".busy.connections: {pass_fd.UNSEEN}")
        if self.ready != "connect" and not self.ready.startswith("exec:"):
            raise ValueError(f".ready: {pass_fd.NO_PORT}")
        if (self.busy.check or "").startswith("http:"):
            raise ValueError(f".busy.check: {pass_fd.NO_PORT_TO_CHECK}")
        for index, one in enumerate(self.listener):
            for key, reason in pass_fd.REFUSED_OF_LISTENER.items():
                if getattr(one, key) != listener.DEFAULTS[key]:
                    raise ValueError(f".listener[{index}].{key}: {reason}")

    def _check_bypass(self) -> None:
        """What needs a proxy, or could not be seen, where awake traffic goes past it."""
        if not self.bypass:
            return
        if self.runtime not in bypass_settings.RUNTIMES:
            raise ValueError(f".bypass: {bypass_settings.NO_BRIDGE}")
        if self.pass_fd:
            raise ValueError(f".bypass: {bypass_settings.NO_PROXY}")
        if not any(one.on.port and not one.leads_to_path for one in self.listener):
            raise ValueError(f".bypass: {bypass_settings.NO_PORT}")
        if self.busy.connections != OPEN and (self.busy.silent != "stop" or self.doze.seconds < float("inf")):
            raise ValueError(f".bypass: {bypass_settings.UNHEARD}")
        ports = sum(bool(one.on.port) for one in self.listener)
        if len(self.allow) * ports > bypass_settings.NETWORKS_MAX:
            raise ValueError(f".bypass: {bypass_settings.TOO_MANY}")
        for index, one in enumerate(self.listener):
            for key, reason in bypass_settings.REFUSED_OF_LISTENER.items():
                if getattr(one, key) != listener.DEFAULTS[key]:
                    raise ValueError(f".listener[{index}].{key}: {reason}")

    def _check_needs(self) -> None:
        for index, name in enumerate(self.needs):
            try:
                check_name(name)
            except BadInput as problem:
                raise ValueError(f".needs[{index}]: {problem.fact}") from None
            if name in self.needs[:index]:
                raise ValueError(f".needs: {name!r} stands there twice")

    def _check_places(self) -> None:
        for index, one in enumerate(self.listener):
            for other in self.listener[:index]:
                if one.on.overlaps(other.on):
                    raise ValueError(f'the listeners "{other.on}" and "{one.on}" want the same port or path')
            if one.to in {other.on.path for other in self.listener if other.on.path}:
                raise ValueError(
                    f'.listener[{index}].to: "{one.to}" is where systemd listens for this very service'
                )

    def _check_unix_sockets(self) -> None:
        """One socket unit holds them all, and has one mode and one owner for them."""
        found = {(one.socket_mode, one.owner): one for one in self.listener if one.on.path}
        if len(found) > 1:
            first, second, *_ = found.values()
            raise ValueError(
                f'the Unix sockets "{first.on}" and "{second.on}" differ in mode or owner, which systemd '
                "has once for all sockets of a unit; say the same for both, or make two services of it"
            )

    def _check_allow(self) -> None:
        """It is about addresses that connect, and who is to come to a listener has to be among them."""
        if self.allow and not any(one.on.port for one in self.listener):
            raise ValueError(
                ".allow: no listener is a port, so nobody comes from an address; "
                "a Unix socket has mode and owner for that"
            )
        for one in self.listener:
            trusted = one.accept_proxy
            if self.allow and one.on.port and trusted and not rules.overlap(self.allow, trusted):
                raise ValueError(
                    f'.allow: it has none of those from whom alone "{one.on}" takes clients (accept_proxy); '
                    "it is about who connects, and a rule with from about whom a PROXY header names"
                )

    def _check_classic(self) -> None:
        """What systemd-socket-proxyd cannot do, and why."""
        never_held = "it leaves its clients in the backlog, and holds none"
        refused = {"hold_max": never_held, "hold_for": never_held}
        for key, reason in refused.items():
            if getattr(self, key) != DEFAULTS[key]:
                raise ValueError(f".{key}: {reason}; {_RATHER}")
        unseen = "it passes connections on unseen"
        if self.allow:
            raise ValueError(f".allow: {unseen}, from wherever they come; {_RATHER}")
        if self.busy.connections != OPEN:
            raise ValueError(f".busy.connections: {unseen}; {_RATHER}")
        refused = {
            "send_proxy": "it adds nothing to what a client says",
            "accept_proxy": unseen,
            "page": unseen,
            "wake_on": unseen,
            "rule": unseen,
        }
        for index, one in enumerate(self.listener):
            where = f".listener[{index}]"
            if one.on.udp:
                raise ValueError(f"{where}.on: it has no UDP; {_RATHER}")
            for key, reason in refused.items():
                if getattr(one, key) != listener.DEFAULTS[key]:
                    raise ValueError(f"{where}.{key}: {reason}; {_RATHER}")


_RATHER: Final = f'with proxy = "{CLASSIC}" that does not work, with "{OWN}" it does'

DEFAULTS: Final[dict[str, Any]] = {
    field.name: field.default for field in msgspec.structs.fields(Service) if not field.required
}

_decode: Final = partial(
    kinds.decode,
    {
        **kinds.DECODERS,
        **busy.DECODERS,
        **listener.DECODERS,
        **per_connection.DECODERS,
        **rules.DECODERS,
        FdName: pass_fd.fd_name,
    },
)


def check_name(name: str) -> str:
    """`name`, where a service may be called that. Raises BadInput."""
    if not _NAME.fullmatch(name) or len(name) > NAME_MAX:
        raise BadInput(
            f"{name!r} cannot be the name of a service",
            f"use up to {NAME_MAX} letters, digits, '_', '.' and '-', a letter or digit first",
        )
    for ending, reason in RESERVED_ENDINGS.items():
        if name.endswith(ending):
            raise BadInput(f"{name!r} cannot be the name of a service: {reason}", f"leave off the {ending!r}")
    return name


def read(name: str, text: str, source: str) -> Service:
    """The service that `text` (TOML) describes. Raises BadInput, with `source` and the path of the key."""
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{source} is not TOML: {error}", "mend that line") from None
    if "name" in settings:
        raise BadInput(f"{source}: name: the file's own name is the service's name", "remove that line")
    try:
        return build(name, settings)
    except BadInput as problem:
        raise BadInput(f"{source}: {problem.fact}", problem.hint) from None


def build(name: str, settings: dict[str, Any]) -> Service:
    """A service from its settings, as TOML has them. Raises BadInput with the path of the key."""
    check_name(name)
    try:
        return msgspec.convert({"container": name, **settings, "name": name}, Service, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise BadInput(complaint(str(error), _LEVELS), "every key is explained in wakeport(1)") from None


# Which keys stand at which level of the file, from the outside in.
_LEVELS: Final = {
    "": set(Service.__struct_encode_fields__) - {"name"},
    "[busy]": set(Busy.__struct_encode_fields__),
    "[[listener]]": set(Listener.__struct_encode_fields__),
    "[[listener.rule]]": set(rules.Rule.__struct_encode_fields__),
}
