"""Leading every client from the door to the target, or back to the street: hold, relay, linger, leave."""

from __future__ import annotations

from wakeport.lease import AWAKE, DOZING, FAILED, STOPPING, Message
from wakeport.lease_holder import LeaseHolder
from wakeport.light import socket
from wakeport.loop import Loop
from wakeport.proxy.dialer import Address, Dialer, targets_from
from wakeport.proxy.door import Client, Door
from wakeport.proxy.flows import Flows
from wakeport.proxy.held import WaitingRoom
from wakeport.proxy.linger import Linger
from wakeport.proxy.optional import allowed_of, entrance_of, is_awake, pages_of, traffic_of, way_in
from wakeport.proxy.options import Options
from wakeport.proxy.patience import Patience
from wakeport.proxy.pulse import Pulse
from wakeport.proxy.refusal import Failure, Refusals, failure_from
from wakeport.proxy.relay import Relay
from wakeport.proxy.reports import Reports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.proxy.udp.flow import Flow

STAYS_FOR = (AWAKE, DOZING)  # with nobody there, where the container dozes before it sleeps


class Proxy:
    """A client is in exactly one place: the entrance, the waiting room or before a waiting page, the dialer,
    a relay, or among the refusals. A UDP client is a flow, which has a place of its own.

    Raises SystemExit where a listener's rules make no sense.
    """

    def __init__(self, loop: Loop, given: Options, listeners: list[socket.socket], capacity: int) -> None:
        self.loop = loop
        self.given = given
        self.targets: dict[str, Address] | None = None  # None while the container is not awake
        self.failure: Failure | None = None
        self.served: dict[Client | Flow, Relay | None] = {}  # held, dialled for, or relayed; every flow
        self.leaving = False

        self.lease = LeaseHolder(
            loop, given.lease, "proxy", self.on_lease, self.on_lease_lost, self.on_outlived
        )
        self.room = WaitingRoom(loop, self.on_client_gone, given.hold_for, self.on_held_long)
        self.patience = Patience(
            loop, given.answer_within, given.ready_within, lambda why: self.turn_away(Failure(why))
        )
        self.dialer = Dialer(loop, self.on_connected, self.on_unreachable)
        self.refusals = Refusals(loop, given.name, self.on_refused)
        self.reports = Reports(loop, self.lease, self.served)
        self.pulse = Pulse(loop, lambda: filter(None, self.served.values()), self.reports.changed)
        self.linger = Linger(loop, self.lease.release, self.leave)

        self.allowed = allowed_of(self)
        self.entrance = entrance_of(self)
        self.pages = pages_of(self)
        self.traffic = traffic_of(self)
        streams = {index: sock for index, sock in enumerate(listeners) if sock.type == socket.SOCK_STREAM}
        self.door = Door(loop, streams, way_in(self), capacity)
        self.flows = Flows(
            loop=loop,
            came=self.on_flow,
            gone=self.on_gone,
            asks=self.on_flow_waits,
            may_wake=self.may_flow,
            is_awake=lambda: is_awake(self),
            hold_for=given.hold_for,
            allowed=self.allowed,
        )
        for index, sock in enumerate(listeners):
            if index not in streams:
                self.flows.add(sock, given.listeners[index], capacity)

    def open(self) -> None:
        self.door.open()
        self.flows.open()
        self.linger.nobody()

    @property
    def somebody_waits(self) -> bool:
        return bool(self.room or self.pages) or self.flows.waiting > 0

    @property
    def is_empty(self) -> bool:
        return not self.served and not self.refusals and (self.entrance is None or self.entrance.is_empty)

    # A client comes.

    def receive(self, client: Client) -> None:
        """A listener asks more of its clients: whom they come from, or to show that they may wake."""
        assert self.entrance is not None
        self.entrance.admit(client)
        if not self.entrance.is_empty:
            self.linger.somebody()
        self.release_if_only_judged()

    def admit(self, client: Client) -> None:
        self.linger.somebody()
        if self.failure is not None and self.failure.is_fresh:
            self.refusals.refuse(client, self.failure)
            return
        self.serve(client)
        if self.targets is not None and self.may_dial(client):
            self.dial(client, self.targets)
        else:
            self.hold(client)

    def serve(self, client: Client | Flow) -> None:
        """The container is needed for it."""
        self.served[client] = None
        self.reports.changed()
        self.lease.hold(client)
        if self.lease.state is None and self.targets is not None:
            self.on_not_awake()

    def hold(self, client: Client) -> None:
        self.room.add(client)
        self.mind_the_room()
        self.expect_supervisor()

    def mind_the_room(self) -> None:
        """Whoever has no place in it stays in the kernel's backlog. Those before a page wait as well."""
        is_full = len(self.room) + (len(self.pages) if self.pages else 0) >= self.given.hold_max
        (self.door.pause if is_full else self.door.resume)()

    def on_held_long(self, client: Client) -> None:
        reason = f"the container was not awake within {self.given.hold_for:g} s of this client's arrival"
        self.refuse(client, Failure(reason))
        self.mind_the_room()

    def may_flow(self) -> bool:
        """Whether one more may begin to wait; who may not is dropped: no backlog keeps datagrams."""
        has_place = len(self.room) + self.flows.waiting < self.given.hold_max
        return has_place and (self.failure is None or not self.failure.is_fresh)

    def on_flow(self, flow: Flow) -> None:
        self.linger.somebody()
        self.serve(flow)

    def on_flow_waits(self) -> None:
        self.lease.hold()
        if self.targets is None:
            self.expect_supervisor()
        else:  # the container is awake, and has no such port
            self.flows.connect(self.targets)

    def expect_supervisor(self) -> None:
        """Those who wait do so for something that may never come."""
        if self.targets is None and self.somebody_waits:
            if self.lease.awaits_stop:
                self.patience.suspend()
            else:
                self.patience.begin(answered=self.lease.state is not None)

    # The supervisor speaks.

    def on_lease(self, message: Message) -> None:
        """Raises Malformed, and has done nothing then."""
        state = message.get("state")
        targets = targets_from(message) if state == AWAKE else None
        failure = failure_from(message) if state == FAILED else None
        if self.pages is not None:
            self.pages.told(message)
        if self.traffic is not None:
            self.traffic.told(state)
        if targets is not None:
            self.on_awake(targets)
        elif failure is not None:
            self.lease.drop()
            self.turn_away(failure)
        elif state == STOPPING:
            self.on_not_awake()
            if self.somebody_waits:
                self.lease.hold()
                self.patience.suspend()
        else:
            self.on_not_awake()
            self.patience.answered()
            if state == DOZING and self.somebody_waits:
                self.lease.hold()  # who waits has it thawed, unless that has been asked for already
        self.linger.stay_no_longer()

    def on_awake(self, targets: dict[str, Address]) -> None:
        if targets != self.targets:
            self.on_not_awake()
        self.targets = targets
        self.patience.end()
        self.flows.connect(targets)
        self.call_in_next()
        if self.entrance is not None:
            self.entrance.open()

    def on_not_awake(self) -> None:
        """Nothing new for the target; who was being connected waits again, and who is connected stays."""
        self.targets = None
        self.flows.disconnect()
        self.room.put_back(self.dialer.recall())

    def on_lease_lost(self) -> None:
        self.on_not_awake()
        if self.traffic is not None:
            self.traffic.told(None)
        self.expect_supervisor()
        self.linger.stay_no_longer()

    def on_outlived(self) -> None:
        """The predecessor has stopped: only now does its successor's time begin."""
        if self.somebody_waits and self.targets is None:
            self.patience.begin_anew(answered=self.lease.state is not None)

    def turn_away(self, failure: Failure) -> None:
        """Answer everyone who waits, and until the failure is over everyone who comes."""
        self.failure = failure
        self.on_not_awake()
        self.patience.end()
        for client in self.room.empty():
            self.refuse(client, failure)
        self.mind_the_room()
        if self.pages is not None:
            self.pages.failed(failure)
        self.flows.refuse()
        if self.served:  # who is relayed already needs it no less
            self.loop.call_in(failure.retry_after, self.hold_for_the_served)
        else:
            self.lease.drop()

    def hold_for_the_served(self) -> None:
        if self.served:
            self.lease.hold()

    def refuse(self, client: Client, failure: Failure) -> None:
        self.serve_no_more(client)
        self.refusals.refuse(client, failure)

    # The target answers, or does not.

    def call_in_next(self) -> None:
        # Whose target is busy is passed by: one dead port shall hold up no other.
        while self.room and self.targets is not None and (client := self.room.first(self.may_dial)):
            self.room.take_out(client)
            self.dial(client, self.targets)
        self.mind_the_room()

    def may_dial(self, client: Client) -> bool:
        address = (self.targets or {}).get(self.given.listeners[client.listener].target)
        return address is None or not self.dialer.is_busy(address)

    def dial(self, client: Client, targets: dict[str, Address]) -> None:
        wanted = self.given.listeners[client.listener].target
        if wanted in targets:
            self.dialer.dial(client, targets[wanted])
        else:
            self.refuse(client, Failure(f"the container has no port {wanted}"))

    def on_connected(self, client: Client, target: socket.socket) -> None:
        version = self.given.listeners[client.listener].send_proxy
        if version != "off":
            from wakeport.proxy.admission.proxy_header import introduce

            introduce(client, target, version)
        relay = Relay(self.loop, client.sock, target, lambda: self.on_client_gone(client))
        self.served[client] = relay
        self.follow(relay)
        relay.start()
        self.call_in_next()

    def follow(self, relay: Relay) -> None:
        """It is there from now on: whoever looks after relays does so."""
        self.pulse.begin()
        if self.traffic is not None:
            self.traffic.begin(relay)

    def on_unreachable(self, client: Client, why: str) -> None:
        """The supervisor is asked once more: its word may be from before the container ended."""
        if client.asked_anew:
            self.refuse(client, Failure(why))
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
        self.on_gone(client)
        self.mind_the_room()

    def on_gone(self, client: Client | Flow) -> None:
        self.serve_no_more(client)
        self.linger_if_empty()

    def serve_no_more(self, client: Client | Flow) -> None:
        """The container is not needed for it any more."""
        del self.served[client]
        self.reports.changed()
        if not self.somebody_waits:
            self.patience.end()
        self.release_if_only_judged()

    def release_if_only_judged(self) -> None:
        """Who is being judged does not need the container, and may keep the proxy from lingering for long."""
        if self.served or self.entrance is None or not self.entrance.threshold:
            return
        if self.lease.busy or self.lease.rests:
            self.lease.release()

    def on_refused(self, _client: Client) -> None:
        self.door.left()
        self.linger_if_empty()

    def linger_if_empty(self) -> None:
        if self.is_empty:
            self.linger.nobody()
            if self.leaving:
                self.loop.stop()

    # The proxy goes.

    def leave(self) -> None:
        if self.given.doze and self.lease.state in STAYS_FOR:
            return  # from a doze it is woken in the time that our own start would take
        self.door.shut()
        self.flows.shut()
        if self.door.last_look():
            self.door.open()
            self.flows.open()
        else:
            self.loop.stop()

    def drain(self) -> None:
        """Serve no one new, and stop the loop as soon as nobody is left."""
        self.leaving = True
        self.door.shut()
        self.flows.drain()
        if self.pages is not None:
            self.pages.leave()
        if self.is_empty:
            self.loop.stop()
