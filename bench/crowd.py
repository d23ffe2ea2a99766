"""Many first clients at once: who of them gets the right and whole answer, and when."""

from __future__ import annotations

import errno
import os
import resource
import select
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from bench.visit import ASK_AND_CLOSE, Address, Unserved, require_page
from lab import Lab

PATIENCE = 30.0  # seconds from the first connect; who has no answer by then is not served
DESCRIPTORS_RESERVED = 200  # for everything that is no client


class Outcome(NamedTuple):
    """`slowest` is the time of the last client that was served, in seconds, and None where none was."""

    size: int
    served: int
    slowest: float | None
    failures: dict[str, int]


def crowd(lab: Lab, address: Address, size: int) -> Outcome:
    """Connect `size` clients at the same moment; each asks for the page. OSError where they do not fit."""
    with descriptors(size + DESCRIPTORS_RESERVED), lab.network(), select.epoll() as epoll:
        clients = [_Client() for _ in range(size)]
        began = time.monotonic()
        for client in clients:
            client.connect(address)
            epoll.register(client.fd, select.EPOLLOUT)
        waiting = {client.fd: client for client in clients}
        while waiting and (left := began + PATIENCE - time.monotonic()) > 0:
            for fd, _ in epoll.poll(left):
                client = waiting[fd]
                client.go_on(epoll)
                if client.over:
                    client.seconds = time.monotonic() - began
                    del waiting[fd]
                    client.sock.close()
        for client in waiting.values():
            client.failure = f"no answer within {PATIENCE:.0f} s"
            client.sock.close()
    return _outcome(clients)


class _Client:
    def __init__(self) -> None:
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.fd = self.sock.fileno()
        self.answer = b""
        self.asked = False
        self.over = False
        self.failure: str | None = None
        self.seconds = 0.0

    def connect(self, address: Address) -> None:
        self.sock.connect_ex(address)  # an error comes again with the first event

    def go_on(self, epoll: select.epoll) -> None:
        try:
            if not self.asked:
                self._ask(epoll)
                return
            data = self.sock.recv(65536)
            self.answer += data
            self.over = not data
            if self.over:
                require_page(self.answer)
        except BlockingIOError:
            return
        except (OSError, Unserved) as error:
            self.over = True
            self.failure = _in_words(error)

    def _ask(self, epoll: select.epoll) -> None:
        error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        self.sock.sendall(ASK_AND_CLOSE)
        self.asked = True
        epoll.modify(self.fd, select.EPOLLIN)


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        return errno.errorcode.get(error.errno, str(error))
    return str(error)


def _outcome(clients: list[_Client]) -> Outcome:
    served = [client.seconds for client in clients if client.failure is None]
    failures = Counter(client.failure for client in clients if client.failure is not None)
    return Outcome(len(clients), len(served), max(served, default=None), dict(failures.most_common()))


@contextmanager
def descriptors(wanted: int) -> Iterator[None]:
    """Allow this process that many for a while. Not for good: what it starts would inherit them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
