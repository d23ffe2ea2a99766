"""A whole wake as the proxy sees it: held, awake, relayed, and the door left to systemd again."""

from __future__ import annotations

import select
import socket

from tests.fd.conftest import House, everything


def test_a_client_is_held_until_awake_and_then_served(house: House) -> None:
    target = house.target()
    house.proxy()
    client = house.client(say=b"hello")
    lease = house.lease.accept()
    lease.tell("waking", waits_for="the container")
    assert not select.select([client], [], [], 0.2)[0]
    lease.awake(target.port)
    assert client.recv(5) == b"hello"
    client.shutdown(socket.SHUT_WR)
    assert everything(client) == b""


def test_the_proxy_leaves_when_nobody_needs_it(house: House) -> None:
    target = house.target()
    proxy = house.proxy()
    client = house.client(say=b"hello")
    lease = house.lease.accept()
    assert lease.hear_until(lambda message: bool(message.get("use")))["who"] == "proxy"
    lease.awake(target.port)
    client.shutdown(socket.SHUT_WR)
    assert everything(client) == b"hello"
    lease.hear_until(lambda message: message.get("busy") is False)
    lease.hear_end()
    assert proxy.wait() == 0
    house.client()
    assert select.select([house.listeners[0]], [], [], 5)[0], "the backlog still takes clients"


def test_started_by_hand_it_leaves_without_a_word_to_the_supervisor(house: House) -> None:
    assert house.proxy().wait() == 0
    assert house.lease.nobody_asks(0)
