"""Who needs the container: the connections to the lease socket, and what is said on them."""

from __future__ import annotations

import time

from wakeport.lease import KEEP_UNTIL, KEPT_UNTIL, WATCHER, Decoder, Malformed, Message, encode
from wakeport.light import socket
from wakeport.loop import BROKEN, READ, Future, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ACCEPT_AT_ONCE = 64  # connections a turn of the loop, so that a crowd does not starve the rest

# Of the 1024 descriptors that systemd gives: the supervisor needs some itself, to say what is going
# on. Who comes beyond these waits in the backlog.
HOLDERS_MAX = 900

UNKNOWN = "unknown"  # a holder that has not said who it is


class Holder:
    """One connection. Busy until it says otherwise; gone when the kernel says so.

    One that `rests` uses nothing now, and will again: the container may doze meanwhile, but not be stopped.
    """

    __slots__ = ("busy", "connection", "decoder", "last", "rests", "since", "use", "who")

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.decoder = Decoder()
        self.who = UNKNOWN
        self.use: list[str] = []
        self.last: list[float | None] = []
        self.busy = True
        self.rests = False
        self.since = time.time()

    def facts(self) -> Message:
        return {
            "who": self.who,
            "busy": self.busy,
            "rests": self.rests,
            "use": self.use,
            "last": self.last,
            "since": round(self.since, 3),
        }

    def hear(self, message: Message) -> None:
        who, use, busy = message.get("who"), message.get("use"), message.get("busy")
        last = message.get("last")
        if isinstance(who, str):
            self.who = who[:100]
        if isinstance(use, list):
            self.use = [str(client)[:100] for client in use]
            # When a byte last passed for each of them, as far as its holder knows.
            last = last if isinstance(last, list) and len(last) == len(use) else []
            self.last = [float(at) if isinstance(at, int | float) else None for at in last]
        if isinstance(busy, bool):
            self.busy = busy
            self.rests = not busy and message.get("rests") is True
        if not (self.busy or self.rests):
            self.use, self.last = [], []


class Leases:
    """The lease socket and its holders. `on_change()` is called when a holder comes, goes or speaks.

    `asked` is set when somebody asks for the container: who comes, says `busy` or stirs. Whoever hears of
    the change takes it back.
    `on_keep(who, until)` is asked what a holder's word about a keep comes to, see keep.py.
    """

    def __init__(self, loop: Loop, listener: socket.socket, on_change: Callable[[], None]) -> None:
        self.loop = loop
        self.listener = listener
        self.on_change = on_change
        self.on_keep: Callable[[str, object], object] = lambda _who, _until: None
        self.holders: dict[int, Holder] = {}
        self.message: Message = {}
        self.state = b""
        self.is_open = False
        self.asked = False
        self.unheard: set[int] = set()  # who was asked to answer, and has not
        self.heard: Future[None] = Future()
        listener.setblocking(False)
        self.open_door()

    @property
    def busy(self) -> bool:
        return any(holder.busy for holder in self.holders.values())

    @property
    def somebody_rests(self) -> bool:
        return any(holder.rests for holder in self.holders.values())

    def announce(self, message: Message) -> None:
        """Say the new state to every holder, and to whoever comes."""
        self.message, self.state = message, encode(message)
        for holder in list(self.holders.values()):
            self._say(holder, self.state)

    @property
    def watched(self) -> bool:
        """Whether anybody tells of the clients of a container that accepts them itself."""
        return any(holder.who == WATCHER for holder in self.holders.values())

    def ask_watchers(self, message: Message) -> Future[None]:
        """Say something to those that tell of clients, and know of none; done when each has spoken since."""
        line, self.heard = encode(message), Future()
        watchers = [one for one in self.holders.values() if one.who == WATCHER and not one.busy]
        self.unheard = {holder.connection.fileno() for holder in watchers}
        for holder in watchers:
            self._say(holder, line)
        self._hears()
        return self.heard

    def _hears(self, fd: int = -1) -> None:
        self.unheard.discard(fd)
        if not self.unheard:
            self.heard.set(None)

    def adopt(self, holder: Holder) -> None:
        """Take in a holder with an open connection."""
        holder.connection.setblocking(False)
        fd = holder.connection.fileno()
        self.holders[fd] = holder
        self.loop.watch(fd, READ, lambda events: self._hear(holder, events))

    def catch_up(self) -> None:
        """Hear who came or spoke until this very moment."""
        self._accept(READ)
        for holder in list(self.holders.values()):
            self._hear(holder, READ)

    def last_look(self) -> bool:
        """Whether anybody keeps the container from being stopped, counting who came until this very moment.

        If not, nobody is accepted from here on: who comes later waits in the backlog for the next supervisor.
        """
        self.catch_up()
        if self.busy or self.somebody_rests:
            return True
        self.close_door()
        return False

    def open_door(self) -> None:
        self.is_open = True
        self.loop.watch(self.listener.fileno(), READ, self._accept)

    def close_door(self) -> None:
        """Accept nobody any more. Never shutdown(): systemd's copy of the socket would go with it."""
        self.is_open = False
        self.loop.unwatch(self.listener.fileno())

    def _accept(self, _events: int) -> None:
        for _ in range(ACCEPT_AT_ONCE):
            if len(self.holders) >= HOLDERS_MAX:
                self.loop.unwatch(self.listener.fileno())
                break
            try:
                connection, _ = self.listener.accept()
            except OSError:
                # Nobody waits, or the one who did is gone, or descriptors are short for the moment.
                break
            holder = Holder(connection)
            self.adopt(holder)
            self.asked = True
            if self.state:
                self._say(holder, self.state)
        self.on_change()

    def _say(self, holder: Holder, line: bytes) -> None:
        try:
            sent = holder.connection.send(line, socket.MSG_NOSIGNAL)
        except OSError:
            sent = 0
        if sent < len(line):
            # It does not read: waiting for it would make everybody else wait.
            self._drop(holder)

    def _hear(self, holder: Holder, events: int) -> None:
        if holder.connection.fileno() not in self.holders:
            return
        try:
            data = holder.connection.recv(65536)
        except BlockingIOError:
            if events & BROKEN:
                self._drop(holder)
            return
        except OSError:
            data = b""
        if not data:
            self._drop(holder)
            return
        try:
            for message in holder.decoder.feed(data):
                holder.hear(message)
                if message.get("busy") is True:
                    self.asked = True
                    self._say(holder, self.state)
                elif message.get("stir") is True:
                    self.asked = True
                if KEEP_UNTIL in message:
                    self.asked = self.asked or message[KEEP_UNTIL] is not None
                    until = self.on_keep(holder.who, message[KEEP_UNTIL])
                    self._say(holder, encode({**self.message, KEPT_UNTIL: until}))
        except Malformed:
            self._drop(holder)
            return
        self.on_change()
        self._hears(holder.connection.fileno())

    def _drop(self, holder: Holder) -> None:
        fd = holder.connection.fileno()
        if self.holders.pop(fd, None) is not None:
            self.loop.unwatch(fd)
            # Not at once: the next holder would get its number, and what this turn of the loop has
            # still in store for the old one.
            self.loop.call_soon(holder.connection.close)
            if self.is_open and len(self.holders) == HOLDERS_MAX - 1:
                self.open_door()
            self._hears(fd)
            self.on_change()
