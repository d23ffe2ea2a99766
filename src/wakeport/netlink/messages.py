"""Messages of netlink(7) as bytes: headers, attributes within attributes. Pure.

Headers and the numbers of attributes are in the machine's byte order, what stands in attributes of netfilter
in the network's (linux/netlink.h, linux/netfilter/nfnetlink.h).
"""

from __future__ import annotations

import errno
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = struct.Struct("=IHHII")  # nlmsghdr: size, kind, flags, sequence, port
ATTRIBUTE = struct.Struct("=HH")  # nlattr: size, kind
FAMILY = struct.Struct(">BBH")  # nfgenmsg: family, version, resource

ERROR, DONE = 2, 3  # NLMSG_ERROR, NLMSG_DONE

REQUEST, ACK = 0x1, 0x4
DUMP = 0x300  # NLM_F_ROOT | NLM_F_MATCH
CREATE = 0x400

NESTED = 0x8000  # NLA_F_NESTED
KIND = 0x3FFF  # NLA_TYPE_MASK

FOUR, SIX = 2, 10  # NFPROTO_IPV4, NFPROTO_IPV6, as AF_INET and AF_INET6
INET = 1  # NFPROTO_INET: both

U8, U16, U32, U64 = (struct.Struct(kind) for kind in (">B", ">H", ">I", ">Q"))

Attributes = dict[int, bytes]


class Malformed(OSError):
    """Not a message of netlink: an answer that nobody can make use of, as if the kernel had refused."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EBADMSG, why)


def attribute(kind: int, value: bytes) -> bytes:
    size = ATTRIBUTE.size + len(value)
    return ATTRIBUTE.pack(size, kind) + value + bytes(-size % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    return attribute(kind | NESTED, b"".join(attributes))


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def message(
    kind: int, flags: int, sequence: int, family: int, *attributes: bytes, resource: int = 0
) -> bytes:
    """A message of netfilter: `kind` is the subsystem's number times 256, and its own kind."""
    body = FAMILY.pack(family, 0, resource) + b"".join(attributes)
    return HEADER.pack(HEADER.size + len(body), kind, REQUEST | flags, sequence, 0) + body


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind, sequence and body of each message in what was received. Raises Malformed."""
    at = 0
    while at < len(data):
        if at + HEADER.size > len(data):
            raise Malformed("a message without its header")
        size, kind, _flags, sequence, _port = HEADER.unpack_from(data, at)
        if not HEADER.size <= size <= len(data) - at:
            raise Malformed(f"a message of {size} bytes in {len(data) - at}")
        yield kind, sequence, data[at + HEADER.size : at + size]
        at += size + -size % 4


def attributes(data: bytes, at: int = 0) -> Attributes:
    """What stands in attributes from `at` on, by their kind; of two of a kind the last. Raises Malformed."""
    return dict(each(data, at))


def each(data: bytes, at: int = 0) -> Iterator[tuple[int, bytes]]:
    """As `attributes`, one after the other, as lists have them. Raises Malformed."""
    end = len(data)
    while at < end:
        if at + ATTRIBUTE.size > end:
            raise Malformed("an attribute without its header")
        size, kind = ATTRIBUTE.unpack_from(data, at)
        if not ATTRIBUTE.size <= size <= end - at:
            raise Malformed(f"an attribute of {size} bytes in {end - at}")
        yield kind & KIND, data[at + ATTRIBUTE.size : at + size]
        at += size + -size % 4


def family_body(body: bytes) -> Attributes:
    """The attributes of a message of netfilter. Raises Malformed."""
    return attributes(body, FAMILY.size)


def number(format_: struct.Struct, value: bytes | None) -> int:
    """A number of that format; 0 where there is none. Raises Malformed."""
    if value is None:
        return 0
    if len(value) != format_.size:
        raise Malformed(f"a number of {len(value)} bytes")
    return int(format_.unpack(value)[0])
