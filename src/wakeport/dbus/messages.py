"""Messages of D-Bus as they are received: any reply, and any signal. Pure.

https://dbus.freedesktop.org/doc/dbus-specification.html, "Type System" and "Message Protocol".
"""

from __future__ import annotations

import struct

from wakeport.dbus.calls import MEMBER, PATH, REPLY_SERIAL, SIGNAL, SIGNATURE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NO_CALL = 0  # a serial that no call has: what a signal answers

START_SIZE = 16  # bytes of a message that tell how long the rest is
MESSAGE_MAX = 1 << 20  # bytes; an answer about one unit is 300 long, the bus itself would allow 128 MiB

_ORDER = {ord("l"): "<", ord("B"): ">"}
_FIXED = dict(zip("ybnqiuxtdh", "BIhHiIqQdI", strict=True))  # D-Bus's letters and those of struct
_STRUCT, _ENTRY = "(", "{"

# For each byte order, how the numbers with these letters are read.
_NUMBERS = {
    order: {kind: struct.Struct(order + letter) for kind, letter in _FIXED.items()}
    for order in _ORDER.values()
}


class Malformed(ValueError):
    """Not a message of D-Bus."""


class Message:
    """What was received. `answers` is the serial of the call to which it is the answer, else NO_CALL;
    `path` and `member` are those of a signal.
    """

    __slots__ = ("answers", "body", "kind", "member", "path")

    def __init__(self, kind: int, answers: int, path: str, member: str, body: list[Any]) -> None:
        self.kind = kind
        self.answers = answers
        self.path = path
        self.member = member
        self.body = body


def message_size(start: bytes) -> int:
    """How long the message is that begins with these bytes, START_SIZE at least. Raises Malformed."""
    order = _ORDER.get(start[0])
    if order is None:
        raise Malformed("neither byte order")
    body, _serial, fields = struct.unpack_from(f"{order}III", start, 4)
    size = START_SIZE + fields + (-fields % 8) + body
    if size > MESSAGE_MAX:
        raise Malformed(f"{size} bytes")
    return int(size)


def is_signal(message: bytes) -> bool:
    """Told by its begin alone."""
    return message[1] == SIGNAL


def parse(message: bytes) -> Message:
    """One whole message. Raises Malformed."""
    try:
        reader = _Reader(message, _ORDER[message[0]])
        kind, _flags, _version, body_size, _serial = [reader.read(each) for each in "yyyuu"]
        fields = dict(reader.read("a(yv)"))
        reader.align(8)
        if len(message) - reader.at != body_size:
            raise Malformed("another length than it says")
        body = [reader.read(one) for one in _split(fields.get(SIGNATURE, ""))]
        answers, path, member = (
            fields.get(key, other) for key, other in ((REPLY_SERIAL, NO_CALL), (PATH, ""), (MEMBER, ""))
        )
        return Message(kind, answers, path, member, body)
    except (struct.error, LookupError, UnicodeDecodeError, RecursionError, TypeError, ValueError) as error:
        raise Malformed(str(error)) from error


class _Reader:
    """Takes values from a message, one after the other. Everything is aligned to the message's begin."""

    def __init__(self, message: bytes, order: str) -> None:
        self.message = message
        self.numbers = _NUMBERS[order]
        self.at = 1  # the byte order has been read

    def align(self, boundary: int) -> None:
        self.at += -self.at % boundary

    def read(self, kind: str) -> Any:
        """One value of one complete type. Raises what parse() turns into Malformed."""
        first = kind[0]
        if first in _FIXED:
            return self._fixed(first)
        if first in "so":
            return self._text(self._fixed("u"))
        if first == "g":
            return self._text(self._fixed("y"))
        if first == "v":
            [inner] = _split(self.read("g"))
            return self.read(inner)
        if first == "a":
            return self._array(kind[1:])
        self.align(8)
        return [self.read(one) for one in _split(kind[1:-1])]

    def _fixed(self, kind: str) -> Any:
        number = self.numbers[kind]
        self.at += -self.at % number.size
        [value] = number.unpack_from(self.message, self.at)
        self.at += number.size
        return value

    def _text(self, size: int) -> str:
        text = self.message[self.at : self.at + size]
        if len(text) != size or self.message[self.at + size] != 0:
            raise Malformed("a string without its end")
        self.at += size + 1
        return text.decode()

    def _array(self, element: str) -> list[Any]:
        size = self._fixed("u")
        self.align(_alignment(element))
        end = self.at + size
        if end > len(self.message):
            raise Malformed("an array without its end")
        values = []
        while self.at < end:
            values.append(self.read(element))
        if self.at != end:
            raise Malformed("an array of another length than it says")
        return values


def _alignment(kind: str) -> int:
    first = kind[0]
    if first in _FIXED:
        return struct.calcsize(f"={_FIXED[first]}")
    return 8 if first in _STRUCT + _ENTRY else 1 if first in "gv" else 4


def _split(signature: str) -> list[str]:
    """The complete types of a signature: `ua(so)v` is `u`, `a(so)`, `v`. Raises Malformed."""
    found = []
    at = 0
    while at < len(signature):
        end = _end_of_type(signature, at)
        found.append(signature[at:end])
        at = end
    return found


def _end_of_type(signature: str, at: int) -> int:
    while signature[at] == "a":
        at += 1
    if signature[at] in _FIXED or signature[at] in "sogv":
        return at + 1
    if signature[at] not in _STRUCT + _ENTRY or signature[at + 1] in ")}":
        raise Malformed(f"{signature!r} is no type")
    closing = ")" if signature[at] == _STRUCT else "}"
    at += 1
    while signature[at] != closing:
        at = _end_of_type(signature, at)
    return at + 1
