"""Carrying bytes between a client and the target: both ways, at the pace of the slower one.

Small messages are received and sent; a side that sends much gets a pipe, and is spliced through it
until it sends little again.

An end (FIN) on one side becomes an end on the other once every byte before it is delivered, and the
other direction goes on. A reset on one side becomes a reset on the other, so that nobody takes half
an answer for a whole one.
"""

from __future__ import annotations

import select

from wakeport.light import socket
from wakeport.loop import BROKEN, READ, WRITE, Loop
from wakeport.proxy import leg
from wakeport.proxy.pipe import Pipe, Pipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 65536  # bytes; what one direction may keep in this process while its receiver is slow

# A side that fills this many chunks in a row moves much; one that does not fill one in so many
# takings has stopped doing so. Pages and rows of a database come and go in between.
BULK_AFTER = 2
BULK_UNTIL = 8

LAST_WORDS = 16  # chunks; more than a receive buffer of the default size holds

# One buffer for all: a chunk is sent, or what is left of it copied, before the next one is received.
_chunk = bytearray(CHUNK)
_view = memoryview(_chunk)

_pipes = Pipes()


class Side:
    """One socket of a relay: what it is being watched for, and what it has yet to be sent."""

    __slots__ = (
        "diverted",
        "ended",
        "fd",
        "interest",
        "passed",
        "peer",
        "pending",
        "pipe",
        "relay",
        "sock",
        "streak",
    )

    peer: Side

    def __init__(self, relay: Relay, sock: socket.socket) -> None:
        self.relay = relay
        self.sock = sock
        self.fd = sock.fileno()
        self.pending: memoryview | None = None  # bytes from the peer that this socket would not take yet
        self.pipe: Pipe | None = None  # on the way from this socket to the peer, while it moves much
        self.streak = 0  # chunks in a row that say it is time to change between the two ways
        self.ended = False  # it has sent its last byte
        self.interest = 0
        self.passed = 0  # bytes that have come from this socket
        self.diverted: Callable[[int], None] | None = None  # who hears its events at present

    def want(self, interest: int) -> None:
        """Watch for this from now on. A call to the kernel only where it changes anything."""
        if interest != self.interest:
            self.interest = interest
            self.relay.loop.watch(self.fd, interest, self.diverted or self.on_event)

    def divert(self, heard: Callable[[int], None] | None) -> None:
        """Have its events told to somebody else, who passes them on to `on_event`; None: no more."""
        self.diverted = heard
        self.relay.loop.divert(self.fd, heard or self.on_event)

    @property
    def is_owed(self) -> bool:
        """Whether something that the peer has sent still waits for this socket to take it."""
        pipe = self.peer.pipe
        return self.pending is not None or (pipe is not None and pipe.held > 0)

    def on_event(self, events: int) -> None:
        if events & WRITE and self.interest & WRITE:
            self._flush()
        if events == WRITE:
            return
        if self.interest & READ:
            if self.pipe is None:
                self._carry()
            else:
                self._pour(self.pipe)
        elif events & BROKEN:
            self._on_break(events)

    def _carry(self) -> None:
        """Read once and pass it on. Once only: the others have their turn."""
        try:
            size = self.sock.recv_into(_chunk)
        except BlockingIOError:
            return
        except OSError:
            self.relay.reset()
            return
        if not size:
            self._end()
            return
        self.passed += size
        peer = self.peer
        try:
            sent = peer.sock.send(_view[:size])
        except BlockingIOError:
            sent = 0
        except OSError:
            self.relay.hear_last_words(peer)
            return
        if sent != size:
            peer.pending = memoryview(bytes(_view[sent:size]))
            self._wait_for_peer()
        if size == CHUNK:
            self.streak += 1
            if self.streak >= BULK_AFTER and peer.pending is None:
                self.streak = 0
                self.pipe = _pipes.lend()
        else:
            self.streak = 0

    def _pour(self, pipe: Pipe) -> None:
        """As `_carry`, through the pipe."""
        try:
            size = pipe.fill(self.fd)
        except BlockingIOError:
            size = 0
        except OSError:
            self.relay.reset()
            return
        if not size:
            # The end; or an urgent byte (tcp(7), MSG_OOB), which splice never gets past: to it that is an end
            # or nothing to read, and still epoll reports something. recv() knows, and leaves the byte out.
            self._return_pipe()
            self.streak = 0
            self._carry()
            return
        self.passed += size
        try:
            pipe.drain(self.peer.fd)
        except OSError:
            self.relay.hear_last_words(self.peer)
            return
        self.streak = 0 if size >= CHUNK else self.streak + 1
        if pipe.held:
            self._wait_for_peer()
        elif self.streak >= BULK_UNTIL:
            self.streak = 0
            self._return_pipe()

    def _wait_for_peer(self) -> None:
        peer = self.peer
        peer.want(peer.interest | WRITE)
        self.want(self.interest & ~READ)

    def _flush(self) -> None:
        """This socket takes bytes again: those that wait for it here first."""
        pipe = self.peer.pipe
        try:
            if self.pending is not None:
                self.pending = self.pending[self.sock.send(self.pending) :] or None
            elif pipe is not None:
                pipe.drain(self.fd)
        except BlockingIOError:
            return
        except OSError:
            self.relay.hear_last_words(self)
            return
        if self.pending is None and not (pipe is not None and pipe.held):
            self.want(self.interest & ~WRITE)
            self.peer.want(self.peer.interest | READ)

    def _end(self) -> None:
        """This side has sent its last byte. The peer has it: while anything is pending nothing is read."""
        if self.ended:
            return  # reported again before it could be passed on
        self.ended = True
        if self.peer.ended:
            self.relay.close()
        else:
            # Mostly both have ended, and the peer's end is reported in this same turn. Then closing says it
            # all, and saves two calls to the kernel.
            self.relay.loop.call_soon(self._pass_end)

    def _pass_end(self) -> None:
        if self.relay.finished:
            return
        self.want(self.interest & ~READ)
        try:
            self.peer.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.relay.hear_last_words(self.peer)

    def _on_break(self, events: int) -> None:
        if events & select.EPOLLERR:
            self.relay.reset()
            return
        # A Unix peer that closed while its bytes wait here for a slow receiver. The hang-up is reported
        # for as long as it is watched, so it is not, until want() reads on.
        self.relay.loop.unwatch(self.fd)
        self.interest = 0

    def give_up(self, close: Callable[[Loop, socket.socket], None]) -> None:
        self.interest = 0
        self._return_pipe()
        close(self.relay.loop, self.sock)
        # They refer to each other: unbroken, each of these circles waits for the garbage collector.
        del self.peer
        self.diverted = None

    def _return_pipe(self) -> None:
        if self.pipe is not None:
            _pipes.take_back(self.pipe)
            self.pipe = None


class Relay:
    """A client and a target that talk. `over` is called once, when both sockets are given up."""

    __slots__ = ("client", "finished", "is_kept_alive", "loop", "over", "target")

    def __init__(
        self, loop: Loop, client: socket.socket, target: socket.socket, over: Callable[[], None]
    ) -> None:
        self.loop = loop
        self.over = over
        self.finished = False
        self.is_kept_alive = False  # its target's leg, see pulse.py
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
            if side.pipe is not None:
                side.pipe.drain(listener.fd)
            for _ in range(LAST_WORDS):
                if listener.pending is not None or (side.pipe is not None and side.pipe.held):
                    break  # what follows would overtake what waits
                data = side.sock.recv(CHUNK)
                if not data or listener.sock.send(data) != len(data):
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
            side.give_up(give_up)
        del self.client, self.target
        self.over()
