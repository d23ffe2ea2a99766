"""Carrying bytes between a client and the target: both ways, at the pace of the slower one.

An end (FIN) on one side becomes an end on the other once every byte before it is delivered, and the
other direction goes on. A reset on one side becomes a reset on the other, so that nobody takes half
an answer for a whole one.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

from wakeport.loop import BROKEN, READ, WRITE, Loop
from wakeport.proxy import leg

CHUNK = 65536  # bytes; what one direction may keep in this process while its receiver is slow

LAST_WORDS = 16  # chunks; more than a receive buffer of the default size holds


class Side:
    """One socket of a relay: what it is being watched for, and what it has yet to be sent."""

    __slots__ = ("ended", "fd", "interest", "peer", "pending", "recv", "relay", "send", "sock")

    peer: Side

    def __init__(self, relay: Relay, sock: socket.socket) -> None:
        self.relay = relay
        self.sock = sock
        self.fd = sock.fileno()
        self.recv = sock.recv
        self.send = sock.send
        self.pending: memoryview | None = None  # bytes from the peer that this socket would not take yet
        self.ended = False  # it has sent its last byte
        self.interest = 0

    def want(self, interest: int) -> None:
        """Watch for this from now on. A call to the kernel only where it changes anything."""
        if interest != self.interest:
            self.interest = interest
            self.relay.loop.watch(self.fd, interest, self.on_event)

    def on_event(self, events: int) -> None:
        if events & WRITE and self.pending is not None:
            self._flush()
        if self.interest & READ:
            self._carry()
        elif events & BROKEN:
            self._on_break(events)

    def _carry(self) -> None:
        """Read once and pass it on. Once only: the others have their turn."""
        try:
            data = self.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self.relay.reset()
            return
        peer = self.peer
        if not data:
            self._end()
            return
        try:
            sent = peer.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.relay.hear_last_words(peer)
            return
        if sent != len(data):
            peer.pending = memoryview(data)[sent:]
            peer.want(peer.interest | WRITE)
            self.want(self.interest & ~READ)

    def _flush(self) -> None:
        assert self.pending is not None
        try:
            sent = self.send(self.pending)
        except BlockingIOError:
            return
        except OSError:
            self.relay.hear_last_words(self)
            return
        if sent < len(self.pending):
            self.pending = self.pending[sent:]
            return
        self.pending = None
        self.want(self.interest & ~WRITE)
        self.peer.want(self.peer.interest | READ)

    def _end(self) -> None:
        """This side has sent its last byte. The peer has it: while anything is pending nothing is read."""
        self.ended = True
        if self.peer.ended:
            self.relay.close()
            return
        self.want(self.interest & ~READ)
        try:
            self.peer.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.relay.reset()

    def _on_break(self, events: int) -> None:
        if events & select.EPOLLERR:
            self.relay.reset()
            return
        # A Unix peer that closed while its bytes wait here for a slow receiver. The hang-up is reported
        # for as long as it is watched, so it is not, until want() reads on.
        self.relay.loop.unwatch(self.fd)
        self.interest = 0


class Relay:
    """A client and a target that talk. `over` is called once, when both sockets are given up."""

    __slots__ = ("client", "finished", "loop", "over", "target")

    def __init__(
        self, loop: Loop, client: socket.socket, target: socket.socket, over: Callable[[], None]
    ) -> None:
        self.loop = loop
        self.over = over
        self.finished = False
        self.client = Side(self, client)
        self.target = Side(self, target)
        self.client.peer, self.target.peer = self.target, self.client

    def start(self) -> None:
        self.client.want(READ)
        self.target.want(READ)
        # Whoever was held has mostly spoken already: that saves a turn of the loop.
        self.client.on_event(READ)

    def hear_last_words(self, side: Side) -> None:
        """`side` takes no more. What it said before it broke is passed on as far as it fits."""
        listener = side.peer
        try:
            for _ in range(LAST_WORDS):
                data = side.recv(CHUNK)
                if not data or listener.pending is not None or listener.send(data) != len(data):
                    break
        except OSError:
            pass  # the error that ended it: there are no more words
        self.reset()

    def reset(self) -> None:
        self._finish(leg.reset)

    def close(self) -> None:
        self._finish(leg.close)

    def _finish(self, give_up: Callable[[Loop, socket.socket], None]) -> None:
        if self.finished:
            return
        self.finished = True
        for side in (self.client, self.target):
            side.interest = 0
            give_up(self.loop, side.sock)
            # They refer to each other: unbroken, each of these circles waits for the garbage collector.
            del side.peer
        del self.client, self.target
        self.over()
