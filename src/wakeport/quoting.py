"""How a value is written into a unit file so that systemd reads back exactly that value.

systemd.syntax(7) and systemd.unit(5), "Specifiers"; systemd.service(5), "Command lines".
"""

from __future__ import annotations

import re
from typing import Final

_BARE: Final = re.compile(r"[A-Za-z0-9_./:=,@+-]+")
_ESCAPED: Final = {"\\": "\\\\", '"': '\\"', "%": "%%", "$": "$$"}


def value(text: str) -> str:
    """`text` as the value of a setting that takes one string: only specifiers need escaping.

    Raises ValueError for what would end the line or lose its ends: control
    characters, backslashes, blanks at either end.
    """
    if not text.isprintable() or "\\" in text or text != text.strip():
        raise ValueError(f"{text!r} cannot be the value of a unit's setting")
    return text.replace("%", "%%")


def argument(text: str) -> str:
    """`text` as one argument of a command line: quoted, with specifiers and variables escaped.

    Raises ValueError for a NUL, which no argument can contain, and for a lone surrogate.
    """
    if "\0" in text:
        raise ValueError("an argument cannot contain a NUL")
    if _BARE.fullmatch(text):
        return text
    return '"' + "".join(_escape(character) for character in text) + '"'


def _escape(character: str) -> str:
    if character in _ESCAPED:
        return _ESCAPED[character]
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode())


def command(*arguments: str) -> str:
    """A whole command line. Its first argument is the program, by its absolute path."""
    return " ".join(argument(text) for text in arguments)
