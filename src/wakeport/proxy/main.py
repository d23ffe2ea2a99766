"""The proxy, from its first client to its last: accept, hold, relay; linger a second, and leave."""

from __future__ import annotations

import signal
import socket

from wakeport.activation import notify
from wakeport.lease import AWAKE, FAILED, STOPPING, Message
from wakeport.loop import Loop
from wakeport.proxy import leg, options, pipe
from wakeport.proxy.dialer import Address, Dialer, address_from
from wakeport.proxy.door import Client, Door, capacity_within, inherited_listeners, raise_descriptor_limit
from wakeport.proxy.held import WaitingRoom
from wakeport.proxy.lease_holder import LeaseHolder
from wakeport.proxy.linger import Linger
from wakeport.proxy.options import Options
from wakeport.proxy.pace import Pace
from wakeport.proxy.patience import Patience
from wakeport.proxy.pulse import Pulse
from wakeport.proxy.refusal import Failure, Refusals
from wakeport.proxy.relay import Relay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.proxy.datagrams import Datagrams
    from wakeport.proxy.flow import Flow

REPORT_EVERY = 1.0  # seconds, at most, on the lease and in `systemctl status`
REPORT_MAX = 1000  # clients by name; 25 KB of the 64 KiB that a line may have

DRAIN_WITHIN = 3.0  # seconds after SIGTERM for those who are being served

# After a failure of which the supervisor said nothing there is no telling when it is mended.
RETRY_AFTER_SILENCE = 1.0  # seconds


def main() -> None:
    given = options.from_command_line()
    capacity = capacity_within(raise_descriptor_limit() - pipe.DESCRIPTORS)
    listeners = inherited_listeners(len(given.listeners))
    loop = Loop()
    proxy = Proxy(loop, given, listeners, capacity)
    proxy.start()
    loop.run_forever()
    proxy.finish()


