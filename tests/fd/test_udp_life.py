"""UDP while its container comes, moves, fails and goes, and while flows fall idle."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import termios
from pathlib import Path

import pytest

from tests.fd import udp
from tests.fd.conftest import Holder, House, Program, eventually
from tests.fd.hostile import rests

OF_OUR_OWN = "127.0.80.80"

REGULARS = 6
CAPACITY = 12  # of which a quarter is for strangers


@pytest.fixture
def udp_house(house: House) -> House:
    """A house whose one listener is 80/udp."""
    udp.listen(house)
    return house


def started(house: House, *words: str, before: str = "") -> Program:
    return house.proxy(targets=["target=80/udp", *words], before=before)


def heard(lease: Holder) -> None:
    """Wait until the proxy has read all that it was told."""
    eventually(lambda: fcntl.ioctl(lease.sock, termios.TIOCOUTQ, bytes(4)) == bytes(4))


def test_a_target_that_moves_takes_its_flows_along(udp_house: House) -> None:
    started(udp_house)
    client = udp.client(udp_house)
    with udp.target() as old, udp.target() as new:
        client.send(b"one")
        lease = udp_house.lease.accept()
        old.awake(lease)
        assert client.recv(64) == b"one"
        lease.tell("waking")
        heard(lease)
        for word in (b"two", b"three"):
            client.send(word)
        udp.taken(udp_house)
        new.awake(lease)
        assert [client.recv(64) for _ in range(2)] == [b"two", b"three"]
        assert len(old.heard) == 1


def test_a_target_that_restarts_on_its_port_is_found_again(udp_house: House) -> None:
    """Until then it refuses (ICMP): the proxy neither ends nor spins, and the first datagram after counts."""
    proxy = started(udp_house)
    client = udp.client(udp_house)
    # An address that no other test has targets on, who might get the port in between.
    with udp.target(host=OF_OUR_OWN) as target:
        client.send(b"before")
        target.awake(udp_house.lease.accept())
        assert client.recv(64) == b"before"
        port = target.port
    for _ in range(100):
        client.send(b"lost")
        udp.taken(udp_house)
    eventually(lambda: rests(proxy, 0.5))
    assert not select.select([client], [], [], 0)[0]
    client.send(b"lost, too")
    udp.taken(udp_house)
    with udp.target(host=OF_OUR_OWN, port=port):
        client.send(b"after")
        assert client.recv(64) == b"after"


def test_a_failure_drops_what_was_kept_and_later_datagrams_ask_again(udp_house: House) -> None:
    started(udp_house)
    client = udp.client(udp_house)
    with udp.target() as target:
        client.send(b"in vain")
        lease = udp_house.lease.accept()
        lease.tell("failed", reason="exit status 1", retry_after=2)
        lease.hear_end()
        client.send(b"too early")
        udp.taken(udp_house)
        assert udp_house.lease.nobody_asks(0.05)

        def asks_again() -> bool:
            client.send(b"again")
            return not udp_house.lease.nobody_asks(0.05)

        eventually(asks_again)
        target.awake(udp_house.lease.accept())
        assert client.recv(64) == b"again"
        assert {word for word, _ in target.heard} == {b"again"}


def test_a_sleep_between_two_datagrams_of_one_flow(udp_house: House) -> None:
    """It says `stopping` while the flow is idle, which asks for nothing; the next datagram does."""
    started(udp_house)
    client = udp.client(udp_house)
    with udp.target() as target:
        client.send(b"one")
        first = udp_house.lease.accept()
        target.awake(first)
        assert client.recv(64) == b"one"
        first.tell("stopping")
        heard(first)
        assert udp_house.lease.nobody_asks(0.2)
        client.send(b"two")
        second = udp_house.lease.accept()
        first.close()
        assert not select.select([client], [], [], 0.1)[0]
        target.awake(second)
        assert client.recv(64) == b"two"


def test_a_crashed_supervisor_costs_no_flow(udp_house: House) -> None:
    started(udp_house)
    client = udp.client(udp_house)
    with udp.target() as target:
        client.send(b"one")
        lease = udp_house.lease.accept()
        target.awake(lease)
        assert client.recv(64) == b"one"
        lease.close()
        client.send(b"two")
        target.awake(udp_house.lease.accept())
        assert client.recv(64) == b"two"


def test_idle_flows_are_forgotten_and_then_the_proxy_leaves(udp_house: House) -> None:
    proxy = started(udp_house, "flow_idle=0.3")
    client = udp.client(udp_house)
    with udp.target() as target:
        client.send(b"hello")
        lease = udp_house.lease.accept()
        target.awake(lease)
        assert client.recv(64) == b"hello"
        lease.hear_until(lambda said: said.get("busy") is False)
        assert proxy.wait() == 0
        client.send(b"for the next proxy")
        assert select.select(udp_house.listeners, [], [], 5)[0]


def test_who_waits_is_not_idle(udp_house: House) -> None:
    started(udp_house, "flow_idle=0.1")
    client = udp.client(udp_house)
    with udp.target() as target:
        client.send(b"patience")
        lease = udp_house.lease.accept()
        lease.tell("waking")
        assert not select.select([client], [], [], 0.6)[0]
        target.awake(lease)
        assert client.recv(64) == b"patience"


def test_a_container_without_that_port_keeps_nobody(udp_house: House) -> None:
    proxy = started(udp_house)
    client = udp.client(udp_house)
    client.send(b"hello")
    udp_house.lease.accept().tell("awake", targets={"80/tcp": ["127.0.0.1", 9]})
    assert proxy.wait() == 0


def test_a_flood_of_sources_does_not_push_out_regulars(udp_house: House) -> None:
    proxy = started(
        udp_house, before=f"import wakeport.proxy.door as door; door.capacity_within = lambda _: {CAPACITY}"
    )
    with udp.target() as target:
        regulars = [udp.client(udp_house) for _ in range(REGULARS)]
        regulars[0].send(b"first")
        target.awake(udp_house.lease.accept())
        assert regulars[0].recv(64) == b"first"
        for client in regulars:
            for _ in range(2):
                client.send(b"regular")
                assert client.recv(64) == b"regular"
        ports = {port for word, port in target.heard if word == b"regular"}
        descriptors = proxy.descriptors()
        for _ in range(300):
            udp.client(udp_house).send(b"flood")
        udp.taken(udp_house)  # what finds the kernel's buffer full is lost, and nobody's fault
        newcomer = udp.client(udp_house)
        newcomer.send(b"new")
        assert newcomer.recv(64) == b"new"
        for client in regulars:
            client.send(b"regular")
            assert client.recv(64) == b"regular"
        assert {port for word, port in target.heard if word == b"regular"} == ports
        assert proxy.descriptors() <= descriptors + CAPACITY


def test_a_flood_while_it_wakes_stays_bounded(udp_house: House) -> None:
    proxy = started(udp_house)
    client = udp.client(udp_house)
    client.send(b"hello")
    lease = udp_house.lease.accept()
    lease.tell("waking")
    memory = proxy.memory()
    for _ in range(300):
        flood = udp.client(udp_house)
        for _ in range(2):
            flood.send(bytes(60_000))
        udp.taken(udp_house)
        flood.close()
    assert proxy.memory() - memory < 20_000  # KiB; 36 MB were sent, 8 MiB may be kept
    with udp.target(lambda data: [data[:64]]) as target:
        target.awake(lease)
        assert client.recv(64) == b"hello"


def test_at_the_end_of_the_proxy_the_answer_under_way_still_comes(udp_house: House) -> None:
    held: list[bytes] = []
    proxy = started(udp_house)
    client = udp.client(udp_house)
    with udp.target(lambda data: held.append(data) or []) as target:  # type: ignore[func-returns-value]
        client.send(b"slow")
        target.awake(udp_house.lease.accept())
        eventually(lambda: bool(held))
        flow = target.heard[0][1]
        proxy.terminate()
        eventually(lambda: signals_taken(proxy))
        target.sock.sendto(b"the answer", ("127.0.0.1", flow))
        assert client.recv(64) == b"the answer"
        client.send(b"for the next proxy")
        assert proxy.wait() == 0
        assert select.select(udp_house.listeners, [], [], 5)[0]


def signals_taken(proxy: Program) -> bool:
    """Whether no SIGTERM is pending any more; proc(5)."""
    lines = Path(f"/proc/{proxy.pid}/status").read_text().splitlines()
    pending = [int(line.split()[1], 16) for line in lines if line.startswith(("SigPnd", "ShdPnd"))]
    return not any(mask & 1 << (signal.SIGTERM - 1) for mask in pending)


def test_who_is_held_too_long_is_dropped(udp_house: House) -> None:
    started(udp_house, "hold_for=1.5")
    client = udp.client(udp_house)
    with udp.target() as target:
        client.send(b"in vain")
        lease = udp_house.lease.accept()
        lease.tell("waking")
        lease.hear_until(lambda said: said.get("busy") is False)
        client.send(b"in time")
        lease.hear_until(lambda said: said.get("busy") is True)
        target.awake(lease)
        assert client.recv(64) == b"in time"


def test_no_more_are_held_than_may_be(udp_house: House) -> None:
    started(udp_house, "hold_max=2")
    clients = [udp.client(udp_house) for _ in range(3)]
    with udp.target() as target:
        for client in clients:
            client.send(b"hello")
        udp.taken(udp_house)
        target.awake(udp_house.lease.accept())
        for client in clients[:2]:
            assert client.recv(64) == b"hello"
        clients[2].send(b"again")
        assert clients[2].recv(64) == b"again"


def test_a_burst_of_answers_waits_for_a_busy_proxy(udp_house: House) -> None:
    """150 answers of 1,200 bytes, while the proxy is kept from running."""
    proxy = started(udp_house)
    client = udp.client(udp_house)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    with udp.target(lambda data: [data]) as target:
        client.send(b"hello")
        target.awake(udp_house.lease.accept())
        assert client.recv(64) == b"hello"
        flow = target.heard[0][1]
        os.kill(proxy.pid, signal.SIGSTOP)
        for number in range(150):
            target.sock.sendto(number.to_bytes(2, "big") + bytes(1198), ("127.0.0.1", flow))
        os.kill(proxy.pid, signal.SIGCONT)
        assert [int.from_bytes(client.recv(2000)[:2], "big") for _ in range(150)] == list(range(150))
