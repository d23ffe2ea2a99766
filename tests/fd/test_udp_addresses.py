"""An answer comes from the address that was asked, on a host that has several."""

from __future__ import annotations

import socket
import subprocess

import pytest

from tests.fd import udp
from tests.fd.conftest import House

# One end of a cable in our network is the host, the other a client that has a network of its own.
CABLE = (
    "ip link add host0 type veth peer name client0",
    "ip link set host0 up",
    "ip link set client0 up",
)


def converse(house: House, *asked: str) -> None:
    """A client for each address; each is connected to it, so it hears what comes from there alone."""
    house.proxy(targets=["target=80/udp"])
    with udp.target() as target:
        clients = [udp.client(house, host) for host in asked]
        for host, client in zip(asked, clients, strict=True):
            client.send(b"early " + host.encode())
        target.awake(house.lease.accept())
        for host, client in zip(asked, clients, strict=True):
            assert client.recv(100) == b"early " + host.encode()
            client.send(b"late " + host.encode())
        for host, client in zip(asked, clients, strict=True):
            assert client.recv(100) == b"late " + host.encode()
        assert len({flow for _, flow in target.heard}) == len(asked)


@pytest.mark.parametrize("listener", ["0.0.0.0", "::"])
def test_over_ipv4(house: House, listener: str) -> None:
    udp.listen(house, listener)
    converse(house, "127.0.0.1", "127.0.0.2", "127.0.0.3")


def test_over_both_on_one_listener(house: House) -> None:
    more = ("ip addr add 2001:db8::1/128 dev lo", "ip addr add 192.0.2.1/32 dev lo")
    with udp.network_of_our_own(*more, ipv6_addresses=2):
        udp.listen(house, "::")
        converse(house, "::1", "2001:db8::1", "127.0.0.2", "192.0.2.1", "127.0.0.1")


def test_one_client_that_asks_two_addresses_has_two_flows(house: House) -> None:
    udp.listen(house, "0.0.0.0")
    house.proxy(targets=["target=80/udp"])
    port = house.listeners[0].getsockname()[1]
    with udp.target() as target, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(20)
        for number in range(3):
            for host in ("127.0.0.2", "127.0.0.3"):
                client.sendto(b"%d" % number, (host, port))
                if not house.lease.holders:
                    target.awake(house.lease.accept())
                assert client.recvfrom(100) == (b"%d" % number, (host, port))
        assert len({flow for _, flow in target.heard}) == 2


def test_link_local_over_the_right_cable(house: House) -> None:
    with udp.network_of_our_own(*CABLE, ipv6_addresses=3):
        shown = subprocess.run(
            ["ip", "-6", "-brief", "address", "show", "dev", "host0", "scope", "link"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        address = shown.split()[2].partition("/")[0]
        udp.listen(house, "::")
        converse(house, f"{address}%host0", f"{address}%client0")


def test_a_broadcast_is_answered_from_an_address_of_ours(house: House) -> None:
    with udp.network_of_our_own(
        *CABLE,
        "ip addr add 192.0.2.1/24 brd 192.0.2.255 dev host0",
        "ip addr add 192.0.2.7/24 dev client0",
    ):
        udp.listen(house, "::")
        house.proxy(targets=["target=80/udp"])
        port = house.listeners[0].getsockname()[1]
        with udp.target() as target, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(20)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            client.sendto(b"anybody?", ("192.0.2.255", port))
            target.awake(house.lease.accept())
            data, (host, _) = client.recvfrom(100)
            assert (data, host) == (b"anybody?", "192.0.2.1")
