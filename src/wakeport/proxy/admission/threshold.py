"""Clients who have yet to show that they may wake the container: looked at, judged, answered or let in.

They hold no lease. What they send is only looked at: the target gets every byte of it, if they get there.
"""

from __future__ import annotations

from wakeport.light import socket
from wakeport.loop import Loop, Timer
from wakeport.proxy import leg
from wakeport.proxy.admission.rules import CLOSE, RESET, WAKE, Rules
from wakeport.proxy.door import Client
from wakeport.proxy.glance import PEEK, Glance
from wakeport.proxy.http_answer import fixed
from wakeport.proxy.refusal import Refusals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# A client that speaks first does so within a round trip; a person at a keyboard takes a little longer.
SILENCE_MAX = 30.0  # seconds

# Each arrival is a look at all that has come. A client that sends its bytes one by one is judged after so
# many by what it has shown, so that its looks cost no more than those of others.
LOOKS_MAX = 2048


class Threshold:
    """`rules` has those of each listener that judges, by its number; `is_awake` asks after the container.

    `may_wake` is called with a client who may, `gone` with one who left or broke; who may not is handed to
    `refusals`, with what the rules say. One of these happens once for each `add`, unless it is taken out by
    `empty`; it may happen within `add`.
    """

    def __init__(
        self,
        loop: Loop,
        rules: dict[int, Rules],
        refusals: Refusals,
        is_awake: Callable[[], bool],
        may_wake: Callable[[Client], None],
        gone: Callable[[Client], None],
    ) -> None:
        self.loop = loop
        self.rules = rules
        self.refusals = refusals
        self.is_awake = is_awake
        self.may_wake = may_wake
        self.gone = gone
        self.visits: dict[Client, Visit] = {}

    def __len__(self) -> int:
        return len(self.visits)

    def add(self, client: Client) -> None:
        """Judge it. Where the container is awake nobody is judged, and everyone may come in."""
        if self.is_awake():
            self.may_wake(client)
            return
        verdict = self.rules[client.listener].verdict(client.address, b"", False)
        if verdict is None:
            self.visits[client] = Visit(self, client)
        else:
            self.carry_out(client, verdict, b"")

    def empty(self) -> list[Client]:
        """Take out everyone, in the order in which they came: the container is awake, nobody is judged."""
        clients = list(self.visits)
        for visit in self.visits.values():
            visit.end()
        self.visits.clear()
        return clients

    def carry_out(self, client: Client, verdict: str, first: bytes) -> None:
        if verdict == WAKE:
            self.may_wake(client)
        elif verdict == RESET:
            self.refusals.reset(client)
        elif verdict == CLOSE:
            self.refusals.answer(client, b"")
        else:
            status, _, words = verdict.partition(" ")
            self.refusals.answer(client, fixed(int(status), words, head_only=first.startswith(b"HEAD ")))


class Visit:
    """One client whose next bytes may decide."""

    __slots__ = ("client", "glance", "looks", "threshold", "timer")

    def __init__(self, threshold: Threshold, client: Client) -> None:
        self.threshold = threshold
        self.client = client
        self.looks = 0
        self.glance = Glance(threshold.loop, client.sock, self._on_seen, self._on_broken)
        self.timer: Timer = threshold.loop.call_in(SILENCE_MAX, self._on_silence)

    def end(self) -> None:
        self.timer.cancel()
        self.glance.end()
        del self.glance  # it refers to this visit, and a circle would wait for the garbage collector

    def _on_seen(self, first: bytes, ended: bool) -> bool:
        self.looks += 1
        return self._judge(first, ended or self.looks >= LOOKS_MAX)

    def _on_silence(self) -> None:
        try:
            first = self.client.sock.recv(PEEK, socket.MSG_PEEK)
        except OSError:  # nothing has come; or it broke a moment ago, and is told nothing any more
            first = b""
        self._judge(first, ended=True)

    def _judge(self, first: bytes, ended: bool) -> bool:
        """Whether it is over."""
        threshold, client = self.threshold, self.client
        verdict = threshold.rules[client.listener].verdict(client.address, first, ended)
        if verdict is None:
            return False
        if verdict != WAKE and threshold.is_awake():
            verdict = WAKE  # somebody else has woken it meanwhile
        # Whoever gets it next watches the same socket, so this comes first.
        self.end()
        del threshold.visits[client]
        threshold.carry_out(client, verdict, first)
        return True

    def _on_broken(self) -> None:
        self.end()
        del self.threshold.visits[self.client]
        leg.close(self.threshold.loop, self.client.sock)
        self.threshold.gone(self.client)
