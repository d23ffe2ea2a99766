"""What the tests of hostile input need beside a house: a supervisor, and a look at what is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fd.conftest import PATIENCE, LeaseSocket, Program, eventually
from wakeport.proxy import pipe

# The proxy that is measured shall be the same one before and after.
STAYS = "import wakeport.proxy.linger as linger; linger.LEAVE_AFTER = 600.0;"

SIGNALS = 2  # ends of the pipe by which the loop hears of signals

LINGER_ZERO = struct.pack("ii", 1, 0)  # close() resets, socket(7)


class Supervisor:
    """Says the same to every lease, as often as one becomes busy, until it is told to say something else."""

    def __init__(self, lease: LeaseSocket, *messages: dict[str, Any]) -> None:
        self.listener = lease.listener
        self.words = _lines(messages)
        self.leases: list[socket.socket] = []
        self.asked = 0
        self.ending = False
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def say(self, *messages: dict[str, Any]) -> None:
        with self.lock:
            self.words = _lines(messages)
            for sock in self.leases:
                self._tell(sock)

    def fall_silent(self) -> None:
        """Crash, and have a successor that has yet to say its first word."""
        with self.lock:
            self.words = b""
            for sock in self.leases:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def awake(self, targets: dict[str, list[Any]]) -> None:
        self.say({"state": "awake", "targets": targets})

    def _tell(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock.sendall(self.words)

    def _serve(self) -> None:
        while not self.ending:
            ready, _, _ = select.select([self.listener, *self.leases], [], [], 0.05)
            with self.lock:
                for sock in ready:
                    if sock is self.listener:
                        self.asked += 1
                        self.leases.append(self.listener.accept()[0])
                        self._tell(self.leases[-1])
                    else:
                        self._hear(sock)

    def _hear(self, sock: socket.socket) -> None:
        heard = b""
        with contextlib.suppress(OSError):
            heard = sock.recv(1 << 20)
        if not heard:
            sock.close()
            self.leases.remove(sock)
        elif b'"busy":true' in heard:
            self._tell(sock)

    def close(self) -> None:
        self.ending = True
        self.thread.join(PATIENCE)
        for sock in self.leases:
            sock.close()


def _lines(messages: tuple[dict[str, Any], ...]) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


@contextmanager
def supervisor(lease: LeaseSocket, *messages: dict[str, Any]) -> Iterator[Supervisor]:
    played = Supervisor(lease, *messages)
    try:
        yield played
    finally:
        played.close()


def descriptors(proxy: Program) -> tuple[int, int]:
    """How many it has open that are no pipes, and how many pipes' ends."""
    pipes = others = 0
    for name in os.listdir(f"/proc/{proxy.pid}/fd"):  # noqa: PTH208
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            if str(Path(f"/proc/{proxy.pid}/fd/{name}").readlink()).startswith("pipe:"):
                pipes += 1
            else:
                others += 1
    return others, pipes


def rests(proxy: Program, seconds: float = 0.2) -> bool:
    """Whether it leaves the processor alone while nothing happens. What is still on its way it may do first,
    for as long as a busy machine takes; who spins never rests."""
    before = proxy.processor_time()
    time.sleep(seconds)
    return proxy.processor_time() - before <= 100 * seconds / 10


@contextmanager
def unharmed(proxy: Program, good: Callable[[], None], growth: int = 2048) -> Iterator[None]:
    """Whatever is done within leaves the proxy as it was, and a `good` client is served right afterwards.

    `growth` is what it may have more in the end, KiB: buffers of the kinds that were not used before.
    """
    good()
    others, _ = descriptors(proxy)
    memory = proxy.memory()
    yield
    assert not proxy.has_ended(), proxy.said.decode()
    good()
    # Whether the good client's lease is still open, or was asked for once more, differs from time to time.
    eventually(lambda: descriptors(proxy)[0] <= others + 1)
    assert descriptors(proxy)[1] <= SIGNALS + 2 * pipe.KEPT_AT_MOST
    eventually(lambda: rests(proxy))
    assert proxy.memory() - memory <= growth, f"{memory} KiB before, {proxy.memory()} KiB now"
    assert b"Traceback" not in proxy.said


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
    client.close()
