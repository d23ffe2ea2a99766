"""Looking at what a client has sent, without taking it: the target gets every byte all the same."""

from __future__ import annotations

import select

from wakeport.light import socket
from wakeport.loop import READ, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PEEK = 16_384  # bytes; a TLS record has no more, and an HTTP head of more is refused by most servers

# Reported once for each arrival: what is only peeked at stays readable, and would be reported for ever.
ARRIVALS = READ | select.EPOLLRDHUP | select.EPOLLET


class Glance:
    """Calls `seen(first, ended)` at each arrival, with all that has come so far (PEEK bytes at most), and
    whether no more will come; until `seen` returns True or `end()` is called. `broken` is called, once and
    instead of any more `seen`, when the connection broke.

    Neither is called from within the constructor. The socket is unwatched when it is over.
    """

    __slots__ = ("broken", "is_over", "loop", "seen", "sock")

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        seen: Callable[[bytes, bool], bool],
        broken: Callable[[], None],
    ) -> None:
        self.loop = loop
        self.sock = sock
        self.seen = seen
        self.broken = broken
        self.is_over = False
        loop.watch(sock.fileno(), ARRIVALS, self._on_arrival)

    def end(self) -> None:
        if not self.is_over:
            self.is_over = True
            self.loop.unwatch(self.sock.fileno())

    def _on_arrival(self, events: int) -> None:
        try:
            # After a reset what came before it can still be read; but nobody waits for an answer to it.
            first = None if events & select.EPOLLERR else self.sock.recv(PEEK, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            first = None
        if first is None:
            self.end()
            self.broken()
            return
        ended = not first or bool(events & (select.EPOLLRDHUP | select.EPOLLHUP)) or len(first) >= PEEK
        if self.seen(first, ended):
            self.end()
