"""Whether somebody listens on a port in a container's network, as the kernel tells it.

A datagram that nobody answers proves nothing, and one that an application would have to understand might
do something there; nor does a connection prove anything that somebody in between takes. So the kernel is
asked who is bound: /proc/PID/net/udp and tcp, proc(5). It shows the network of that process to whoever sees
the process, without any capability.
"""

from __future__ import annotations

import struct

from wakeport.light import socket

UNCONNECTED = "07"  # TCP_CLOSE, include/net/tcp_states.h: a UDP socket that has no peer


def is_bound(pid: int, address: str, port: int) -> bool:
    """Whether a datagram to that address and port reaches a socket, in the network of process `pid`.

    Raises OSError where that cannot be known: the process has ended, or is hidden.
    """
    return _is_taken(pid, "udp", places(address, port), UNCONNECTED)


LISTENING = "0A"  # TCP_LISTEN


def is_listening(pid: int, address: str, port: int) -> bool:
    """The same of a TCP connection."""
    return _is_taken(pid, "tcp", places(address, port), LISTENING)


def _is_taken(pid: int, protocol: str, wanted: frozenset[str], state: str) -> bool:
    for table in (protocol, f"{protocol}6"):
        try:
            with open(f"/proc/{pid}/net/{table}", encoding="ascii") as file:
                if takes(file.read(), wanted, state):
                    return True
        except FileNotFoundError:
            if table == protocol:
                raise  # only the other one is missing where the kernel has no IPv6
    return False


def takes(table: str, wanted: frozenset[str], state: str = UNCONNECTED) -> bool:
    """Whether a socket in such a table is bound to one of `wanted`, and in that state."""
    for line in table.splitlines()[1:]:
        columns = line.split(None, 4)
        if len(columns) > 3 and columns[3] == state and columns[1] in wanted:
            return True
    return False


def places(address: str, port: int) -> frozenset[str]:
    """What a socket may be bound to that hears of `address`, as those tables write it."""
    if ":" in address:
        hears = [socket.inet_pton(socket.AF_INET6, address), bytes(16)]
    else:
        four = socket.inet_pton(socket.AF_INET, address)
        # A socket bound to [::] hears IPv4 as well, and one may be bound to an address as IPv6 writes it.
        hears = [four, bytes(4), bytes(16), bytes(10) + b"\xff\xff" + four]
    return frozenset(f"{_hexadecimal(packed)}:{port:04X}" for packed in hears)


def _hexadecimal(packed: bytes) -> str:
    """32-bit words in the machine's own byte order."""
    return "".join(f"{word:08X}" for word in struct.unpack(f"={len(packed) // 4}I", packed))
