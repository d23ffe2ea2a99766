"""Watching sockets that the container's own program accepts from (`pass_fd`): no byte comes this way.

The watcher has the same sockets as the program. Of each client that comes the kernel tells it, and who is
connected it asks the kernel; so it holds the lease for them. It accepts one only to refuse it: while the
program is not there, and will not come.

It stays for as long as the container is awake. systemd would start none for a client that comes later: of a
socket whose program runs, all is well in its eyes (socket.c, socket_enter_running).
"""

from __future__ import annotations

import select

from wakeport.activation import notify, passed_fds
from wakeport.lease import AWAKE, DOZING, FAILED, STOPPING, WATCHER, Message
from wakeport.lease_holder import LeaseHolder
from wakeport.light import signal, socket
from wakeport.loop import READ, Loop, Timer, now
from wakeport.proxy import options
from wakeport.proxy.door import Client, Door, capacity_within, inherited_listeners, raise_descriptor_limit
from wakeport.proxy.linger import LEAVE_AFTER, Linger
from wakeport.proxy.options import Options
from wakeport.proxy.patience import Patience
from wakeport.proxy.refusal import Failure, Refusals, failure_from
from wakeport.proxy.reports import REPORT_MAX
from wakeport.proxy.watch.arrivals import Arrivals
from wakeport.proxy.watch.blocking import Blocking
from wakeport.proxy.watch.connections import Connections

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds between two looks at who is there, while somebody is. Nobody tells when a connection ends; and
# while somebody is there, nobody need tell that another has come.
LOOK_EVERY = 0.5

# And while nobody is: a program may set the flags of its sockets long after its start.
KEEP_UP_EVERY = 5.0

DATAGRAM_MAX = 65536  # bytes


def main() -> None:
    given = options.from_command_line()
    capacity = capacity_within(raise_descriptor_limit())
    loop = Loop()
    listening, stored = passed_fds()
    listeners = inherited_listeners(len(given.listeners), listening)
    watcher = Watcher(loop, given, listeners, Blocking(listeners, stored), capacity)
    loop.on_signal(signal.SIGTERM, loop.stop)
    notify("STATUS=Waiting for the container")
    watcher.start()
    loop.run_forever()
    notify("STOPPING=1")


