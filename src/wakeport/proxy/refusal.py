"""Turning clients away so that each understands it.

Where the container does not come, who speaks HTTP gets a 503, and everyone else a reset. Where a rule
says what a client gets instead of the container, it gets that.
"""

from __future__ import annotations

import select

from wakeport.lease import Malformed, Message
from wakeport.light import socket
from wakeport.loop import READ, Loop, Timer, now
from wakeport.proxy import leg
from wakeport.proxy.door import Client
from wakeport.proxy.http_answer import PEEK, service_unavailable, speaks_http

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds. A client that speaks first does so within a round trip, and where its first packet is lost Linux
# sends it again after 200 ms and that round trip at the earliest (TCP_RTO_MIN).
FIRST_BYTES_WITHIN = 1.0

# After the answer a client may still be sending its request. Closing then would be a reset, which
# overtakes the answer; so it is read away, but for no longer than this, and no more than this.
DRAIN_WITHIN = 2.0  # seconds
DRAIN_MAX = 1_048_576  # bytes

CHUNK = 65536  # bytes

# After a failure of which the supervisor said nothing there is no telling when it is mended.
RETRY_AFTER_SILENCE = 1.0  # seconds
RETRY_AFTER_MAX = 86_400.0  # seconds; supervisors back off to a minute

# Reported once for each arrival: what is only peeked at stays readable, and would be reported for ever.
ARRIVALS = READ | select.EPOLLRDHUP | select.EPOLLET


class Failure:
    """Why clients are turned away, and until when (seconds, monotonic) nobody asks again."""

    __slots__ = ("reason", "until")

    def __init__(self, reason: str, retry_after: float = RETRY_AFTER_SILENCE) -> None:
        self.reason = reason
        self.until = now() + retry_after

    @property
    def retry_after(self) -> float:
        return max(0.0, self.until - now())

    @property
    def is_fresh(self) -> bool:
        return now() < self.until


def failure_from(message: Message) -> Failure:
    """What the supervisor says of a wake that failed. Raises Malformed."""
    retry_after = message.get("retry_after", 0)
    if not isinstance(retry_after, (int, float)) or not retry_after <= RETRY_AFTER_MAX:  # NaN is not, either
        raise Malformed(f"retry_after is {retry_after!a:.100}")
    return Failure(str(message.get("reason")), max(0.0, retry_after))


class Refusals:
    """The clients that are being turned away. `gone` is called with each when its socket is given up.

    `page` may have a better answer than the plain one, from the client's first bytes and why it is refused.
    """

    def __init__(self, loop: Loop, service: str, gone: Callable[[Client], None]) -> None:
        self.loop = loop
        self.service = service
        self.gone = gone
        self.page: Callable[[Client, bytes, Failure], bytes | None] | None = None
        self.under_way: set[Refusal] = set()

    def __len__(self) -> int:
        return len(self.under_way)

    def refuse(self, client: Client, failure: Failure) -> None:
        """Tell it why, once its first bytes have shown in which language."""
        refusal = Refusal(self, client)
        self.under_way.add(refusal)
        refusal.look(failure)

    def answer(self, client: Client, answer: bytes) -> None:
        """Give it `answer`, and the end; with b"" the end alone, as a FIN also where it has sent what
        nobody read.
        """
        refusal = Refusal(self, client)
        self.under_way.add(refusal)
        refusal.begin_answer(answer)

    def let_finish(self, client: Client) -> None:
        """It has its answer, from a process before this one, and may still be sending its request."""
        refusal = Refusal(self, client)
        self.under_way.add(refusal)
        refusal.await_end()

    def reset(self, client: Client) -> None:
        refusal = Refusal(self, client)
        refusal.reset()


class Refusal:
    """One client on its way out: it is answered, it is let go."""

    __slots__ = ("answered", "client", "drained", "failure", "refusals", "sock", "timer")

    def __init__(self, refusals: Refusals, client: Client) -> None:
        self.refusals = refusals
        self.client = client
        self.sock = client.sock
        self.failure: Failure | None = None
        self.answered = False
        self.drained = 0
        self.timer: Timer | None = None

    def look(self, failure: Failure) -> None:
        self.failure = failure
        self._expect(FIRST_BYTES_WITHIN, self.reset)

    def begin_answer(self, answer: bytes) -> None:
        try:
            self._answer(answer)
        except OSError:  # also where there is no room for it
            self.reset()

    def _expect(self, seconds: float, otherwise: Callable[[], None]) -> None:
        """Hear what it says, but for no longer than that."""
        if self.timer is not None:
            self.timer.cancel()
        loop = self.refusals.loop
        self.timer = loop.call_in(seconds, otherwise)
        loop.watch(self.sock.fileno(), ARRIVALS, self._on_arrival)

    def _on_arrival(self, _events: int) -> None:
        try:
            if self.answered:
                self._drain()
            else:
                self._look()
        except BlockingIOError:
            return
        except OSError:
            self.reset()

    def _look(self) -> None:
        first = self.sock.recv(PEEK, socket.MSG_PEEK)
        is_http = speaks_http(first) if first else False
        if is_http:
            self._answer(self._why(first))
        elif is_http is False:
            self.reset()

    def _why(self, first: bytes) -> bytes:
        refusals = self.refusals
        assert self.failure is not None
        page = refusals.page(self.client, first, self.failure) if refusals.page else None
        return page or service_unavailable(
            refusals.service, self.failure.reason, self.failure.retry_after, first.startswith(b"HEAD ")
        )

    def _answer(self, answer: bytes) -> None:
        if answer and self.sock.send(answer) < len(answer):
            self.reset()  # a few kilobytes, and no room for them in an empty buffer: the client has gone
            return
        self.sock.shutdown(socket.SHUT_WR)
        self.await_end()

    def await_end(self) -> None:
        self.answered = True
        # Watched anew, it reports at once what has come before.
        self._expect(DRAIN_WITHIN, self._close)

    def _drain(self) -> None:
        while self.drained < DRAIN_MAX:
            data = self.sock.recv(CHUNK)
            if not data:
                break
            self.drained += len(data)
        self._close()

    def _close(self) -> None:
        self._let_go(leg.close)

    def reset(self) -> None:
        self._let_go(leg.reset)

    def _let_go(self, give_up: Callable[[Loop, socket.socket], None]) -> None:
        if self.timer is not None:
            self.timer.cancel()
        give_up(self.refusals.loop, self.sock)
        self.refusals.under_way.discard(self)
        self.refusals.gone(self.client)
