"""A UDP listener: a flow for each client, each with a socket of its own to the target, and the way back.

While there is no target the first datagrams of each flow are kept, in their order; what goes beyond the
bounds is dropped, as a router would. Nothing here ever waits for room to send: see `Flow.send`.

A datagram costs 5.5 us of processor time with many under way, 9 us alone (measured, loopback, 100 bytes).
"""

from __future__ import annotations

from wakeport.light import socket
from wakeport.light.collections import OrderedDict
from wakeport.loop import READ, Loop, Timer, now
from wakeport.proxy.udp import packet_info
from wakeport.proxy.udp.flow import Flow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wakeport.proxy.admission.networks import Networks
    from wakeport.proxy.udp.flow import Key

LARGEST = 65_536  # bytes; a UDP datagram's length field has 16 bits

# Per turn of the loop, so that neither a flood nor a stream starves the others.
ARRIVALS_A_TURN = 64  # datagrams from clients
REPLIES_A_TURN = 16  # datagrams from the target, for each flow
EXPIRIES_A_TURN = 256  # flows

# All that is kept for all flows, with what Python needs beside the bytes. 128 flows at their bound, or
# 60,000 DNS queries; beyond it a flood gains nothing.
KEPT_TOTAL = 8_388_608  # bytes
KEPT_OVERHEAD = 48  # bytes: a bytes object has 33 beside its content, and a list 8 for it

# A socket has room for some 250 small datagrams by default (net.core.rmem_default). All that were kept,
# sent in one go, would overflow the target's before it is scheduled.
KEPT_A_ROUND = 64  # datagrams
ROUND_EVERY = 0.001  # seconds

# Of all flows, those that may be regulars: see `_admit`.
REGULARS = 3 / 4

# Who is served while the proxy is about to end: a reply comes soon, or is asked for anew.
DRAIN_IDLE = 1.0  # seconds


