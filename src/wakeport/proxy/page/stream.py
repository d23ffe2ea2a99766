"""One waiting page on its way to one browser: begun at once, added to, ended, and let go."""

from __future__ import annotations

import select

from wakeport.light import socket
from wakeport.loop import READ, WRITE, Loop, Timer
from wakeport.proxy import leg
from wakeport.proxy.door import Client
from wakeport.proxy.page import pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wakeport.proxy.page.pages import Stage
    from wakeport.proxy.page.pieces import Template

CHUNK = 65536  # bytes

# What the request consisted of is read away while the page is shown: closing before that would be a reset,
# which overtakes the page. A browser's has 1 to 16 KiB and no body.
REQUEST_MAX = 1_048_576  # bytes

# After the last piece a browser closes at once, for it was told to. One that reads nothing is not waited for.
CLOSES_WITHIN = 2.0  # seconds
READS_WITHIN = 10.0  # seconds

# Once for each arrival and each time that there is room again: nothing here is switched on and off.
EVENTS = READ | WRITE | select.EPOLLRDHUP | select.EPOLLET


class PageStream:
    """`left` is called once, when the browser has closed or was given up, and the socket with it.

    What a browser does not read is kept, but no stage is added to that: a slow reader misses some, and
    never has more than one page's bytes waiting here.
    """

    __slots__ = (
        "chunked",
        "ended",
        "left",
        "loop",
        "open_stage",
        "read",
        "sock",
        "template",
        "timer",
        "unsent",
        "whole",
    )

    def __init__(
        self, loop: Loop, client: Client, template: Template, chunked: bool, left: Callable[[], None]
    ) -> None:
        self.loop = loop
        self.sock = client.sock
        self.template = template
        self.chunked = chunked
        self.left = left
        self.open_stage: Stage | None = None  # whose item the browser has, without its end
        self.unsent = memoryview(b"")
        self.read = 0  # bytes of the request, so far
        self.ended = False  # nothing will be added
        self.whole = False  # nothing is left to be sent
        self.timer: Timer | None = None
        # Also tells of what has come before this, so nothing is sent from within the constructor.
        loop.watch(self.sock.fileno(), EVENTS, self._on_event)

    def begin(self, head: bytes, stages: list[Stage]) -> None:
        """The page up to here; the last of `stages` is under way."""
        so_far = b"".join(self._item(stage) for stage in stages)
        self._send(head + self._framed(self.template.before + so_far))

    def show(self, stage: Stage) -> None:
        """The next stage has begun, and so the one before it is over."""
        if not self.unsent:
            self._send(self._framed(self._item(stage)))

    def give_a_sign(self) -> None:
        if not self.unsent:
            self._send(self._framed(b"\n"))

    def end(self, last_item: bytes, again_in: int) -> None:
        """The last piece, after which the browser asks again."""
        last = self._framed(self.template.ending(self._end_of_item() + last_item, again_in))
        self.ended = True
        self._expire_in(READS_WITHIN, self._give_up)
        self._send(last + pieces.LAST_CHUNK if self.chunked else last)

    def _item(self, stage: Stage) -> bytes:
        if not self.template.shows_stages:
            return b""
        end_of_last = self._end_of_item()
        self.open_stage = stage
        return end_of_last + pieces.stage(stage.text)

    def _end_of_item(self) -> bytes:
        stage, self.open_stage = self.open_stage, None
        return b"" if stage is None else pieces.passed(stage.seconds)

    def _framed(self, data: bytes) -> bytes:
        return pieces.chunk(data) if self.chunked else data

    def _send(self, data: bytes) -> None:
        self.unsent = memoryview(bytes(self.unsent) + data) if self.unsent else memoryview(data)
        self._flush()

    def _flush(self) -> None:
        try:
            while self.unsent:
                self.unsent = self.unsent[self.sock.send(self.unsent) :]
            if self.ended and not self.whole:
                self.whole = True
                self.sock.shutdown(socket.SHUT_WR)
                self._expire_in(CLOSES_WITHIN, self.close)
        except BlockingIOError:
            return
        except OSError:
            self.unsent = memoryview(b"")  # it has left, as the loop is about to tell

    def _on_event(self, _events: int) -> None:
        self._flush()
        try:
            while self.read <= REQUEST_MAX:
                data = self.sock.recv(CHUNK)
                if not data:
                    self.close()  # a browser never ends its side alone
                    return
                self.read += len(data)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._give_up()

    def _expire_in(self, seconds: float, then: Callable[[], None]) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.timer = self.loop.call_in(seconds, then)

    def close(self) -> None:
        self._let_go(leg.close)

    def _give_up(self) -> None:
        self._let_go(leg.reset)

    def _let_go(self, give_up: Callable[[Loop, socket.socket], None]) -> None:
        if self.timer is not None:
            self.timer.cancel()
        give_up(self.loop, self.sock)
        self.left()
