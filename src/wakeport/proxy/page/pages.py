"""A page instead of a spinner: which of those who wait get it, and what it tells them until the end.

One response for each, which is never whole before the wake is: each stage is sent as it passes, and at
last a word that makes the browser ask again, when the container answers itself. Nothing is polled.
"""

from __future__ import annotations

import os
import stat
import sys

from wakeport.lease import AWAKE, DOZING, STOPPING, WAKING, Message
from wakeport.loop import Loop, now
from wakeport.proxy.door import Client
from wakeport.proxy.held import WaitingRoom
from wakeport.proxy.options import Listener
from wakeport.proxy.page import pieces
from wakeport.proxy.page.navigation import begins_navigation, takes_chunks
from wakeport.proxy.page.pieces import Template
from wakeport.proxy.page.stream import PageStream
from wakeport.proxy.page.text import BUILT_IN
from wakeport.proxy.refusal import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

RETRY_AFTER = 5.0  # seconds; for programs that got the page all the same, since nobody knows better yet

# Of a container that is awake the supervisor says so as its first word, some milliseconds after it is asked,
# and nobody is to see a page in that time. One that says nothing is just being started, or cannot be.
FIRST_WORD_WITHIN = 0.5  # seconds

STAGES_MAX = 32  # of one wake; there are two to four, and more where its supervisor crashes again and again

# Reverse proxies give up on a response of which nothing comes (nginx after 60 s).
SIGN_OF_LIFE_EVERY = 15.0  # seconds

FILE_MAX = 65_536  # bytes; it is kept whole, and sent to everyone who waits