class Datagrams:
    """The flows of one listener, which systemd holds too.

    `came` gets each new flow, before its first datagram is treated, and `gone` each that is over; `asks`
    is called when a flow begins to wait for a target. While there is none, `may_wake` is asked about the
    address of a client that does not wait yet; where it says no, its datagram is dropped. So is each, target
    or not, with which a new flow would begin from an address that is not `allowed` (None: all are).
    All of them may call any method here. A flow that waits for longer than `hold_for` seconds is dropped.
    """

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        idle: float,
        came: Callable[[Flow], None],
        gone: Callable[[Flow], None],
        capacity: int,
        asks: Callable[[], None] = lambda: None,
        may_wake: Callable[[tuple[object, ...]], bool] = lambda _address: True,
        hold_for: float = float("inf"),
        allowed: Networks | None = None,
    ) -> None:
        self.loop = loop
        self.listener = listener
        self.idle = idle
        self.came = came
        self.gone = gone
        self.capacity = capacity
        self.asks = asks
        self.may_wake = may_wake
        self.hold_for = hold_for
        self.allowed = allowed
        self.target: tuple[str, int] | None = None
        self.leads_to: tuple[str, int] | None = None  # the flows' sockets, target or none
        self.flows: dict[Key, Flow] = {}
        self.strangers: OrderedDict[Flow, None] = OrderedDict()  # the one that was silent longest is first
        self.regulars: OrderedDict[Flow, None] = OrderedDict()
        # Those with datagrams kept, in the order of the first of each, and what ends it.
        self.waiting: dict[Flow, Timer | None] = {}
        self.kept_bytes = 0
        self.expiry: Timer | None = None
        self.round: Timer | None = None
        self.buffer = memoryview(bytearray(LARGEST))
        listener.setblocking(False)
        packet_info.ask_for(listener)

    # For the proxy.

    def open(self) -> None:
        self.loop.watch(self.listener.fileno(), READ, self._on_arrival)

    def shut(self) -> None:
        """Leave what comes now in the kernel's buffer; systemd, or our successor, finds it there."""
        self.loop.unwatch(self.listener.fileno())

    def drain(self) -> None:
        """Take nothing more, pass on what the target still answers, and let go of each flow soon."""
        self.shut()
        self.idle = min(self.idle, DRAIN_IDLE)
        if self.expiry is not None:
            self.expiry.cancel()
        self._arm()

    def connect(self, target: tuple[str, int]) -> None:
        """The target is known: send it what was kept, flow by flow. The same one again changes nothing."""
        if target == self.target:
            return
        self.disconnect()
        if target != self.leads_to:
            self.leads_to = target
            for flow in self.flows.values():
                flow.disconnect(self.loop)
        self.target = target
        self._send_kept()

    def disconnect(self) -> None:
        """There may be no target any more: keep the flows, and what they send from now on.

        Their sockets too: mostly it is the same one again, which knows them by their ports, and what it
        still answers is for them.
        """
        self.target = None
        if self.round is not None:
            self.round.cancel()
            self.round = None

    def take_over(self, flow: Flow, regular: bool) -> None:
        """Go on with a flow that another process has begun. Those that were silent longest come first."""
        self.flows[flow.key] = flow
        flow.queue = self.regulars if regular else self.strangers
        flow.queue[flow] = None
        if flow.sock is not None:
            self.leads_to = self.leads_to or flow.sock.getpeername()[:2]
            self.loop.watch(flow.sock.fileno(), READ, lambda _events: self._on_reply(flow))
        if self.expiry is None:
            self._arm()
        self.came(flow)
        if flow.kept:
            self.kept_bytes += flow.kept_bytes + KEPT_OVERHEAD * len(flow.kept)
            self._wait(flow)
            if self.target is not None and self.round is None:
                self.round = self.loop.call_in(ROUND_EVERY, self._send_kept)

    def refuse(self) -> None:
        """Nothing will come of it: drop what was kept, and the flows that waited."""
        for flow in list(self.waiting):
            self._let_go(flow)

    # A datagram comes from a client.

    def _on_arrival(self, _events: int) -> None:
        moment = now()
        receive, buffer, flows = self.listener.recvmsg_into, self.buffer, self.flows
        for _ in range(ARRIVALS_A_TURN):
            try:
                size, ancillary, _flags, address = receive((buffer,), packet_info.ANCILLARY_SPACE)
            except BlockingIOError:
                return
            except OSError:
                continue  # what became of an answer, for those who want to know
            key = address, packet_info.asked(ancillary)
            flow = flows.get(key)
            if flow is None:
                if self.allowed is not None and not self.allowed.cover(address):
                    continue
                if self.target is None and not self.may_wake(address):
                    continue
                flow = self._admit(key, moment)
            elif self.target is None and not flow.kept and not self.may_wake(address):
                continue
            elif flow.answered and flow.queue is self.strangers:
                self._promote(flow)
            if self.target is None or flow.kept:
                self._keep(flow, bytes(buffer[:size]), moment)
            else:
                flow.touch(moment)
                self._send(flow, buffer[:size])

    def _admit(self, key: Key, moment: float) -> Flow:
        """A new flow. Where there are too many, the one that was silent longest gives way.

        First among strangers: a client that has sent again after an answer is there for certain, and a
        flood from invented addresses shall not push it out. Yet strangers always have a part of the
        capacity, so that a client who is new can become a regular.
        """
        if len(self.flows) >= self.capacity:
            self._let_go(next(iter(self.strangers or self.regulars)))
        flow = self.flows[key] = Flow(key)
        flow.last = moment
        flow.queue = self.strangers
        self.strangers[flow] = None
        if self.expiry is None:
            self._arm()
        self.came(flow)
        return flow

    def _promote(self, flow: Flow) -> None:
        self._move(flow, self.regulars)
        if len(self.regulars) > self.capacity * REGULARS:
            self._move(next(iter(self.regulars)), self.strangers)

    def _move(self, flow: Flow, queue: OrderedDict[Flow, None]) -> None:
        del flow.queue[flow]
        flow.queue = queue
        queue[flow] = None

    def _keep(self, flow: Flow, data: bytes, moment: float) -> None:
        cost = len(data) + KEPT_OVERHEAD
        if self.kept_bytes + cost > KEPT_TOTAL or not flow.keep(data):
            return
        self.kept_bytes += cost
        flow.touch(moment)
        if flow not in self.waiting:
            self._wait(flow)

    def _wait(self, flow: Flow) -> None:
        self.waiting[flow] = None
        if self.target is None:
            if self.hold_for != float("inf"):
                self.waiting[flow] = self.loop.call_in(self.hold_for, lambda: self._on_held_long(flow))
            self.asks()

    def _on_held_long(self, flow: Flow) -> None:
        if self.target is None:
            self._let_go(flow)

    def _send_kept(self) -> None:
        """Send some of what was kept, and the rest later: each flow's datagrams in their order."""
        self.round = None
        sent = 0
        while self.waiting and sent < KEPT_A_ROUND:
            flow = next(iter(self.waiting))
            kept = self._take_kept(flow)
            flow.touch(now())
            for data in kept:
                self._send(flow, data)
            sent += len(kept)
        if self.waiting:
            self.round = self.loop.call_in(ROUND_EVERY, self._send_kept)

    def _take_kept(self, flow: Flow) -> list[bytes]:
        deadline = self.waiting.pop(flow)
        if deadline is not None:
            deadline.cancel()
        self.kept_bytes -= flow.kept_bytes + KEPT_OVERHEAD * len(flow.kept)
        return flow.take_kept()

    def _send(self, flow: Flow, data: bytes | memoryview) -> None:
        if flow.sock is None:
            assert self.target is not None, "without a target, datagrams are kept"
            try:
                flow.connect(self.loop, self.target, self._on_reply)
            except OSError:
                return  # no descriptor, no port, no route: dropped, and tried anew with the next one
        flow.send(data)

    # A datagram comes from the target.

    def _on_reply(self, flow: Flow) -> None:
        assert flow.sock is not None, "it is unwatched before it is closed"
        buffer = self.buffer
        for _ in range(REPLIES_A_TURN):
            try:
                size = flow.sock.recv_into(buffer)
            except OSError:
                # Nothing more; or the target refused what was sent: told once, and reading has cleared it.
                break
            flow.answered = True
            try:
                self.listener.sendmsg((buffer[:size],), flow.replies_with, 0, flow.address)
            except OSError:
                continue  # no room, no route, or a firewall's no: dropped
        flow.touch(now())

    # A flow goes.

    def _let_go(self, flow: Flow) -> None:
        if flow.kept:
            self._take_kept(flow)
        del self.flows[flow.key]
        del flow.queue[flow]
        flow.disconnect(self.loop)
        self.gone(flow)

    def _arm(self) -> None:
        """Set the timer for the flow that is idle first; who is promoted or demoted may go a little late."""
        firsts = [next(iter(queue)).last for queue in (self.strangers, self.regulars) if queue]
        self.expiry = self.loop.call_at(min(firsts) + self.idle, self._expire) if firsts else None

    def _expire(self) -> None:
        moment = now()
        left = EXPIRIES_A_TURN
        for queue in (self.strangers, self.regulars):
            while queue and left and (flow := next(iter(queue))).last + self.idle <= moment:
                left -= 1
                if flow.kept:
                    flow.touch(moment)  # it is the target who lets it wait
                else:
                    self._let_go(flow)
        self._arm()
