"""The server name that a TLS client asks for, from its first bytes: RFC 8446 4.1.2 and 5.1, RFC 6066 3.

TLS is not terminated here. The name stands in the clear in the first message that a client sends.
"""

from __future__ import annotations

_HANDSHAKE = 22  # the type of a record
_CLIENT_HELLO = 1  # the type of a handshake message
_SERVER_NAME = 0  # the type of an extension
_HOST_NAME = 0  # the type of a name in it

_MAJOR_VERSION = 3
_BEGINNING = bytes((_HANDSHAKE, _MAJOR_VERSION))

_RECORD_HEADER = 5  # bytes: type, version, length
_RECORD_MAX = 16_384  # bytes of plaintext in one record
_MESSAGE_HEADER = 4  # bytes: type, length
_RANDOM = 32  # bytes

# A message may come in records of one byte each. Nobody's does; each look at it costs a turn a record.
RECORDS_MAX = 1024


class Incomplete(Exception):
    """It may yet become a ClientHello; the rest of it has not come."""


class NotTls(ValueError):
    """Whatever comes after these bytes, this is no TLS client that has just begun."""


def server_name(first: bytes) -> str:
    """The name in lower case, "" where the client asks for none. Raises Incomplete and NotTls."""
    hello = _Reader(_client_hello(first))
    try:
        hello.take(2 + _RANDOM)  # version, random
        hello.vector(1)  # session id
        hello.vector(2)  # cipher suites
        hello.vector(1)  # compression methods
        extensions = _Reader(hello.vector(2) if hello else b"")  # there were none before TLS 1.2
        while extensions:
            kind = extensions.number(2)
            content = extensions.vector(2)
            if kind == _SERVER_NAME:
                return _host_name(content)
    except _Short:
        raise NotTls("a ClientHello that ends too early") from None
    return ""


def _client_hello(first: bytes) -> bytes:
    """What the message says, put together from as many records as it came in.

    Each byte that arrives is a reason to look again, and a thousand records are gone through each time: so
    nothing is sliced or joined here but what is needed (0.25 us a record; it was 1).
    """
    parts: list[bytes] = []
    have, end = 0, _MESSAGE_HEADER  # bytes of the message, and how many make it whole as far as is known
    start, size = 0, len(first)
    for _ in range(RECORDS_MAX):
        content = start + _RECORD_HEADER
        if content > size:
            # Type, and the major version, which has been 3 since SSL 3.0: as far as they are there.
            if not _BEGINNING.startswith(first[start : start + 2]):
                raise NotTls("no handshake record")
            raise Incomplete
        if first[start] != _HANDSHAKE or first[start + 1] != _MAJOR_VERSION:
            raise NotTls("no handshake record")
        length = first[start + 3] << 8 | first[start + 4]
        if not 0 < length <= _RECORD_MAX:
            raise NotTls(f"a record of {length} bytes")
        start = content + length
        if not parts and content < size and first[content] != _CLIENT_HELLO:
            raise NotTls("another message than ClientHello")
        parts.append(first[content:start])
        have += length
        if have >= end:
            message = b"".join(parts)
            parts = [message]
            if len(message) >= _MESSAGE_HEADER:
                end = _MESSAGE_HEADER + int.from_bytes(message[1:_MESSAGE_HEADER], "big")
            if len(message) >= end:
                return message[_MESSAGE_HEADER:end]
    raise NotTls("a ClientHello in too many records")


def _host_name(content: bytes) -> str:
    names = _Reader(_Reader(content).vector(2))
    while names:
        kind = names.number(1)
        name = names.vector(2)
        if kind == _HOST_NAME:
            # ASCII by the letter of the RFC; other bytes are no reason to fail, and match no pattern.
            return name.decode("latin-1").lower().removesuffix(".")
    return ""


class _Short(Exception):
    """A length that leads beyond the end of what it is part of."""


class _Reader:
    """Takes one thing after the other from the front of some bytes; true while any are left."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def __bool__(self) -> bool:
        return self.at < len(self.data)

    def take(self, size: int) -> bytes:
        taken = self.data[self.at : self.at + size]
        if len(taken) < size:
            raise _Short
        self.at += size
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """Bytes with their own length in front, which is a number of `size` bytes."""
        return self.take(self.number(size))
