"""The clients that wait for the container: not read from, kept in order, and let go when they leave, or
when they have waited too long.
"""

from __future__ import annotations

from wakeport.light import socket
from wakeport.light.collections import OrderedDict
from wakeport.loop import Loop, Timer, now
from wakeport.proxy import leg
from wakeport.proxy.door import Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wakeport.proxy.glance import Glance

FOR_EVER = float("inf")

NOTHING = 0  # epoll reports EPOLLERR and EPOLLHUP all the same; epoll_ctl(2)


class WaitingRoom:
    """Clients in the order in which they came. What they have sent stays in the kernel's buffers.

    A client that has shut down its writing side (`nc -N`) has sent its request and waits for the
    answer: EPOLLRDHUP says nothing. Only an error or a hang-up means that it has gone. Then `left` is called
    with it; `tired` with one who waits still, `hold_for` seconds after it came.
    """

    def __init__(
        self, loop: Loop, left: Callable[[Client], None], hold_for: float, tired: Callable[[Client], None]
    ) -> None:
        self.loop = loop
        self.left = left
        self.hold_for = hold_for
        self.tired = tired
        self.came: Callable[[Client], None] | None = None  # who else wants to hear of each that waits
        self.clients: dict[Client, None] = {}
        # Those of each listener. Not a dict: looking for the first passes all who were that before.
        self.queues: dict[int, OrderedDict[Client, None]] = {}
        self.glances: dict[Client, Glance] = {}  # at those few whose first words matter to somebody
        self.deadlines: dict[Client, Timer] = {}

    def __len__(self) -> int:
        return len(self.clients)

    def add(self, client: Client) -> None:
        self.clients[client] = None
        client.held_since = client.held_since or now()  # or with the process before this one
        self._queue(client)
        self._seat(client)

    def put_back(self, clients: Iterable[Client]) -> None:
        """Let clients wait again who were called already: before all others, in their own order."""
        returned = dict.fromkeys(clients)
        self.clients = returned | self.clients
        for client in reversed(returned):
            self._queue(client).move_to_end(client, last=False)
        for client in returned:
            self._seat(client)

    def empty(self) -> list[Client]:
        """Take out everyone, in order."""
        clients = list(self.clients)
        for client in clients:
            self.take_out(client)
        return clients

    def first(self, fits: Callable[[Client], bool]) -> Client | None:
        """Who has waited longest of those that come first at their listener, and fits."""
        for queue in self.queues.values():
            client = next(iter(queue), None)
            if client is not None and fits(client):
                return client
        return None

    def take_out(self, client: Client) -> None:
        del self.clients[client]
        del self.queues[client.listener][client]
        deadline = self.deadlines.pop(client, None)
        if deadline is not None:
            deadline.cancel()
        self._look_away(client)
        self.loop.unwatch(client.sock.fileno())

    def look_at(self, client: Client, seen: Callable[[bytes, bool], bool]) -> None:
        """Show what one who waits has sent, as `Glance` does, until `seen` returns True or takes it out.

        Nothing happens where it waits no more, or is looked at already.
        """
        if client in self.clients and client not in self.glances:
            from wakeport.proxy.glance import Glance

            self.glances[client] = Glance(
                self.loop,
                client.sock,
                lambda first, ended: self._on_words(client, seen, first, ended),
                lambda: self._on_hang_up(client),
            )

    def _on_words(
        self, client: Client, seen: Callable[[bytes, bool], bool], first: bytes, ended: bool
    ) -> bool:
        enough = seen(first, ended)
        if enough and client in self.clients:
            self._look_away(client)
            self._watch(client)
        return enough

    def _look_away(self, client: Client) -> None:
        glance = self.glances.pop(client, None)
        if glance is not None:
            glance.end()

    def _on_held_long(self, client: Client) -> None:
        self.take_out(client)
        self.tired(client)

    def _queue(self, client: Client) -> OrderedDict[Client, None]:
        queue = self.queues.setdefault(client.listener, OrderedDict())
        queue[client] = None
        return queue

    def _seat(self, client: Client) -> None:
        if self.hold_for != FOR_EVER:
            due = client.held_since + self.hold_for
            self.deadlines[client] = self.loop.call_at(due, lambda: self._on_held_long(client))
        self._watch(client)
        if self.came is not None:
            self.came(client)

    def _watch(self, client: Client) -> None:
        self.loop.watch(client.sock.fileno(), NOTHING, lambda _events: self._on_hang_up(client))

    def _on_hang_up(self, client: Client) -> None:
        if _has_left_words(client.sock):
            # A Unix client that wrote and closed: its request still counts, and there is no more to watch.
            self.loop.unwatch(client.sock.fileno())
            return
        self.take_out(client)
        leg.close(self.loop, client.sock)
        self.left(client)


def _has_left_words(sock: socket.socket) -> bool:
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0:
        return False
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except OSError:
        return False
