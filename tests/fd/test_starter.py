"""The classic shape: the starter waits, systemd-socket-proxyd relays, and the lease outlives neither."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fd.conftest import House, Program, eventually, everything

RELAY = "/lib/systemd/systemd-socket-proxyd"
REQUEST = b"GET / HTTP/1.1\r\n\r\n"


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


class Unit:
    """A starter with the one thing that systemd adds: what it leaves behind ends with it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.relays: list[int] = []

    def start(self, relay: str = RELAY) -> Program:
        return self.house.proxy(f"relay={relay}", entry="wakeport.proxy.starter")

    def relay_of(self, starter: Program) -> int:
        def is_there() -> bool:
            return any(
                b"proxyd" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children(starter.pid)
            )

        eventually(is_there)
        self.relays.append(children(starter.pid)[0])
        return self.relays[-1]

    def sweep(self) -> None:
        for pid in self.relays:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                continue


@pytest.fixture
def unit(house: House) -> Iterator[Unit]:
    unit = Unit(house)
    yield unit
    unit.sweep()


def test_socket_proxyd_serves_whoever_waited_and_everything_ends(house: House, unit: Unit) -> None:
    target = house.target()
    house.listen()
    starter = unit.start()
    client = house.client(say=b"hello")
    lease = house.lease.accept()
    assert lease.hear() == {"who": "systemd-socket-proxyd", "use": [], "last": []}
    lease.tell("waking")
    lease.awake(target.port)
    assert client.recv(5) == b"hello"
    unit.relay_of(starter)
    client.close()
    lease.hear_end()
    assert starter.wait() == 0


def test_started_by_hand_it_asks_nobody_and_leaves(house: House, unit: Unit) -> None:
    house.listen()
    assert unit.start().wait() == 0
    assert house.lease.nobody_asks(0)


def test_ipv6_targets_reach_socket_proxyd_without_brackets(house: House, unit: Unit) -> None:
    """It cuts at the last colon and resolves the rest as it stands: with brackets it found no address."""
    target = house.target(host="::1")
    house.listen()
    unit.start()
    client = house.client(say=b"six")
    house.lease.accept().awake(target.port, host="::1")
    assert client.recv(3) == b"six"
    client.close()


def test_a_failure_is_answered_from_the_backlog(house: House, unit: Unit) -> None:
    house.listen()
    starter = unit.start()
    web, other = house.client(say=REQUEST), house.client(say=b"SSH-2.0\r\n")
    house.lease.accept().tell("failed", reason="no such container", retry_after=7)
    answer = everything(web)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"no such container" in answer
    with pytest.raises(ConnectionResetError):
        everything(other)
    assert starter.wait() == 0
    house.client()
    assert select.select([house.listeners[0]], [], [], 5)[0]


def test_a_relay_that_cannot_be_executed_is_a_failure_with_its_name(house: House, unit: Unit) -> None:
    target = house.target()
    house.listen()
    starter = unit.start("/nowhere/systemd-socket-proxyd")
    client = house.client(say=REQUEST)
    house.lease.accept().awake(target.port)
    assert b"/nowhere/systemd-socket-proxyd cannot be executed" in everything(client)
    assert starter.wait() == 0


def test_who_waits_through_a_stop_is_served_by_the_next_supervisor(house: House, unit: Unit) -> None:
    target = house.target()
    house.listen()
    unit.start()
    client = house.client(say=b"patient")
    lease = house.lease.accept()
    lease.tell("stopping")
    successor = house.lease.accept()
    lease.close()
    successor.awake(target.port)
    assert client.recv(7) == b"patient"
    client.close()


def test_a_crashed_supervisor_costs_no_live_client(house: House, unit: Unit) -> None:
    target = house.target()
    house.listen()
    starter = unit.start()
    client = house.client(say=b"before")
    lease = house.lease.accept()
    lease.awake(target.port)
    assert client.recv(6) == b"before"
    unit.relay_of(starter)
    lease.close()
    successor = house.lease.accept()
    assert successor.hear() == {"who": "systemd-socket-proxyd", "use": [], "last": []}
    successor.tell("waking")
    successor.awake(target.port)
    client.sendall(b"after")
    assert client.recv(5) == b"after"
    client.close()
    assert starter.wait() == 0


@pytest.mark.parametrize("news", ["stopping", "waking", "moved", "failed"])
def test_a_container_that_ends_takes_socket_proxyd_s_old_address_with_it(
    house: House, unit: Unit, news: str
) -> None:
    """The starter ends, systemd sweeps the unit, and the next starter asks for the new address."""
    target, moved = house.target(), house.target(lambda sock: sock.sendall(b"moved"))
    house.listen()
    starter = unit.start()
    client = house.client(say=b"before")
    lease = house.lease.accept()
    lease.awake(target.port)
    assert client.recv(6) == b"before"
    unit.relay_of(starter)
    if news == "moved":
        lease.awake(moved.port)
    else:
        lease.tell(news, reason="exit status 1", retry_after=1)
    assert starter.wait() == 0
    unit.sweep()
    assert everything(client) == b""
    unit.start()
    late = house.client()
    house.lease.accept().awake(moved.port)
    assert late.recv(5) == b"moved"
    late.close()


def test_socket_proxyd_gets_its_sockets_and_no_more(house: House, unit: Unit) -> None:
    target = house.target()
    house.listen()
    house.listen()
    starter = house.proxy(f"relay={RELAY}", entry="wakeport.proxy.starter", one_target=True)
    client = house.client(house.listeners[1], b"second")
    house.lease.accept().awake(target.port)
    assert client.recv(6) == b"second"
    relay = unit.relay_of(starter)
    environment = Path(f"/proc/{relay}/environ").read_bytes().split(b"\0")
    assert f"LISTEN_PID={relay}".encode() in environment
    assert b"LISTEN_FDS=2" in environment
    assert not [word for word in environment if word.startswith(b"NOTIFY_SOCKET")]
    command = Path(f"/proc/{relay}/cmdline").read_bytes().split(b"\0")
    assert b"--exit-idle-time=1s" in command
    ignored = next(
        line for line in Path(f"/proc/{relay}/status").read_text().splitlines() if line.startswith("SigIgn")
    )
    assert not int(ignored.split()[1], 16) & 1 << (signal.SIGXFSZ - 1)
    client.close()
