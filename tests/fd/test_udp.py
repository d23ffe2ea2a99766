"""UDP through a real proxy: kept until there is a target, then passed on, and never to the wrong one."""

from __future__ import annotations

import select
import socket

import pytest

from tests.fd import udp
from tests.fd.conftest import House, eventually
from tests.fd.hostile import supervisor
from wakeport.proxy.udp.flow import KEPT_BYTES, KEPT_MAX

LARGEST = 65_507  # bytes of payload in one IPv4 packet


@pytest.fixture
def udp_house(house: House) -> House:
    """A house whose one listener is 80/udp."""
    udp.listen(house)
    return house


def proxy_of(house: House, *words: str, before: str = "") -> None:
    house.proxy(targets=["target=80/udp", *words], before=before)


def test_the_first_datagram_asks_and_is_answered_when_the_target_is_there(udp_house: House) -> None:
    with udp.target(lambda data: [data.upper()]) as target:
        proxy_of(udp_house)
        client = udp.client(udp_house)
        client.send(b"first")
        lease = udp_house.lease.accept()
        lease.tell("waking")
        host, port = client.getsockname()
        lease.hear_until(lambda said: said.get("use") == [f"{host}:{port}/udp"])
        target.awake(lease)
        assert client.recv(65536) == b"FIRST"
        client.send(b"second")
        assert client.recv(65536) == b"SECOND"
        assert len({flow for _, flow in target.heard}) == 1


def test_first_datagrams_arrive_in_order_up_to_the_bound(udp_house: House) -> None:
    with udp.target() as target:
        proxy_of(udp_house)
        client = udp.client(udp_house)
        for number in range(KEPT_MAX + 10):
            client.send(b"%d" % number)
        udp.taken(udp_house)
        target.awake(udp_house.lease.accept())
        assert [int(client.recv(65536)) for _ in range(KEPT_MAX)] == list(range(KEPT_MAX))
        client.send(b"and on")
        assert client.recv(65536) == b"and on"


def test_what_is_kept_is_bounded_in_bytes_and_the_largest_datagram_fits(udp_house: House) -> None:
    with udp.target(lambda data: [b"%d" % len(data)]) as target:
        proxy_of(udp_house)
        client, other = udp.client(udp_house), udp.client(udp_house)
        sizes = [LARGEST, 100, KEPT_BYTES - LARGEST, 0]
        for size in sizes:
            client.send(bytes(size))
        other.send(b"")
        udp.taken(udp_house)
        target.awake(udp_house.lease.accept())
        assert [int(client.recv(64)) for _ in range(3)] == [LARGEST, KEPT_BYTES - LARGEST, 0]
        assert other.recv(64) == b"0"


@pytest.mark.parametrize("size", [0, 1, 1472, LARGEST])
def test_a_datagram_of_any_size_passes_whole_both_ways(udp_house: House, size: int) -> None:
    with udp.target() as target:
        proxy_of(udp_house)
        client = udp.client(udp_house)
        data = bytes(range(256)) * 256
        for _ in range(2):  # kept, then passed on at once
            client.send(data[:size])
            if not udp_house.lease.holders:
                target.awake(udp_house.lease.accept())
            assert client.recv(70_000) == data[:size]
        assert [len(heard) for heard, _ in target.heard] == [size, size]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_thousand_flows_are_never_crossed(house: House, host: str) -> None:
    """Each hears what it said, before the target was there and after, and nothing that another said."""
    udp.listen(house, host)
    with udp.target(host=host) as target:
        proxy_of(house)
        clients = [udp.client(house, host) for _ in range(1000)]
        for number, client in enumerate(clients):
            client.send(b"early %d" % number)
            if number % 100 == 99:  # the kernel's buffer holds some 250
                udp.taken(house)
        target.awake(house.lease.accept())
        for number, client in enumerate(clients):
            assert client.recv(100) == b"early %d" % number
        for start in range(0, 1000, 100):
            for number in range(start, start + 100):
                clients[number].send(b"late %d" % number)
            for number in range(start, start + 100):
                assert clients[number].recv(100) == b"late %d" % number
        assert len({flow for _, flow in target.heard}) == 1000
        assert not select.select(clients, [], [], 0)[0]


def test_tcp_and_udp_listeners_of_one_service_each_reach_their_target(house: House) -> None:
    stream = house.target()
    house.listen()
    udp.listen(house)
    house.listen()
    udp.listen(house)
    with udp.target(lambda _: [b"one"]) as one, udp.target(lambda _: [b"two"]) as two:
        house.proxy(targets=["target=53/tcp", "target=53/udp", "target=80/tcp", "target=123/udp"])
        first = house.client(house.listeners[0], b"tcp 53")
        second = udp.client(house, listener=house.listeners[1])
        third = house.client(house.listeners[2], b"tcp 80")
        fourth = udp.client(house, listener=house.listeners[3])
        second.send(b"?")
        fourth.send(b"?")
        targets = {"53/tcp": stream.port, "80/tcp": stream.port, "53/udp": one.port, "123/udp": two.port}
        house.lease.accept().tell(
            "awake", targets={key: ["127.0.0.1", port] for key, port in targets.items()}
        )
        assert first.recv(64) == b"tcp 53"
        assert second.recv(64) == b"one"
        assert third.recv(64) == b"tcp 80"
        assert fourth.recv(64) == b"two"


def test_a_client_that_never_stops_sending_does_not_starve_another(udp_house: House) -> None:
    with udp.target(lambda data: [data] if data == b"quiet" else []) as target:
        proxy_of(udp_house)
        quiet, loud = udp.client(udp_house), udp.client(udp_house)
        quiet.send(b"quiet")
        target.awake(udp_house.lease.accept())
        assert quiet.recv(64) == b"quiet"
        for _ in range(50):
            for _ in range(40):
                loud.send(bytes(1000))
            quiet.send(b"quiet")
            assert quiet.recv(64) == b"quiet"


def test_a_service_without_udp_never_loads_it(house: House) -> None:
    listing = house.folder / "modules"
    write = f"open({str(listing)!r}, 'w').write(' '.join(sys.modules))"
    house.listen()
    assert house.proxy(before=f"import atexit; atexit.register(lambda: {write})").wait() == 0
    assert not {"wakeport.proxy.udp.datagrams", "wakeport.proxy.udp.flow"} & set(listing.read_text().split())


def test_clients_that_speak_to_nobody_leave_no_descriptor_behind(udp_house: House) -> None:
    """Where all flows have ended in between, the supervisor is asked once more, and says the same."""
    with udp.target() as target, supervisor(udp_house.lease) as played:
        proxy = udp_house.proxy(targets=["target=80/udp", "flow_idle=0.2"])
        played.awake({"80/udp": [target.host, target.port]})
        first = udp.client(udp_house)
        first.send(b"first")
        assert first.recv(64) == b"first"
        few = proxy.descriptors()
        for _ in range(200):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as brief:
                brief.settimeout(20)
                brief.connect(udp_house.listeners[0].getsockname())
                brief.send(b"brief")
                assert brief.recv(64) == b"brief"
        first.send(b"still there")
        assert first.recv(64) == b"still there"
        eventually(lambda: proxy.descriptors() <= few)
