"""Clients whom somebody in front of us introduces: the PROXY header is read, and taken off, before all else.

Where a header is expected, nobody gets in without one, and from sources that are not trusted nobody gets
in at all: section 5 of the specification forbids to guess whether there is one, for then everybody could
give himself any address.
"""

from __future__ import annotations

from wakeport.loop import Loop, Timer
from wakeport.proxy import leg
from wakeport.proxy.admission.networks import Networks
from wakeport.proxy.admission.proxy_header import Header, Malformed, parse
from wakeport.proxy.door import Client
from wakeport.proxy.glance import Glance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# The specification asks senders to send it with their first segment: this is one retransmission and more.
HEADER_WITHIN = 5.0  # seconds


class Introductions:
    """`trusted` has the sources of each listener that expects a header, by its number.

    `introduced` gets each client with the address that the header tells, at the first byte of its own;
    `gone` each who was sent away. One of them is called once for each `read`; `gone` may be within it.
    """

    def __init__(
        self,
        loop: Loop,
        trusted: dict[int, Networks],
        introduced: Callable[[Client], None],
        gone: Callable[[Client], None],
    ) -> None:
        self.loop = loop
        self.trusted = trusted
        self.introduced = introduced
        self.gone = gone
        self.under_way: dict[Client, Introduction] = {}

    def __len__(self) -> int:
        return len(self.under_way)

    def read(self, client: Client) -> None:
        if self.trusted[client.listener].cover(client.address):
            self.under_way[client] = Introduction(self, client)
        else:
            self.send_away(client)

    def send_away(self, client: Client) -> None:
        leg.reset(self.loop, client.sock)
        self.gone(client)


class Introduction:
    """One client whose header has not come, or not all of it."""

    __slots__ = ("client", "glance", "introductions", "timer")

    def __init__(self, introductions: Introductions, client: Client) -> None:
        self.introductions = introductions
        self.client = client
        self.glance = Glance(introductions.loop, client.sock, self._on_seen, self._send_away)
        self.timer: Timer = introductions.loop.call_in(HEADER_WITHIN, self._send_away)

    def _on_seen(self, first: bytes, ended: bool) -> bool:
        try:
            header = parse(first)
            if header is None:
                if not ended:
                    return False
                raise Malformed("it ended in the middle")
            _take(self.client, header)
        except (Malformed, OSError):
            self._send_away()
            return True
        self._end()
        self.introductions.introduced(self.client)
        return True

    def _send_away(self) -> None:
        self._end()
        self.introductions.send_away(self.client)

    def _end(self) -> None:
        self.timer.cancel()
        # Whoever gets it next watches the same socket, so this comes first.
        self.glance.end()
        del self.glance  # it refers to this introduction, and a circle would wait for the garbage collector
        del self.introductions.under_way[self.client]


def _take(client: Client, header: Header) -> None:
    """Take the header off, and not a byte more. Raises OSError where what was seen is not there."""
    left = header.length
    while left:
        taken = client.sock.recv(left)
        if not taken:
            raise ConnectionResetError
        left -= len(taken)
    if header.source is not None:
        client.address = header.source
        client.destination = header.destination
