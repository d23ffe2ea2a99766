"""Finding connections whose peer has vanished, also while something was still to be delivered to it.

The client's leg has its keepalive from the listener. The target's gets it at the first sweep: most have
ended by then, and each would have paid for it with four calls to the kernel.

Keepalive probes only a connection that has nothing left to send; for the others the kernel retransmits
for 15 minutes or more (tcp_retries2). TCP_USER_TIMEOUT would shorten that, but it also counts the time
in which a living peer reads nothing: one that answered every probe was cut after 3.3 s with a timeout
of 3 s (Linux 6). So the kernel is asked, now and then, when it last heard from each peer.
"""

from __future__ import annotations

import struct
import time

from wakeport.light import socket
from wakeport.loop import Loop
from wakeport.proxy import leg
from wakeport.proxy.relay import Relay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SWEEP_EVERY = 30.0  # seconds

# A living peer is heard every 120 s: it answers keepalive probes after that time, and window probes,
# which the kernel spaces no wider (TCP_RTO_MAX). With the sweep, a vanished one is gone after 270 s.
VANISHED_AFTER = 240.0  # seconds

# struct tcp_info, linux/tcp.h: eight bytes, then 32-bit numbers, of which these are two. Milliseconds.
_HEARD = struct.Struct("=52x I I")  # tcpi_last_data_recv, tcpi_last_ack_recv


def silence(sock: socket.socket) -> float:
    """Seconds since anything came from the peer, data or acknowledgement; 0 on a Unix socket."""
    if sock.family == socket.AF_UNIX:
        return 0.0
    # Both count: a peer that only sends acknowledges nothing new, and one that only reads sends nothing.
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _HEARD.size)
    return float(min(_HEARD.unpack(info))) / 1000


def last_byte(relay: Relay) -> float | None:
    """When a byte last came from either side, in seconds since 1970; None where both are Unix sockets."""
    # What was sent on one leg had come on the other: to look at what was received is enough.
    ages = [age for side in (relay.client, relay.target) if (age := said_ago(side.sock)) is not None]
    return round(time.time() - min(ages), 1) if ages else None


def said_ago(sock: socket.socket) -> float | None:
    """Seconds since data came from the peer; None on a Unix socket, of which the kernel does not know it."""
    if sock.family == socket.AF_UNIX:
        return None
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _HEARD.size)
    return float(_HEARD.unpack(info)[0]) / 1000


class Pulse:
    """Resets the relays that have lost a peer. `relays` gives all, `swept` is called when that is done."""

    def __init__(self, loop: Loop, relays: Callable[[], Iterable[Relay]], swept: Callable[[], None]) -> None:
        self.loop = loop
        self.relays = relays
        self.swept = swept
        self.sweeping = False

    def begin(self) -> None:
        """There is a relay. Sweeps go on until there is none; more calls change nothing."""
        if not self.sweeping:
            self.sweeping = True
            self.loop.call_in(SWEEP_EVERY, self._sweep)

    def _sweep(self) -> None:
        self.sweeping = False
        for relay in list(self.relays()):
            if not relay.is_kept_alive:
                relay.is_kept_alive = True
                leg.keep_alive(relay.target.sock)
            if max(silence(relay.client.sock), silence(relay.target.sock)) >= VANISHED_AFTER:
                relay.reset()
            else:
                self.begin()
        self.swept()
