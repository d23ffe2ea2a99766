"""What the tests of UDP need beside a house: listeners as systemd holds them, targets, and a network."""

from __future__ import annotations

import ctypes
import os
import select
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fd.conftest import PATIENCE, Holder, House, eventually

IP_PKTINFO = 8  # linux/in.h
CLONE_NEWNET = 0x40000000  # unshare(2)


def listen(house: House, host: str = "127.0.0.1") -> socket.socket:
    """A listener with PassPacketInfo=yes."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_DGRAM)
    listener.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    listener.bind((host, 0))
    house.listeners.append(listener)
    return listener


def client(house: House, host: str = "127.0.0.1", listener: socket.socket | None = None) -> socket.socket:
    """A client that hears nobody but the address that it asked."""
    port = (listener or house.listeners[0]).getsockname()[1]
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE)
    sock.connect(socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][4])
    house.clients.append(sock)
    return sock


def taken(house: House) -> None:
    """Wait until the proxy has taken every datagram from the kernel's buffers."""
    eventually(lambda: not select.select(house.listeners, [], [], 0)[0])


def echo(data: bytes) -> list[bytes]:
    return [data]


class DatagramTarget:
    """Answers each datagram with what `answers` makes of it. `heard` has all, with the flow's own port."""

    def __init__(
        self, answers: Callable[[bytes], list[bytes]] = echo, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.answers = answers
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((host, port))
        self.host = host
        self.port: int = self.sock.getsockname()[1]
        self.heard: list[tuple[bytes, int]] = []
        self.ending = False
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            data, sender = self.sock.recvfrom(65536)
            if self.ending:
                return
            self.heard.append((data, sender[1]))
            for answer in self.answers(data):
                self.sock.sendto(answer, sender)

    def awake(self, lease: Holder, key: str = "80/udp") -> None:
        """Tell a proxy's lease that the container is awake, and this its target."""
        lease.tell("awake", targets={key: [self.host, self.port]})

    def close(self) -> None:
        self.ending = True
        with socket.socket(self.sock.family, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (self.host, self.port))
        self.thread.join(PATIENCE)
        self.sock.close()


@contextmanager
def target(
    answers: Callable[[bytes], list[bytes]] = echo, host: str = "127.0.0.1", port: int = 0
) -> Iterator[DatagramTarget]:
    server = DatagramTarget(answers, host, port)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def network_of_our_own(*commands: str, ipv6_addresses: int = 1) -> Iterator[None]:
    """This thread, and all that it starts, in a new network with its loopback up; needs root.

    `ipv6_addresses` is how many the commands and the kernel give it, with ::1.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        try:
            # An address that is still being checked for duplicates cannot be used for a second.
            Path("/proc/sys/net/ipv6/conf/default/accept_dad").write_text("0")
            for command in ("ip link set lo up", *commands):
                subprocess.run(command.split(), check=True, timeout=60)
            # ip returns before an address is in use, and what is sent there until then is lost.
            eventually(lambda: _ipv6_addresses_in_use() >= ipv6_addresses)
            yield
        finally:
            libc.setns(before, CLONE_NEWNET)
    finally:
        os.close(before)


def _ipv6_addresses_in_use() -> int:
    """How many the kernel receives on: it makes each one's route when it has done with checking it."""
    command = ["ip", "-6", "route", "show", "table", "local", "type", "local"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    return len(shown.splitlines())