class Stage:
    """Something that the wake waits for, since when (seconds, monotonic), and how long it did."""

    __slots__ = ("seconds", "since", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.since = now()
        self.seconds: float | None = None


class Pages:
    """Everyone who has a page before them. `gone` is called with each when its socket is given up.

    `waiting` says whether the container is waited for, and None as long as nobody has told; who is held for
    another reason is about to be served, and a page would only be in the way. The number of pages is that of
    those who still wait.
    """

    def __init__(
        self,
        loop: Loop,
        service: str,
        listeners: list[Listener],
        room: WaitingRoom,
        waiting: Callable[[], bool | None],
        gone: Callable[[Client], None],
    ) -> None:
        self.loop = loop
        self.service = service
        self.listeners = listeners
        self.room = room
        self.waiting = waiting
        self.gone = gone
        self.templates: dict[str, Template] = {}
        self.unsure: dict[Client, None] = {}  # due for a page, unless the container turns out to be awake
        self.streams: dict[Client, PageStream] = {}
        self.ending: dict[Client, PageStream] = {}  # have been told all, and are about to close
        self.stages: list[Stage] = []
        self.began = 0.0
        self.breathing = False
        room.came = self.on_held

    def __len__(self) -> int:
        return len(self.streams)

    # Who gets it.

    def on_held(self, client: Client) -> None:
        """Somebody waits in the room now, for the first time or again."""
        delay = self.listeners[client.listener].page
        if delay is None:
            return
        if delay:
            self.loop.call_in(delay, lambda: self._on_due(client))
        else:
            self._on_due(client)

    def _on_due(self, client: Client) -> None:
        if self.waiting() is None:
            self.unsure[client] = None
            self.loop.call_in(FIRST_WORD_WITHIN, lambda: self._look(client))
        else:
            self._look(client)

    def _look(self, client: Client) -> None:
        self.unsure.pop(client, None)
        self.room.look_at(client, lambda first, ended: self._seen(client, first, ended))

    def _seen(self, client: Client, first: bytes, ended: bool) -> bool:
        # A browser keeps its side open: who has ended it already could not be told from one who left.
        if ended or self.waiting() is False:
            return True
        verdict = begins_navigation(first)
        if verdict:
            self.room.take_out(client)
            self._show(client, takes_chunks(first))
        return verdict is not None

    def _show(self, client: Client, chunked: bool) -> None:
        template = self._template(client)
        stream = PageStream(self.loop, client, template, chunked, lambda: self._on_left(client))
        self.streams[client] = stream
        self._breathe_later()
        stream.begin(pieces.head(RETRY_AFTER, chunked), self.stages)

    def _on_left(self, client: Client) -> None:
        self.streams.pop(client, None)
        self.ending.pop(client, None)
        self.gone(client)

    # What it tells them.

    def told(self, message: Message) -> None:
        """The supervisor said something on the lease; failures come by `failed`, whoever found them."""
        state = message.get("state")
        if state == AWAKE:
            self.unsure.clear()
            self._awake()
            return
        if state == DOZING:
            return  # it is back at once, and if not, the doubts have an end of their own
        for client in list(self.unsure):
            self._look(client)
        if state == STOPPING:
            self._next_stage("Waiting for the run before to stop")
        elif state == WAKING and message.get("waits_for"):
            self._next_stage(f"Waiting for {message['waits_for']}")

    def _next_stage(self, text: str) -> None:
        if self.stages and self.stages[-1].text == text:
            return
        stage = Stage(text)
        if self.stages:
            self.stages[-1].seconds = stage.since - self.stages[-1].since
        else:
            self.began = stage.since
        self.stages.append(stage)
        del self.stages[:-STAGES_MAX]
        for stream in list(self.streams.values()):
            stream.show(stage)

    def _awake(self) -> None:
        at = now()
        self._end_all(pieces.ready(at - (self.began if self.stages else at)), 0)

    def failed(self, failure: Failure) -> None:
        again_in = pieces.whole_seconds(failure.retry_after)
        self._end_all(pieces.failed(failure.reason, again_in), again_in)

    def leave(self) -> None:
        """This process ends before the wake does, and another will serve who asks again.

        Nobody's close is waited for: the kernel delivers what has been sent.
        """
        self._end_all(pieces.moved_on(), 1)
        for stream in list(self.ending.values()):
            if stream.whole:
                stream.close()

    def _end_all(self, last_item: bytes, again_in: int) -> None:
        if self.stages:
            self.stages[-1].seconds = now() - self.stages[-1].since
        for stream in self.streams.values():
            stream.end(last_item, again_in)
        self.ending |= self.streams
        self.streams = {}
        self.stages = []

    def _breathe_later(self) -> None:
        if not self.breathing:
            self.breathing = True
            self.loop.call_in(SIGN_OF_LIFE_EVERY, self._breathe)

    def _breathe(self) -> None:
        self.breathing = False
        for stream in list(self.streams.values()):
            stream.give_a_sign()
            self._breathe_later()

    # Who comes too late for a wake, or waited for one that failed.

    def refusal(self, client: Client, first: bytes, failure: Failure) -> bytes | None:
        """The whole answer to who is turned away, where it is a browser on a listener that has pages."""
        if self.listeners[client.listener].page is None or not begins_navigation(first):
            return None
        again_in = pieces.whole_seconds(failure.retry_after)
        template = self._template(client)
        body = template.before + template.ending(pieces.failed(failure.reason, again_in), again_in)
        return pieces.head(failure.retry_after, length=len(body)) + body

    # What it looks like.

    def _template(self, client: Client) -> Template:
        path = self.listeners[client.listener].page_file
        if path not in self.templates:
            self.templates[path] = Template(self._text(path), self.service)
        return self.templates[path]

    def _text(self, path: str) -> str:
        if not path:
            return BUILT_IN
        try:
            return _read(path)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            print(
                f"page_file {path} is not used, but the page that comes with wakeport: {why}", file=sys.stderr
            )
            return BUILT_IN


def _read(path: str) -> str:
    """The text of a file. Raises OSError, or ValueError where it is none that could be a page."""
    # Not to wait for ever for somebody who writes into a FIFO; fifo(7).
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError("it is no file")
        text = file.read(FILE_MAX + 1)
    if len(text) > FILE_MAX:
        raise ValueError(f"it has more than {FILE_MAX // 1024} KiB")
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise ValueError("it is no UTF-8") from None
