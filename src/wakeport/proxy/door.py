"""Where clients come in: accept, and stop accepting where there is no room.

A client for whom there is no room stays in the kernel's backlog. It is never accepted and closed.
"""

from __future__ import annotations

import errno
import resource
import select

from wakeport.light import socket
from wakeport.loop import READ, Loop
from wakeport.proxy.leg import tune

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ACCEPT_BURST = 64  # clients a turn, so that a crowd at the door does not starve those who are inside

DESCRIPTORS_A_CLIENT = 2  # its own leg and the one to the target
DESCRIPTORS_RESERVED = 64  # listeners, epoll, leases, stdio, and those that close only at the end of a turn
CLIENTS_MAX = 16_384  # beyond it one Python thread helps nobody, and 2 KB each is 32 MB already

RETRY_AFTER = 0.2  # seconds: the kernel lacks descriptors or memory, and nothing tells when it has them again

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Client:
    """One accepted connection: its socket, which listener it came to, and from where.

    `destination` is the host and port that it asked for, where somebody in front of us has said so; None:
    the socket's own.
    """

    __slots__ = ("address", "asked_anew", "destination", "held_since", "listener", "sock")

    def __init__(self, sock: socket.socket, address: object, listener: int) -> None:
        self.sock = sock
        self.address = address
        self.listener = listener
        self.destination: tuple[str, int] | None = None
        self.held_since = 0.0  # seconds, monotonic, once it is
        self.asked_anew = False  # the target refused it once, and the supervisor was asked again

    def __str__(self) -> str:
        """`10.0.0.7:51234`, as it is told on the lease; `unix` where clients have no address."""
        if not isinstance(self.address, tuple):
            return "unix"
        host = str(self.address[0]).removeprefix("::ffff:")
        return f"[{host}]:{self.address[1]}" if ":" in host else f"{host}:{self.address[1]}"


class Door:
    """The listeners of a service for streams, by their numbers. `admit` is called with each client;
    `capacity` is how many fit in. Listeners that are `shared` with another service may block at any moment:
    systemd sets that for all whenever it starts the other one (watch/blocking.py).
    """

    def __init__(
        self,
        loop: Loop,
        listeners: dict[int, socket.socket],
        admit: Callable[[Client], None],
        capacity: int,
        shared: bool = False,
    ) -> None:
        self.loop = loop
        self.listeners = listeners
        self.admit = admit
        self.capacity = capacity
        self.shared = shared
        self.inside = 0
        self.is_open = False
        self.pausing = False
        self.watching = False
        # Accepted sockets inherit what the listener has, but not those that wait already, and the
        # client that started this process is one of them.
        self.untuned = set(listeners)
        for listener in listeners.values():
            listener.setblocking(False)
            tune(listener)

    def open(self) -> None:
        self.is_open = True
        self._look_again()

    def shut(self) -> None:
        """Leave everyone who comes now in the backlog. The listeners live on: they are also systemd's."""
        self.is_open = False
        self._unwatch()

    def pause(self) -> None:
        """Leave those in the backlog who come from now on, until `resume`."""
        self.pausing = True
        if self.watching:
            self._unwatch()

    def resume(self) -> None:
        if self.pausing:
            self.pausing = False
            self._look_again()

    def left(self) -> None:
        """A client has gone; its place is free."""
        self.inside -= 1
        self._look_again()

    def last_look(self) -> bool:
        """Accept at most one client a listener, also with the door shut; whether there was one."""
        before = self.inside
        for index in self.listeners:
            self._accept(index)
        return self.inside > before

    def _look_again(self) -> None:
        if not self.is_open or self.pausing or self.watching:
            return
        self.watching = True
        for index, listener in self.listeners.items():
            self.loop.watch(listener.fileno(), READ, self._on_knock(index))

    def _unwatch(self) -> None:
        self.watching = False
        for listener in self.listeners.values():
            self.loop.unwatch(listener.fileno())

    def _on_knock(self, index: int) -> Callable[[int], None]:
        def accept_some(_events: int) -> None:
            for _ in range(ACCEPT_BURST):
                if not self.watching or not self._accept(index):
                    return

        return accept_some

    def _accept(self, index: int) -> bool:
        """Let one client in; False where nobody waits or nobody more fits in."""
        if self.inside >= self.capacity:
            self._unwatch()
            return False
        listener = self.listeners[index]
        if self.shared and not select.select([listener], [], [], 0)[0]:
            return False
        try:
            sock, address = listener.accept()
        except BlockingIOError:
            self.untuned.discard(index)
            return False
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._unwatch()
                self.loop.call_in(RETRY_AFTER, self._look_again)
                return False
            # accept(2): errors of the new connection itself are reported here; the next one may be fine.
            return True
        try:
            sock.setblocking(False)
            if index in self.untuned:
                tune(sock)
        except OSError:
            sock.close()  # reset before it came in
            return True
        self.inside += 1
        self.admit(Client(sock, address, index))
        return True


def inherited_listeners(wanted: int, fds: list[int]) -> list[socket.socket]:
    """The sockets that systemd passed, one for each target; exits where the units disagree."""
    listeners = [socket.socket(fileno=fd) for fd in fds]
    if len(listeners) != wanted:
        raise SystemExit(f"{len(listeners)} listening descriptors for {wanted} target=: the units disagree")
    return listeners


def raise_descriptor_limit() -> int:
    """Raise the soft limit to the hard one and return it: a select()-era default of 1024 fits 480 clients."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def capacity_within(descriptors: int) -> int:
    """How many clients may be inside with that limit of descriptors; at least one."""
    return max(1, min(CLIENTS_MAX, (descriptors - DESCRIPTORS_RESERVED) // DESCRIPTORS_A_CLIENT))
