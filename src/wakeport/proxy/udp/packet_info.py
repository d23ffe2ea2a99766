"""Which of the host's addresses a datagram was sent to, and how an answer leaves from that address.

A socket that listens on all addresses would answer from whichever one the route to the client suggests,
and a client that asked 192.0.2.1 drops what comes from 192.0.2.2. The kernel tells the one and is told
the other in control messages: IP_PKTINFO in ip(7), IPV6_PKTINFO in RFC 3542, section 6.
"""

from __future__ import annotations

from wakeport.light import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

IP_PKTINFO = 8  # linux/in.h; the socket module of Python 3.10 does not have it

# struct in_pktinfo is the interface's number, the local address, and the address in the packet's header;
# struct in6_pktinfo is the address in the header, and the interface's number.
INFO_SIZE, INFO6_SIZE = 12, 20
ANCILLARY_SPACE = socket.CMSG_SPACE(INFO_SIZE) + socket.CMSG_SPACE(INFO6_SIZE)

UNSPECIFIED = bytes(4)
ANY_INTERFACE = bytes(4)
MULTICAST = 0xFF  # the first byte of every IPv6 group, RFC 4291

Ancillary = tuple[int, int, bytes]


def ask_for(sock: socket.socket) -> None:
    """Have the kernel tell it with each datagram that arrives from now on; the unit said so before."""
    sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)


def asked(ancillary: Iterable[Ancillary]) -> bytes:
    """The address that was asked: 4 bytes, or 16, or 20 where an interface belongs to it (link-local).

    The same for all datagrams from one client to one address, whichever interface each came in by.
    Empty where the kernel did not say.
    """
    found = b""
    for level, kind, data in ancillary:
        # An IPv4 datagram on an IPv6 socket has both, and the first of them also knows broadcasts.
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO and len(data) == INFO_SIZE:
            # Of a datagram that came before `ask_for` the kernel has the header alone.
            return data[4:8] if data[4:8] != UNSPECIFIED else data[8:12]
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO and len(data) == INFO6_SIZE:
            found = data if _is_link_local(data) else data[:16]
    return found


def answers_from(address: bytes) -> list[Ancillary]:
    """What to send an answer with, so that it leaves from `address`, as `asked` gave it.

    The interface is left open wherever it can be: a number there would overrule the routing table.
    """
    if len(address) == 4:
        return [(socket.IPPROTO_IP, IP_PKTINFO, ANY_INTERFACE + address + UNSPECIFIED)]
    if not address or address[0] == MULTICAST:
        return []  # nothing can be sent from a group: the kernel chooses
    info = address if len(address) == INFO6_SIZE else address + ANY_INTERFACE
    return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info)]


def _is_link_local(address: bytes) -> bool:
    return address[0] == 0xFE and address[1] & 0xC0 == 0x80  # fe80::/10, RFC 4291
