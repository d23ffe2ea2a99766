"""What is wrong with a settings file, in words for people: the path of the key in front, then a sentence."""

from __future__ import annotations

import re
from typing import Final

_SAID: Final = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "datetime": "a date",
    "date": "a date",
    "time": "a time of day",
}


def complaint(error: str, levels: dict[str, set[str]]) -> str:
    """msgspec's words, "Expected `bool`, got `str` - at `$.adopt`", for people.

    A message of ours that begins with a dot goes on with the path: ".to: a port is a number".
    `levels` are the keys that each kind of table has, by its header in the file, from the outside in.
    """
    message, _, path = error.partition(" - at `$")
    where = path.rstrip("`").lstrip(".")
    field = re.fullmatch(r"Object (contains unknown|missing required) field `(.*)`", message, re.DOTALL)
    if field is not None:
        key = f"{where}.{field[2]}" if where else field[2]
        said = "is missing" if field[1] == "missing required" else _unknown(where, field[2], levels)
        return f"{_shown(key)}: {said}"
    kinds = re.fullmatch(r"Expected `(.*)`, got `(.*)`", message)
    if kinds is not None:
        message = f"expected {_kinds(kinds[1])}, got {_kinds(kinds[2])}"
        if kinds.groups() == ("array", "object"):
            header = re.sub(r"\[[0-9]+\]", "", where)
            message = f"there may be several, so its header has two brackets: [[{header}]]"
    if message.startswith("."):
        return f"{where}{message}".lstrip(".")
    return f"{where}: {message}" if where else message


def _unknown(where: str, key: str, levels: dict[str, set[str]]) -> str:
    """In TOML a key belongs to the last header above it: many an unknown one stands only too far down."""
    here = ""
    if where:
        here = "[busy]" if where == "busy" else "[[listener.rule]]" if ".rule" in where else "[[listener]]"
    for header, keys in levels.items():
        if key in keys and header != here:
            place = f"it belongs below a {header}" if header else "it belongs above the first header"
            return f"there is no such key here; {place}"
    return "there is no such key"


def _kinds(names: str) -> str:
    known = [name for name in names.split(" | ") if name != "null"]
    return " or ".join(_SAID.get(name, name) for name in known)


def _shown(key: str) -> str:
    return key if key.isprintable() else repr(key)
