"""What one service puts into the table: by which listeners it is reached, from where, and where that leads.

Keys are laid out as nftables has them: each part in words of four bytes, in the network's order.
"""

from __future__ import annotations

import struct

from wakeport.light import socket
from wakeport.netlink.nftables import Element

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

Target = tuple[str, int]

LASTS = 5.0  # seconds; so long a port may lead to where nobody is any more, if this process dies
GUARDS_LAST = 10.0  # seconds; what holds traffic back outlives what sends it on

PORT = struct.Struct(">H2xB3x")  # with the protocol
PROTOCOL = struct.Struct(">B3xH2x")  # with the port
INTERFACE = 16  # bytes, IFNAMSIZ

LOOPBACK = {4: b"\x7f", 16: bytes(15) + b"\x01"}  # how such an address begins
ANY = {"": (4, 16), "0.0.0.0": (4,), "::": (16,)}  # the sizes of the addresses that a listener hears of


class Way:
    """One listener: `on` is its place as in "10.0.0.1:53/udp", `key` its target's name as in "53/udp".

    `flow_idle` is after how many seconds of silence a UDP client counts no more.
    """

    __slots__ = ("address", "flow_idle", "key", "port", "protocol", "udp")

    def __init__(self, word: str) -> None:
        on, self.key, idle = word.split("=")
        place, _, protocol = on.partition("/")
        host, _, port = place.rpartition(":")
        self.address = host.strip("[]")
        self.port = int(port)
        self.udp = protocol == "udp"
        self.protocol = socket.IPPROTO_UDP if self.udp else socket.IPPROTO_TCP
        self.flow_idle = float(idle)

    def elements(self, target: Target, allowed: Sequence[str]) -> list[Element]:
        """Those of the map of the target's family; none where the listener hears of no such address."""
        to = packed(target[0])
        here = self._here(len(to))
        if here is None:
            return []
        port = PORT.pack(self.port, self.protocol)
        return [
            Element(
                "awake4" if len(to) == 4 else "awake6",
                key=port + here[0] + first,
                end=port + here[1] + last,
                data=to + struct.pack(">H2x", target[1]),
                timeout=LASTS,
            )
            for first, last in sources(allowed, len(to))
        ]

    def _here(self, size: int) -> tuple[bytes, bytes] | None:
        if self.address in ANY:
            return (bytes(size), b"\xff" * size) if size in ANY[self.address] else None
        address = packed(self.address)
        if len(address) != size or address.startswith(LOOPBACK[size]):
            return None
        return address, address

    def guard(self, set_: str) -> Element:
        """Of one of the sets of ports."""
        return Element(set_, PROTOCOL.pack(self.protocol, self.port), GUARDS_LAST)


def bridge(name: str) -> Element:
    return Element("bridges", name.encode("latin-1").ljust(INTERFACE, b"\0"), GUARDS_LAST)


def packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def sources(allowed: Sequence[str], size: int) -> list[tuple[bytes, bytes]]:
    """First and last address of each network whose addresses have that size; all where nothing is said.

    Without those that lie in another: the kernel takes no ranges that overlap.
    """
    if not allowed:
        return [(bytes(size), b"\xff" * size)]
    ranges = [found for network in allowed if len((found := _range(network))[0]) == size]
    return [
        one
        for index, one in enumerate(ranges)
        if not any(
            other[0] <= one[0] and one[1] <= other[1] and (other != one or place < index)
            for place, other in enumerate(ranges)
            if place != index
        )
    ]


def _range(network: str) -> tuple[bytes, bytes]:
    address, _, length = network.partition("/")
    first = packed(address)
    bits = 8 * len(first)
    hosts = (1 << bits - int(length or bits)) - 1
    return first, (int.from_bytes(first, "big") | hosts).to_bytes(len(first), "big")
