"""A service as its settings file: only what is not the default, in the order of the sample.

`service.read` gives back what was written here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wakeport.service import Service


def write(service: Service) -> str:
    """`service` as TOML."""
    lines = [f"# The service {service.name} of wakeport(1). After an edit: wakeport apply {service.name}"]
    alone = {"name", "busy", "listener"} | ({"container"} if service.container == service.name else set())
    lines += _settings(service, alone)
    if busy := _settings(service.busy, set()):
        lines += ["", "[busy]", *busy]
    for listener in service.listener:
        lines += ["", "[[listener]]", *_settings(listener, {"rule"})]
        for rule in listener.rule:
            lines += ["", "[[listener.rule]]", *_settings(rule, set())]
    return "\n".join(lines) + "\n"


def _settings(table: msgspec.Struct, left_out: set[str]) -> list[str]:
    return [
        f"{field.encode_name} = {_value(given)}"
        for field in msgspec.structs.fields(table)
        if field.name not in left_out and (given := getattr(table, field.name)) != field.default
    ]


def _value(given: Any) -> str:
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, int):
        return str(int(given))
    if isinstance(given, tuple):
        return f"[{', '.join(map(_string, given))}]"
    return _string(str(given))


def _string(text: str) -> str:
    """`text` as a basic string of TOML."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'
