"""Connecting to the target: a few at a time, and patiently where patience can help."""

from __future__ import annotations

import errno
import os

from wakeport.lease import Malformed, Message
from wakeport.light import socket
from wakeport.loop import BROKEN, WRITE, Loop, Timer, now
from wakeport.proxy import leg
from wakeport.proxy.door import Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

Address = tuple[str, int] | tuple[str]  # of a TCP or UDP port, or the path of a Unix socket

# For each target: half of the smallest listen backlog in common use (128), which a crowd must not overflow.
AT_ONCE = 64

# SYN at 0, 1 and 3 s, then ETIMEDOUT at 7 s. The kernel's default of 6 retries is 127 s; tcp(7)
SYN_RETRIES = 2

# A container that was just ready may be restarting its workers: refused is not yet gone.
REFUSED_FOR = 1.0  # seconds
# A full backlog or an address that does not answer: the target is there, but busy or far.
BUSY_FOR = 30.0  # seconds

FIRST_DELAY = 0.005  # seconds between two attempts, doubling
LONGEST_DELAY = 0.1  # seconds

# EAGAIN is a Unix socket's full backlog, unix(7).
_BUSY = (errno.EAGAIN, errno.ETIMEDOUT, errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS)


def targets_from(message: Message) -> dict[str, Address]:
    """Those that the supervisor announces, by their keys. Raises Malformed."""
    said = message.get("targets")
    if not isinstance(said, dict):
        raise Malformed("awake without targets")
    return {key: address_from(each) for key, each in said.items()}


def address_from(said: Any) -> Address:
    """What the supervisor says of a target: `["172.17.0.2", 80]` or `["/run/app.sock"]`. Raises Malformed.

    A name is no address: the resolver would be waited for, and everybody with it.
    """
    if isinstance(said, list) and said and isinstance(said[0], str):
        if len(said) == 1 and _is_path(said[0]):
            return (said[0],)
        if len(said) == 2 and type(said[1]) is int and 0 < said[1] < 65536 and _is_host(said[0]):
            return said[0], said[1]
    raise Malformed(f"no address of a target: {said!a:.100}")


def _is_path(text: str) -> bool:
    try:
        return text.startswith("/") and b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _is_host(text: str) -> bool:
    try:
        # Behind % is the interface of a link-local address.
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text.partition("%")[0])
    except (OSError, ValueError):
        return False
    return text.isascii() and text.isprintable()


def address_text(address: Address) -> str:
    return address[0] if len(address) == 1 else f"{address[0]} port {address[1]}"


class Dialer:
    """`connected` gets a client and the socket of its target, which may still be watched.
    `unreachable` gets a client whom no patience helped, and the reason.

    One of the two is called once for each `dial`, unless it is recalled, and never from within it.
    """

    def __init__(
        self,
        loop: Loop,
        connected: Callable[[Client, socket.socket], None],
        unreachable: Callable[[Client, str], None],
    ) -> None:
        self.loop = loop
        self.connected = connected
        self.unreachable = unreachable
        self.calls: dict[Client, Call] = {}
        self.under_way: dict[Address, int] = {}

    def is_busy(self, address: Address) -> bool:
        return self.under_way.get(address, 0) >= AT_ONCE

    def dial(self, client: Client, address: Address) -> None:
        call = self.calls[client] = Call(self, client, address)
        self.under_way[address] = self.under_way.get(address, 0) + 1
        call.attempt()

    def over(self, call: Call) -> bool:
        """Take it out; False where it was recalled meanwhile."""
        if self.calls.get(call.client) is not call:
            return False
        del self.calls[call.client]
        self.under_way[call.address] -= 1
        return True

    def recall(self) -> list[Client]:
        """Give up every call that is under way; the clients, in the order in which they were dialled for."""
        clients = list(self.calls)
        for call in self.calls.values():
            call.hang_up()
        self.calls.clear()
        self.under_way.clear()
        return clients


class Call:
    """The attempts to reach the target for one client."""

    __slots__ = ("address", "client", "delay", "dialer", "since", "sock", "timer")

    def __init__(self, dialer: Dialer, client: Client, address: Address) -> None:
        self.dialer = dialer
        self.client = client
        self.address = address
        self.since = now()
        self.delay = FIRST_DELAY
        self.sock: socket.socket | None = None
        self.timer: Timer | None = None

    def attempt(self) -> None:
        try:
            sock = self.sock = _leg_towards(self.address)
            failure = sock.connect_ex(self.address if len(self.address) == 2 else self.address[0])
            if failure == errno.EINPROGRESS:
                failure = _answer_so_far(sock)
        except OSError as error:
            failure = error.errno or errno.EIO
        loop = self.dialer.loop
        if failure == 0:
            loop.call_soon(self._on_success)
        elif failure == errno.EINPROGRESS:
            loop.watch(sock.fileno(), WRITE, self._on_answer)
        else:
            self._failed(failure)

    def hang_up(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.sock is not None:
            leg.close(self.dialer.loop, self.sock)
            self.sock = None

    def _on_answer(self, events: int) -> None:
        assert self.sock is not None
        if events & BROKEN:
            self._failed(self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or errno.ECONNRESET)
        else:
            self._on_success()

    def _on_success(self) -> None:
        if self.dialer.over(self):
            assert self.sock is not None
            self.dialer.connected(self.client, self.sock)

    def _failed(self, failure: int) -> None:
        self.hang_up()
        patience = BUSY_FOR if failure in _BUSY else REFUSED_FOR
        if now() - self.since < patience:
            self.timer = self.dialer.loop.call_in(self.delay, self.attempt)
            self.delay = min(LONGEST_DELAY, self.delay * 2)
        else:
            self.dialer.loop.call_soon(lambda: self._give_up(errno.errorcode.get(failure, str(failure))))

    def _give_up(self, why: str) -> None:
        if self.dialer.over(self):
            self.dialer.unreachable(self.client, f"{address_text(self.address)}: {why}")


def _leg_towards(address: Address) -> socket.socket:
    kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
    if len(address) == 1:
        return socket.socket(socket.AF_UNIX, kind)
    sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, kind)
    # No keepalive yet, see pulse.py.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, SYN_RETRIES)
    return sock


def _answer_so_far(sock: socket.socket) -> int:
    """What became of a connect: on one machine mostly all of it within the call, which cannot say so.

    0, EINPROGRESS, or an error. To wait for it instead is three calls to the kernel and a turn of the loop.
    """
    try:
        sock.send(b"")
    except BlockingIOError:
        return errno.EINPROGRESS
    except OSError as error:
        return error.errno or errno.EIO
    return 0