class Proxy:
    """Leads every client from the door to the target, or back to the street.

    A client is in exactly one place: the waiting room, the dialer, a relay, or among the refusals.
    """

    def __init__(self, loop: Loop, given: Options, listeners: list[socket.socket], capacity: int) -> None:
        self.loop = loop
        streams = [index for index, sock in enumerate(listeners) if sock.type == socket.SOCK_STREAM]
        self.listeners = [given.listeners[index] for index in streams]
        self.targets: dict[str, Address] | None = None  # None while the container is not awake
        self.failure: Failure | None = None
        self.served: dict[Client | Flow, Relay | None] = {}  # held, dialled for, or relayed; every UDP flow
        self.leaving = False

        self.door = Door(loop, [listeners[index] for index in streams], self.admit, capacity)
        self.datagrams = [
            (listener.target, self.udp_listener(sock, listener.flow_idle, capacity))
            for listener, sock in zip(given.listeners, listeners, strict=True)
            if sock.type == socket.SOCK_DGRAM
        ]
        self.lease = LeaseHolder(
            loop, given.lease, "proxy", self.on_lease, self.on_lease_lost, self.on_outlived
        )
        self.room = WaitingRoom(loop, self.on_client_gone)
        self.patience = Patience(loop, given.answer_within, given.ready_within, self.on_patience_exhausted)
        self.dialer = Dialer(loop, self.on_connected, self.on_unreachable)
        self.refusals = Refusals(loop, given.name, self.on_refused)
        self.pulse = Pulse(loop, lambda: filter(None, self.served.values()))
        self.reports = Pace(loop, REPORT_EVERY, self.report)
        self.linger = Linger(loop, self.lease.release, self.leave)

    def udp_listener(self, sock: socket.socket, idle: float, capacity: int) -> Datagrams:
        from wakeport.proxy.datagrams import Datagrams  # most services have none

        return Datagrams(
            self.loop,
            sock,
            idle,
            self.on_flow,
            self.on_flow_gone,
            capacity,
            self.on_flow_waits,
            lambda _address: self.failure is None or not self.failure.is_fresh,
        )

    def start(self) -> None:
        self.open()
        self.loop.on_signal(signal.SIGTERM, self.on_sigterm)
        self.linger.nobody()
        notify("READY=1", "STATUS=Waiting for a client")

    def open(self) -> None:
        self.door.open()
        for _, datagrams in self.datagrams:
            datagrams.open()

    @property
    def somebody_waits(self) -> bool:
        return bool(self.room) or any(datagrams.waiting for _, datagrams in self.datagrams)

    # A client comes.

    def admit(self, client: Client) -> None:
        self.linger.somebody()
        if self.failure is not None and self.failure.is_fresh:
            self.refusals.refuse(client, self.failure)
            return
        self.served[client] = None
        self.reports.changed()
        self.lease.hold()
        if self.lease.state is None:
            self.targets = None
        if self.targets is not None and not self.room and not self.dialer.busy:
            self.dial(client, self.targets)
        else:
            self.room.add(client)
            self.expect_supervisor()

    def on_flow(self, flow: Flow) -> None:
        self.linger.somebody()
        self.served[flow] = None
        self.reports.changed()
        self.lease.hold()
        if self.lease.state is None:
            self.on_not_awake()

    def on_flow_waits(self) -> None:
        self.lease.hold()
        if self.targets is None:
            self.expect_supervisor()
            return
        for _, datagrams in self.datagrams:
            if datagrams.target is None:  # the container is awake, but has no such port
                datagrams.refuse()

    def expect_supervisor(self) -> None:
        """Those who wait do so for something that may never come."""
        if self.targets is None and self.somebody_waits:
            if self.lease.awaits_stop:
                self.patience.suspend()
            else:
                self.patience.begin(answered=self.lease.state is not None)

    # The supervisor speaks.

    def on_lease(self, message: Message) -> None:
        state = message.get("state")
        if state == AWAKE:
            self.on_awake(message)
        elif state == FAILED:
            self.lease.drop()
            self.turn_away(Failure(str(message.get("reason")), float(message.get("retry_after", 0))))
        elif state == STOPPING:
            self.on_not_awake()
            if self.somebody_waits:
                self.lease.hold()
                self.patience.suspend()
        else:
            self.on_not_awake()
            self.patience.answered()

    def on_awake(self, message: Message) -> None:
        targets = {key: address_from(said) for key, said in message["targets"].items()}
        if targets != self.targets:
            self.on_not_awake()
        self.targets = targets
        self.patience.end()
        for wanted, datagrams in self.datagrams:
            target = targets.get(wanted, ())
            if len(target) == 2:
                datagrams.connect(target)
            else:
                datagrams.refuse()
        self.call_in_next()

    def on_not_awake(self) -> None:
        """Nothing new for the target; who was being connected waits again, and who is connected stays."""
        self.targets = None
        for _, datagrams in self.datagrams:
            datagrams.disconnect()
        self.room.put_back(self.dialer.recall())

    def on_lease_lost(self) -> None:
        self.on_not_awake()
        self.expect_supervisor()

    def on_outlived(self) -> None:
        """The predecessor has stopped: only now does its successor's time begin."""
        if self.somebody_waits and self.targets is None:
            self.patience.begin_anew(answered=self.lease.state is not None)

    def on_patience_exhausted(self, reason: str) -> None:
        self.turn_away(Failure(reason, RETRY_AFTER_SILENCE))

    def turn_away(self, failure: Failure) -> None:
        """Answer everyone who waits, and until the failure is over everyone who comes."""
        self.failure = failure
        self.on_not_awake()
        self.patience.end()
        for client in self.room.empty():
            self.refuse(client, failure)
        for _, datagrams in self.datagrams:
            datagrams.refuse()
        if not self.served:
            self.lease.drop()

    def refuse(self, client: Client, failure: Failure) -> None:
        del self.served[client]
        self.reports.changed()
        self.refusals.refuse(client, failure)

    # The target answers, or does not.

    def call_in_next(self) -> None:
        while self.targets is not None and self.room and not self.dialer.busy:
            self.dial(self.room.call_next(), self.targets)

    def dial(self, client: Client, targets: dict[str, Address]) -> None:
        wanted = self.listeners[client.listener].target
        if wanted in targets:
            self.dialer.dial(client, targets[wanted])
        else:
            self.refuse(client, Failure(f"the container has no port {wanted}", RETRY_AFTER_SILENCE))

    def on_connected(self, client: Client, target: socket.socket) -> None:
        relay = Relay(self.loop, client.sock, target, lambda: self.on_client_gone(client))
        self.served[client] = relay
        self.pulse.begin()
        relay.start()
        self.call_in_next()

    def on_unreachable(self, client: Client, why: str) -> None:
        """The supervisor is asked once more: its word may be from before the container ended."""
        if client.asked_anew:
            self.refuse(client, Failure(why, RETRY_AFTER_SILENCE))
            self.call_in_next()
            return
        unlucky = [client, *self.dialer.recall()]
        for each in unlucky:
            each.asked_anew = True
        self.targets = None
        self.room.put_back(unlucky)
        self.lease.renew()
        self.expect_supervisor()

    # A client goes.

    def on_client_gone(self, client: Client) -> None:
        self.door.left()
        self.on_served(client)

    def on_flow_gone(self, flow: Flow) -> None:
        self.on_served(flow)

    def on_served(self, client: Client | Flow) -> None:
        del self.served[client]
        self.reports.changed()
        if not self.somebody_waits:
            self.patience.end()
        self.on_place_free()

    def on_refused(self, _client: Client) -> None:
        self.door.left()
        self.on_place_free()

    def on_place_free(self) -> None:
        if not self.served and not self.refusals:
            self.linger.nobody()
            if self.leaving:
                self.loop.stop()

    # The proxy goes.

    def leave(self) -> None:
        self.door.shut()
        for _, datagrams in self.datagrams:
            datagrams.shut()
        if self.door.last_look():
            self.open()
        else:
            self.loop.stop()

    def on_sigterm(self) -> None:
        """Serve no one new; who is served gets a moment to finish, and who waits a last chance."""
        self.leaving = True
        self.door.shut()
        for _, datagrams in self.datagrams:
            datagrams.drain()
        if not self.served and not self.refusals:
            self.loop.stop()
        else:
            self.loop.call_in(DRAIN_WITHIN, self.loop.stop)

    def finish(self) -> None:
        """The kernel closes everything now. What is cut off shall not look as if it were complete."""
        notify("STOPPING=1")
        for client, relay in self.served.items():
            if client.sock is not None:  # a flow without a target has none
                leg.refuse_to_linger(client.sock)
            if relay is not None:
                leg.refuse_to_linger(relay.target.sock)

    def report(self) -> None:
        count = len(self.served)
        self.lease.report([str(client) for client, _ in zip(self.served, range(REPORT_MAX), strict=False)])
        notify(f"STATUS={count} client{'' if count == 1 else 's'}")
