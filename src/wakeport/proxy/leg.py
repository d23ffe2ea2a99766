"""How one leg of a relay is set up, and the two ways in which it ends: in order, or by a reset."""

from __future__ import annotations

import struct

from wakeport.light import socket
from wakeport.loop import Loop

# A peer that vanished (no FIN, no RST: a pulled cable, a dead NAT entry) is gone after
# 120 + 8 * 15 = 240 s: under the 5 minutes that are promised, with a minute for a sweep or a late
# timer, and rarely enough that an idle client on a phone is woken every two minutes only. tcp(7)
KEEPALIVE_IDLE = 120  # seconds of silence before the first probe
KEEPALIVE_INTERVAL = 15  # seconds between probes
KEEPALIVE_PROBES = 8

# struct linger, socket(7)
_LINGER_ZERO = struct.pack("ii", 1, 0)  # close() sends RST and keeps nothing
_LINGER = struct.pack("ii", 0, 0)  # the default: close() sends what is left and FIN


def tune(sock: socket.socket) -> None:
    """No Nagle, and keepalive: for one leg, or for all that a listener will accept, tcp(7).

    Nothing to do on a Unix socket: its peer cannot vanish.
    """
    if sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    keep_alive(sock)


def keep_alive(sock: socket.socket) -> None:
    """Probe the peer when it is silent. Four calls to the kernel, so not for legs that live for moments."""
    if sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)


def close(loop: Loop, sock: socket.socket) -> None:
    """Close at the end of this turn of the loop.

    Not at once: the kernel would give the number to the next client, and an event of this turn
    that was meant for the old socket would reach the new one.
    """
    loop.forget(sock.fileno())
    loop.call_soon(sock.close)


def reset(loop: Loop, sock: socket.socket) -> None:
    """Close so that the peer gets an error and cannot take what it has read for the whole."""
    refuse_to_linger(sock)
    close(loop, sock)


def refuse_to_linger(sock: socket.socket) -> None:
    """Make any later close, also the one at the end of the process, a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)


def linger_again(sock: socket.socket) -> None:
    """Take `refuse_to_linger` back."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
