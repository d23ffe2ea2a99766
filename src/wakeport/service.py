"""What a service is: its settings, their defaults, and which of them make sense.

/etc/wakeport/NAME.toml is the single source of truth for a service NAME. This
module reads and writes such a text; it touches no file.
"""

from __future__ import annotations

import re
import shlex
from typing import Any, Final

import msgspec
import tomllib

from wakeport.errors import BadInput
from wakeport.listener import Place
from wakeport.span import Span

NAME_MAX: Final = 64  # of the 255 bytes of a unit's name, and of the 107 of a socket's path

RESERVED_ENDINGS: Final = {
    "-container": 'wakeport-NAME-container is the supervisor of the service "NAME"',
    ".lease": 'NAME.lease is the lease socket of the service "NAME"',
}
LATER_RUNTIMES: Final = ("podman", "nspawn", "lxc", "unit")
PROXIES: Final = ("wakeport", "systemd-socket-proxyd")

_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_CONTAINER: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")  # Docker's own rule


class ContainerName(str):
    __slots__ = ()


class Runtime(str):
    __slots__ = ()


class Proxy(str):
    __slots__ = ()


class Ready(str):
    """When the container counts as ready: "connect", "health", "http:/path" or "exec:COMMAND"."""

    __slots__ = ()


class Deadline(Span):
    """A span that ends: longer than nothing, shorter than for ever."""

    __slots__ = ()


class Patience(Span):
    """A span longer than nothing; "infinity" means never."""

    __slots__ = ()


class Listener(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`on` is where systemd listens, `to` the container's port (None: the image's one exposed port)."""

    on: Place
    to: int | None = None

    def __post_init__(self) -> None:
        if self.to is not None and not 1 <= self.to <= 65535:
            raise ValueError(f"to = {self.to}: a port is a number from 1 to 65535")


class Service(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service, whole. Field by field what docs/wakeport.toml explains."""

    name: str
    container: ContainerName
    runtime: Runtime = Runtime("docker")
    ready: Ready = Ready("connect")
    ready_within: Deadline = Deadline(90)
    idle: Patience = Patience(600)
    adopt: bool = False
    proxy: Proxy = Proxy("wakeport")
    listener: tuple[Listener, ...]

    def __post_init__(self) -> None:
        if not self.listener:
            raise ValueError("a service needs at least one [[listener]]")
        for index, one in enumerate(self.listener):
            for other in self.listener[:index]:
                if one.on.overlaps(other.on):
                    raise ValueError(f'the listeners "{other.on}" and "{one.on}" want the same port or path')


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
        raise BadInput(_said(str(error)), "every key is explained in wakeport(1)") from None


def _said(error: str) -> str:
    """msgspec's words, "Expected `bool`, got `str` - at `$.adopt`", with the key in front."""
    message, _, path = error.partition(" - at `$")
    where = path.rstrip("`").lstrip(".")
    about = re.fullmatch(r"Object (contains unknown|missing required) field `(.*)`", message, re.DOTALL)
    if about is not None:
        key = f"{where}.{about[2]}" if where else about[2]
        return f"{_shown(key)}: {'there is no such key' if about[1] == 'contains unknown' else 'is missing'}"
    return f"{where}: {message}" if where else message


def _shown(key: str) -> str:
    return key if key.isprintable() else repr(key)


def write(service: Service) -> str:
    """`service` as TOML: only what is not the default, in the order of the sample. `read` gives it back."""
    lines = [f"# The service {service.name} of wakeport(1). After an edit: wakeport apply {service.name}"]
    if service.container != service.name:
        lines.append(f"container = {_string(service.container)}")
    for key in ("runtime", "ready", "ready_within", "idle", "proxy"):
        setting = getattr(service, key)
        if setting != _DEFAULTS[key]:
            lines.append(f"{key} = {_string(str(setting))}")
    if service.adopt:
        lines.append("adopt = true")
    for listener in service.listener:
        lines += ["", "[[listener]]", f"on = {_string(str(listener.on))}"]
        if listener.to is not None:
            lines.append(f"to = {listener.to}")
    return "\n".join(lines) + "\n"


_DEFAULTS: Final[dict[str, Any]] = {
    field.name: field.default for field in msgspec.structs.fields(Service) if not field.required
}


def _string(text: str) -> str:
    """`text` as a basic string of TOML."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'


def _decode(kind: type, written: Any) -> Any:
    """What one key's value means; msgspec adds the key's path to the ValueError."""
    if kind is Place and type(written) is int:
        written = str(written)
    if issubclass(kind, Span) and type(written) is int:
        written = str(written)
    if not isinstance(written, str):
        raise ValueError(f"expected a string, got {written!r}")  # noqa: TRY004  # msgspec adds a path to ValueErrors
    return _DECODERS[kind](written)


def _container(written: str) -> ContainerName:
    if not _CONTAINER.fullmatch(written):
        raise ValueError(f"{written!r} cannot be the name of a container")
    return ContainerName(written)


def _runtime(written: str) -> Runtime:
    if written in LATER_RUNTIMES:
        raise ValueError(f"{written} is not there yet; this version runs docker containers")
    if written != "docker":
        raise ValueError(f"{written!r} is no runtime; this version knows docker")
    return Runtime(written)


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
    command = kind == "exec" and _is_command(argument)
    if not (plain or http or command):
        raise ValueError(f"{written!r} is none of connect, health, http:/path, exec:COMMAND")
    return Ready(written)


def _is_command(text: str) -> bool:
    try:
        return bool(shlex.split(text))
    except ValueError:  # a quote that is not closed
        return False


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


_DECODERS: Final[dict[type, Any]] = {
    ContainerName: _container,
    Runtime: _runtime,
    Proxy: _proxy,
    Ready: _ready,
    Deadline: _deadline,
    Patience: _patience,
    Place: Place.parse,
}
