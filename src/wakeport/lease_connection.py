"""One connection to a lease socket: messages out, messages in, and word when it ends."""

from __future__ import annotations

import sys

from wakeport.lease import Decoder, Malformed, Message, encode
from wakeport.light import socket
from wakeport.loop import READ, WRITE, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 65536  # bytes

UNSENT_MAX = 262_144  # bytes; a supervisor that has read nothing for so long gets no more reports


class LeaseConnection:
    """Open from its creation (OSError where that fails) until `close()`, or until `ended` is called.

    A message that is none of the protocol, which `heard` says by raising Malformed, is the end of it too.

    `inherited` is a connection that another process has opened, and that is gone on with here.

    A connection that systemd has accepted into the backlog counts as open although nobody reads it yet.
    """

    def __init__(
        self,
        loop: Loop,
        path: str,
        heard: Callable[[Message], None],
        ended: Callable[[], None],
        inherited: socket.socket | None = None,
    ) -> None:
        self.loop = loop
        self.heard = heard
        self.ended = ended
        self.decoder = Decoder()
        self.unsent = b""
        self.is_open = True
        self.sock = inherited or _connected_to(path)
        self.sock.setblocking(False)
        self.loop.watch(self.sock.fileno(), READ, self._on_event)

    def say(self, message: Message) -> None:
        """Send it now or as soon as it fits; a line is never cut in two."""
        if self.is_open and len(self.unsent) < UNSENT_MAX:
            self.unsent += encode(message)
            self._send()

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self.loop.unwatch(self.sock.fileno())
            self.loop.call_soon(self.sock.close)

    def _on_event(self, events: int) -> None:
        if events & WRITE:
            self._send()
        if events & ~WRITE and self.is_open:
            self._receive()

    def _send(self) -> None:
        waited = bool(self.unsent)
        try:
            self.unsent = self.unsent[self.sock.send(self.unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self.unsent = b""  # it has ended; what it said before is still to be read, and then its end
        if waited:
            self.loop.watch(self.sock.fileno(), READ | WRITE if self.unsent else READ, self._on_event)

    def _receive(self) -> None:
        try:
            data = self.sock.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        try:
            for message in self.decoder.feed(data):
                if not self.is_open:
                    return
                self.heard(message)
        except Malformed as error:
            print(f"the supervisor does not speak the lease protocol: {error}", file=sys.stderr, flush=True)
            data = b""
        if not data and self.is_open:
            self.close()
            self.ended()


def _connected_to(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        sock.connect(path)  # unix(7): at once, or EAGAIN where the backlog is full
    except OSError:
        sock.close()
        raise
    return sock
