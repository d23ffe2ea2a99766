"""A method call of D-Bus, as bytes. Pure.

https://dbus.freedesktop.org/doc/dbus-specification.html, "Message Protocol". Made before the start call of a
wake: built-in modules only, so without struct.
"""

from __future__ import annotations

METHOD_CALL, METHOD_RETURN, ERROR, SIGNAL = 1, 2, 3, 4
PATH, INTERFACE, MEMBER, REPLY_SERIAL, DESTINATION, SIGNATURE = 1, 2, 3, 5, 6, 8


def call(
    serial: int,
    destination: str,
    path: str,
    interface: str,
    member: str,
    strings: list[str] | None = None,
    words: tuple[str | int, ...] = (),
) -> bytes:
    """Its argument is `strings` as one array, or each of `words` as a string or a number of its own."""
    fields = [(PATH, "o", path), (DESTINATION, "s", destination), (INTERFACE, "s", interface)]
    fields.append((MEMBER, "s", member))
    body = b""
    for text in words if strings is None else strings:
        body += _padding(len(body), 4) + (_number(text) if isinstance(text, int) else _string(text))
    if strings is not None:
        fields.append((SIGNATURE, "g", "as"))
        body = _number(len(body)) + body
    elif words:
        signature = "".join("i" if isinstance(word, int) else "s" for word in words)
        fields.append((SIGNATURE, "g", signature))
    listed = b""
    for code, kind, text in fields:
        value = bytes([len(text)]) + text.encode() + b"\0" if kind == "g" else _string(text)
        listed += _padding(len(listed), 8) + bytes([code, 1]) + kind.encode() + b"\0" + value
    start = b"l" + bytes([METHOD_CALL, 0, 1]) + _number(len(body)) + _number(serial) + _number(len(listed))
    return start + listed + _padding(len(start) + len(listed), 8) + body


def greeting(uid: int) -> bytes:
    """Who we are, which the kernel confirms; see "Authentication Protocol". The answer is a line with OK."""
    return f"\0AUTH EXTERNAL {str(uid).encode().hex()}\r\n".encode()


BEGIN = b"BEGIN\r\n"


def _string(text: str) -> bytes:
    encoded = text.encode()
    return _number(len(encoded)) + encoded + b"\0"


def _number(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _padding(at: int, boundary: int) -> bytes:
    return b"\0" * (-at % boundary)
