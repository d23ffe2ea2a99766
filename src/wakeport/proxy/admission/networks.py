"""Whether an address is one of those that somebody wrote down: `10.0.0.7`, `2001:db8::/32`, `unix`.

The ipaddress module would do, for 5 ms at wake (measured).
"""

from __future__ import annotations

from wakeport.light import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


UNIX = "unix"  # every client of a Unix socket: it has no address

_MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96, an IPv4 address in IPv6's clothes; RFC 4291 2.5.5.2


class Networks:
    """A set of them. Raises ValueError, with a sentence for people, for one that makes no sense."""

    __slots__ = ("blocks", "unix")

    def __init__(self, texts: Iterable[str]) -> None:
        wanted = list(texts)
        self.unix = UNIX in wanted
        # By the length of an address in bytes, and how many of its bits do not count: thousands of networks
        # are a few of these, and the time for a client is the same.
        self.blocks: dict[tuple[int, int], set[int]] = {}
        for text in wanted:
            if text != UNIX:
                length, prefix, shift = _block(text)
                self.blocks.setdefault((length, shift), set()).add(prefix)

    def cover(self, address: object) -> bool:
        """Whether `address`, as accept() returns it, is in one; an IPv4 client of `[::]` is one of IPv4."""
        if not isinstance(address, tuple):
            return self.unix
        packed = pack(str(address[0]))
        number = int.from_bytes(packed, "big")
        return any(
            len(packed) == length and number >> shift in prefixes
            for (length, shift), prefixes in self.blocks.items()
        )


def pack(host: str) -> bytes:
    """4 or 16 bytes in network order; 4 for an IPv4 address in IPv6's clothes. Raises ValueError."""
    bare = host.partition("%")[0]  # fe80::1%eth0: which link it was seen on is no part of the address
    try:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in bare else socket.AF_INET, bare)
    except (OSError, ValueError):
        raise ValueError(f"{host!r} is no IPv4 or IPv6 address") from None
    return packed[12:] if packed.startswith(_MAPPED) else packed


def unpack(packed: bytes) -> str:
    """An address as people write it, from its 4 or 16 bytes; IPv4 in IPv6's clothes is written as IPv4."""
    if len(packed) == 16 and packed.startswith(_MAPPED):
        packed = packed[12:]
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _block(text: str) -> tuple[int, int, int]:
    """Length of the address in bytes, its leading bits as a number, and how many bits follow those."""
    host, slash, bits = text.partition("/")
    if "%" in host:
        raise ValueError(f"{text!r}: a network is on no link; leave out what stands from the % on")
    packed = pack(host)
    width = 8 * len(packed)
    if not slash:
        size = width
    elif bits.isascii() and bits.isdecimal() and len(bits) <= 3:
        # Written in IPv6's clothes, the bits count from the start of those.
        size = int(bits) - (96 if ":" in host and width == 32 else 0)
    else:
        size = -1
    if not 0 <= size <= width:
        raise ValueError(f"{text!r}: after the slash stands the number of leading bits, 0 to {width}")
    # Bits after the leading ones are nobody's mistake here: `10.0.0.7/8` is what `ip address` prints.
    return len(packed), int.from_bytes(packed, "big") >> (width - size), width - size
