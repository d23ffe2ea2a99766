"""Keeping a lease while somebody needs the container, whatever becomes of the supervisor.

One connection from the first client on. It is opened anew when the supervisor crashes, so that its
successor knows that the container is in use, and when the supervisor says `stopping` to somebody
who waits: the new connection then lies in the lease socket's backlog until the successor accepts.
"""

from __future__ import annotations

from wakeport.lease import DOZING, STOPPING, Message
from wakeport.lease_connection import LeaseConnection
from wakeport.light import socket
from wakeport.loop import Loop, Timer, now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# A supervisor that ends without a word each time it is asked is asked less and less often; one that does
# so after some words, or is always stopping, from the second time on.
FIRST_DELAY = 0.05  # seconds
LONGEST_DELAY = 1.0  # seconds


class LeaseHolder:
    """`told` gets every message of the supervisor; `lost` is called when the connection broke.

    `state` is the last word of the supervisor, None before its first, and again until it has answered
    a lease that was released and is held again.
    `awaits_stop` is true while a supervisor is stopping whose successor is to answer; `outlived` is
    called when it has stopped.
    """

    def __init__(
        self,
        loop: Loop,
        path: str,
        who: str,
        told: Callable[[Message], None],
        lost: Callable[[], None],
        outlived: Callable[[], None],
    ) -> None:
        self.loop = loop
        self.path = path
        self.who = who
        self.told = told
        self.lost = lost
        self.outlived = outlived
        self.use: list[str] = []
        self.last: list[float | None] = []
        self.busy = False
        self.rests = False  # not busy, and will be again
        self.awaits_thaw = False  # the supervisor has been asked since it said that the container dozes
        self.state: str | None = None
        self.connection: LeaseConnection | None = None
        self.predecessor: LeaseConnection | None = None
        self.retry: Timer | None = None
        self.delay = 0.0
        self.is_shut = False  # nobody listens on the lease socket, or it is not there
        self.is_orphaned = False  # the supervisor ended, not by a stop, and no successor has been asked
        self.asked = 0.0  # when the last connection was opened; seconds, monotonic

    @property
    def awaits_stop(self) -> bool:
        return self.predecessor is not None

    def hold(self, client: object = None) -> None:
        """The container is needed: ask for it, unless that has been done. `client` is for whom, as a text."""
        if client is not None and not self.busy:
            # Who woke it is said with the lease itself: a thaw may be over before the next report.
            self.use, self.last = [str(client)], [None]
        if self.connection is not None and self.state != STOPPING:
            if not self.busy or (self.state == DOZING and not self.awaits_thaw):
                # The supervisor may have taken its last look a moment ago: its word before that
                # counts no more, and it repeats it to whom it has heard in time.
                self.state = None
                self.awaits_thaw = True
                self.connection.say({"busy": True, "who": self.who, "use": self.use, "last": self.last})
        elif self.retry is None:
            self._outlive()
            self._connect_again()
        self.busy, self.rests = True, False

    def release(self, rests: bool = False) -> None:
        """Nobody needs the container at present. Who `rests` will again, and it must not be stopped."""
        self.busy, self.rests = False, rests
        if not rests:
            self._stop_retrying()
        if self.connection is not None:
            self.connection.say({"busy": False, "rests": True} if rests else {"busy": False})

    def stir(self) -> None:
        """The container has to see something, for which it need not stay awake."""
        if self.connection is not None:
            self.connection.say({"stir": True})

    def drop(self) -> None:
        """Hang up, and forget what was said."""
        self.busy = self.rests = False
        self.state = None
        self.is_orphaned = False
        self._stop_retrying()
        self._part_from_predecessor()
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def renew(self) -> None:
        """Ask again from the start: what the supervisor said has proved wrong."""
        old, self.connection = self.connection, None
        self.hold()
        if old is not None:  # closed only now, so that there was no moment without a lease
            old.close()

    def take_over(
        self, sock: socket.socket, heard: bytes, unsent: bytes, state: str | None, busy: bool
    ) -> None:
        """Go on with the connection of a process before this one, where that has left off.

        `heard` is the begin of a message that has not come to its end, `unsent` what is still to be said.
        """
        self.connection = LeaseConnection(self.loop, self.path, self._on_message, self._on_end, sock)
        self.connection.decoder.pending = heard
        self.connection.unsent = unsent
        self.state = state
        self.busy = busy
        self.awaits_thaw = busy and state is None

    def take_over_predecessor(self, sock: socket.socket) -> None:
        """There is a supervisor that the process before this one saw stopping, and waited for."""
        self.predecessor = LeaseConnection(
            self.loop, self.path, self._on_predecessor_word, self._on_predecessor_end, sock
        )

    def report(self, use: list[str], last: list[float | None]) -> None:
        """Tell what the lease is for: the clients, for people who look at `wakeport status`.

        `last` is when a byte last passed for each of them, in seconds since 1970, where that is known.
        """
        self.use, self.last = use, last
        if self.connection is not None:
            self.connection.say({"who": self.who, "use": use, "last": last})

    def _connect_again(self) -> None:
        """At once, unless that has just been done and was in vain."""
        if now() - self.asked >= LONGEST_DELAY:
            self.delay = 0.0
            self._connect()
        elif not self.delay:
            self.delay = FIRST_DELAY
            self._connect()
        else:
            self.state = None
            self._connect_later()

    def _connect(self) -> None:
        self.retry = None
        self.state = None
        self.is_orphaned = False
        self.asked = now()
        self.awaits_thaw = True
        try:
            self.connection = LeaseConnection(self.loop, self.path, self._on_message, self._on_end)
        except OSError as error:
            # No lease socket, or its backlog is full: both pass, and who waits has a deadline of its own.
            self.is_shut = isinstance(error, FileNotFoundError | ConnectionRefusedError)
            self._connect_later()
        else:
            self.is_shut = False
            self.report(self.use, self.last)
            if self.rests:
                self.connection.say({"busy": False, "rests": True})

    def _connect_later(self) -> None:
        self.delay = min(LONGEST_DELAY, max(FIRST_DELAY, 2 * self.delay))
        self.retry = self.loop.call_in(self.delay, self._connect)

    def _on_message(self, message: Message) -> None:
        self.state = str(message.get("state"))
        if self.state != DOZING:
            self.awaits_thaw = False
        self.told(message)

    def _on_end(self) -> None:
        said, self.state, self.connection = self.state, None, None
        self.is_orphaned = said != STOPPING
        if self.busy and said != STOPPING:
            if said is None:
                self._connect_later()
            else:
                self._connect_again()
        self.lost()

    def _outlive(self) -> None:
        """Listen to the present supervisor no more, except for its end."""
        self._part_from_predecessor()
        if self.connection is not None:
            self.predecessor, self.connection = self.connection, None
            self.predecessor.heard = self._on_predecessor_word
            self.predecessor.ended = self._on_predecessor_end

    def _on_predecessor_word(self, message: Message) -> None:
        """One that saw another's stop through goes on itself, and would count our old lease too."""
        if message.get("state") != STOPPING:
            self._part_from_predecessor()
            self.outlived()

    def _on_predecessor_end(self) -> None:
        self.predecessor = None
        self.outlived()

    def _part_from_predecessor(self) -> None:
        if self.predecessor is not None:
            self.predecessor.close()
            self.predecessor = None

    def _stop_retrying(self) -> None:
        if self.retry is not None:
            self.retry.cancel()
            self.retry = None