class Watcher:
    """Somebody is there while a client is connected or waits to be, while a datagram waits or came a moment
    ago, and for a look's time after each client that came.
    """

    def __init__(
        self, loop: Loop, given: Options, listeners: list[socket.socket], blocking: Blocking, capacity: int
    ) -> None:
        self.loop = loop
        self.listeners = listeners
        self.blocking = blocking
        self.capacity = capacity
        self.streams = {index: one for index, one in enumerate(listeners) if one.type == socket.SOCK_STREAM}
        # A datagram makes no connection: who has sent one is there for as long as a flow would be.
        flows = [
            given.listeners[index].flow_idle for index in range(len(listeners)) if index not in self.streams
        ]
        self.stays = max([LOOK_EVERY, *flows])
        self.present_until = 0.0  # whoever has come counts as present for so long; monotonic
        self.taken = False  # the program has accepted somebody since it is awake
        self.failure: Failure | None = None
        self.in_vain = False  # the failure is that of a program that runs, and accepts nobody
        self.reported: list[str] = []
        self.later: Timer | None = None

        self.lease = LeaseHolder(
            loop, given.lease, WATCHER, self.on_lease, self.on_lease_lost, self.on_outlived
        )
        self.patience = Patience(loop, given.answer_within, given.ready_within, self.on_patience_exhausted)
        self.refusals = Refusals(loop, given.name, self.on_refused)
        self.door: Door | None = None
        self.arrivals = Arrivals(loop, listeners, self.on_arrival)
        self.connections = Connections(list(self.streams.values()))
        self.linger = Linger(loop, self.lease.release, self.leave)

    def start(self) -> None:
        """The supervisor has to know that we are here, also where nobody else is."""
        clients = self.connections.clients()
        self.lease.hold(clients[0] if clients else None)
        if not (clients or self.blocking.came_back or self.somebody_waits()):
            self.lease.release()
        self.look()

    # Who is there.

    def look(self) -> None:
        if self.failure is not None:
            return
        if self.arrivals.since_last():
            self.present_until = now() + self.stays
        self.arrivals.subscribe()
        waiting = self.somebody_waits()
        # Whom we refuse is on the way out.
        clients = [] if self.refusals else self.connections.clients()
        # Whoever is with a program that stops is its own; who waits is the next one's.
        present = self.lease.state != STOPPING and (bool(clients) or now() < self.present_until)
        if self.lease.state == AWAKE:
            self.blocking.note()
        if waiting or present:
            self.linger.somebody()
            self.report(clients)
            self.lease.hold(clients[0] if clients else None)
            self.mind_patience(waiting)
            self.look_later()
        else:
            self.report([])
            self.patience.end()
            if self.linger.since is None:
                self.linger.nobody()
            self.arrivals.listen()
            if self.later is None and self.lease.state == AWAKE:
                self.later = self.loop.call_in(KEEP_UP_EVERY, self.look_again)

    def somebody_waits(self) -> bool:
        """For the program to accept it, or to read what it has sent."""
        return bool(select.select(self.listeners, [], [], 0)[0])

    def mind_patience(self, waiting: bool) -> None:
        """Also a program that runs may take nobody: it may not know of sockets that are passed to it."""
        if self.lease.state == AWAKE and not waiting:
            self.taken = True
        if self.taken or not waiting:
            self.patience.end()
        elif self.lease.awaits_stop:
            self.patience.suspend()
        else:
            self.patience.begin(answered=self.lease.state is not None)

    def look_later(self) -> None:
        self.arrivals.ignore()
        if self.later is not None and self.later.when > now() + LOOK_EVERY:
            self.later.cancel()
            self.later = None
        if self.later is None:
            self.later = self.loop.call_in(LOOK_EVERY, self.look_again)

    def look_again(self) -> None:
        self.later = None
        self.look()

    def on_arrival(self) -> None:
        self.present_until = now() + self.stays
        self.look()

    def report(self, clients: list[str]) -> None:
        if clients != self.reported:
            self.reported = clients
            named = clients[:REPORT_MAX]
            self.lease.report(named, [None] * len(named))
            notify(f"STATUS={len(clients)} client{'' if len(clients) == 1 else 's'}")

    # The supervisor speaks.

    def on_lease(self, message: Message) -> None:
        """Raises Malformed."""
        state = message.get("state")
        if self.failure is not None:
            if state == AWAKE or not self.in_vain:
                return
            self.let_in_no_more()
        if state == FAILED:
            self.turn_away(failure_from(message))
            return
        if state != AWAKE and state != DOZING:
            self.taken = False
        self.look()
        if state == DOZING:
            if self.linger.since is not None:
                self.lease.release()  # it waits for our word that nobody is there
        elif state != AWAKE and state != STOPPING:
            self.patience.answered()
        self.linger.stay_no_longer()

    def on_lease_lost(self) -> None:
        """A successor has to know that we are here before anybody is: a client that comes starts no other."""
        self.taken = False
        if self.failure is not None:
            self.leave_behind()
        elif self.lease.is_orphaned and not self.lease.busy:
            self.lease.hold()
            self.linger.somebody()  # until the next look
            self.look_later()
        self.linger.stay_no_longer()

    def on_outlived(self) -> None:
        if self.failure is None and self.somebody_waits():
            self.patience.begin_anew(answered=self.lease.state is not None)

    def on_patience_exhausted(self, reason: str) -> None:
        if self.lease.state != AWAKE:
            self.turn_away(Failure(reason))
            return
        # For as long as it runs, systemd would start nobody for those who come later.
        self.failure = Failure(
            "the program runs and accepts nobody: it takes no socket, or was started without it"
        )
        self.in_vain = True
        self.lease.release()
        self.let_in()

    # Nothing comes of it.

    def turn_away(self, failure: Failure) -> None:
        """Let everyone in to tell them, for as long as the failure is fresh; the next watcher asks again."""
        self.failure = failure
        self.lease.drop()
        self.let_in()
        self.loop.call_in(min(LEAVE_AFTER, failure.retry_after), self.leave_behind)

    def let_in(self) -> None:
        self.patience.end()
        self.arrivals.ignore()
        # Only now: it makes the sockets non-blocking for the program as well, which has no use for them.
        self.door = Door(self.loop, self.streams, self.admit, self.capacity, shared=True)
        self.door.open()
        for index, listener in enumerate(self.listeners):
            if index not in self.streams:
                self.loop.watch(listener.fileno(), READ, self.throwing_away(listener))

    def let_in_no_more(self) -> None:
        """It is started anew, and may accept them now."""
        assert self.door is not None, "opened at the failure"
        self.door.shut()
        for index, listener in enumerate(self.listeners):
            if index not in self.streams:
                self.loop.unwatch(listener.fileno())
        self.failure, self.in_vain, self.taken = None, False, False
        self.arrivals.since_last()  # who came until now has been told no
        self.present_until = 0.0

    def throwing_away(self, listener: socket.socket) -> Callable[[int], None]:
        def throw_away(_events: int) -> None:
            try:
                listener.recv(DATAGRAM_MAX, socket.MSG_DONTWAIT)
            except OSError:
                return

        return throw_away

    def admit(self, client: Client) -> None:
        assert self.failure is not None, "the door is shut before that"
        self.refusals.refuse(client, self.failure)

    def on_refused(self, _client: Client) -> None:
        assert self.door is not None, "refused behind it"
        self.door.left()
        if self.failure is not None and not self.door.is_open and not self.refusals:
            self.loop.stop()

    def leave_behind(self) -> None:
        assert self.door is not None, "opened at the failure"
        self.door.shut()
        if not self.refusals:
            self.loop.stop()

    def leave(self) -> None:
        """Nobody has been there for a second."""
        if self.failure is None and self.lease.connection is None and not self.lease.busy:
            self.loop.stop()
