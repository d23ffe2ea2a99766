"""Turning clients away so that each understands it: a 503 to who speaks HTTP, a reset to everyone else."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

from wakeport.loop import READ, Loop, Timer, now
from wakeport.proxy import leg
from wakeport.proxy.door import Client
from wakeport.proxy.http_answer import PEEK, service_unavailable, speaks_http

FIRST_BYTES_WITHIN = 0.2  # seconds; a client that speaks first does so within a round trip

# After the answer a client may still be sending its request. Closing then would be a reset, which
# overtakes the answer; so it is read away, but for no longer than this, and no more than this.
DRAIN_WITHIN = 2.0  # seconds
DRAIN_MAX = 1_048_576  # bytes

CHUNK = 65536  # bytes

# Reported once for each arrival: what is only peeked at stays readable, and would be reported for ever.
ARRIVALS = READ | select.EPOLLRDHUP | select.EPOLLET


class Failure:
    """Why clients are turned away, and until when (seconds, monotonic) nobody asks again."""

    __slots__ = ("reason", "until")

    def __init__(self, reason: str, retry_after: float) -> None:
        self.reason = reason
        self.until = now() + retry_after

    @property
    def retry_after(self) -> float:
        return max(0.0, self.until - now())

    @property
    def is_fresh(self) -> bool:
        return now() < self.until


class Refusals:
    """The clients that are being turned away. `gone` is called with each when its socket is given up."""

    def __init__(self, loop: Loop, service: str, gone: Callable[[Client], None]) -> None:
        self.loop = loop
        self.service = service
        self.gone = gone
        self.under_way: set[Refusal] = set()

    def __len__(self) -> int:
        return len(self.under_way)

    def refuse(self, client: Client, failure: Failure) -> None:
        refusal = Refusal(self, client, failure)
        self.under_way.add(refusal)
        refusal.start()


class Refusal:
    """One client on its way out: its first bytes are looked at, it is answered, it is let go."""

    __slots__ = ("answered", "client", "drained", "failure", "refusals", "sock", "timer")

    timer: Timer

    def __init__(self, refusals: Refusals, client: Client, failure: Failure) -> None:
        self.refusals = refusals
        self.client = client
        self.sock = client.sock
        self.failure = failure
        self.answered = False
        self.drained = 0

    def start(self) -> None:
        loop = self.refusals.loop
        self.timer = loop.call_in(FIRST_BYTES_WITHIN, self._reset)
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
            self._reset()

    def _look(self) -> None:
        first = self.sock.recv(PEEK, socket.MSG_PEEK)
        is_http = speaks_http(first) if first else False
        if is_http:
            self._answer(head_only=first.startswith(b"HEAD "))
        elif is_http is False:
            self._reset()

    def _answer(self, head_only: bool) -> None:
        answer = service_unavailable(
            self.refusals.service, self.failure.reason, self.failure.retry_after, head_only
        )
        if self.sock.send(answer) < len(answer):
            self._reset()  # half a kilobyte, and no room for it in an empty buffer: the client has gone
            return
        self.sock.shutdown(socket.SHUT_WR)
        self.answered = True
        self.timer.cancel()
        self.timer = self.refusals.loop.call_in(DRAIN_WITHIN, self._close)
        self._drain()

    def _drain(self) -> None:
        while self.drained < DRAIN_MAX:
            data = self.sock.recv(CHUNK)
            if not data:
                break
            self.drained += len(data)
        self._close()

    def _close(self) -> None:
        self._let_go(leg.close)

    def _reset(self) -> None:
        self._let_go(leg.reset)

    def _let_go(self, give_up: Callable[[Loop, socket.socket], None]) -> None:
        self.timer.cancel()
        give_up(self.refusals.loop, self.sock)
        self.refusals.under_way.discard(self)
        self.refusals.gone(self.client)
