"""A restart finds clients in every place: at the entrance, before a page, and those who send datagrams."""

from __future__ import annotations

import itertools
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fd import udp
from tests.fd.conftest import House, everything
from tests.fd.manager import Manager
from tests.fd.test_page import BROWSER, read_until


@pytest.fixture
def manager(house: House) -> Iterator[Manager]:
    manager = Manager(house)
    yield manager
    manager.close()


def test_a_flow_keeps_its_socket_to_the_target(manager: Manager, house: House) -> None:
    udp.listen(house)
    proxy = manager.start()
    with udp.target() as target:
        clients = [udp.client(house) for _ in range(20)]
        for client in clients:
            client.send(b"before")
        target.awake(house.lease.accept())
        for client in clients:
            assert client.recv(100) == b"before"
        flows = {flow for _, flow in target.heard}
        proxy = manager.restart(proxy)
        for number, client in enumerate(clients):
            client.send(b"%d" % number)
        for number, client in enumerate(clients):
            assert client.recv(100) == b"%d" % number
        assert {flow for _, flow in target.heard} == flows
        assert len(flows) == 20


def test_a_flow_is_answered_from_the_port_that_it_asked_also_where_two_lead_to_one_target(
    manager: Manager, house: House
) -> None:
    """All flows to a target went to its first listener: the others' clients heard nothing any more."""
    for _ in range(2):
        udp.listen(house)
    proxy = manager.start(targets=["target=80/udp"] * 2)
    with udp.target() as target:
        clients = [udp.client(house, listener=listener) for listener in house.listeners]
        for number, client in enumerate(clients):
            client.send(b"%d" % number)
        target.awake(house.lease.accept())
        for number, client in enumerate(clients):
            assert client.recv(100) == b"%d" % number
        manager.stop(proxy)
        assert proxy.wait() == 0
        manager.start(targets=["target=80/udp"] * 2)
        for asked, flow in target.heard:
            target.sock.sendto(b"later " + asked, ("127.0.0.1", flow))
        for number, client in enumerate(clients):
            assert client.recv(100) == b"later %d" % number


def test_datagrams_that_were_kept_are_sent_in_order(manager: Manager, house: House) -> None:
    udp.listen(house)
    proxy = manager.start()
    with udp.target() as target:
        client = udp.client(house)
        for number in range(10):
            client.send(b"%d" % number)
        holder = house.lease.accept()
        holder.tell("waking")
        udp.taken(house)
        proxy = manager.restart(proxy)
        client.send(b"10")
        udp.taken(house)
        target.awake(holder)
        assert [int(client.recv(100)) for _ in range(11)] == list(range(11))
        # And its successor knows where the target is, though nobody has told it.
        manager.restart(proxy)
        other = udp.client(house)
        other.send(b"new")
        assert other.recv(100) == b"new"
    assert house.lease.nobody_asks(0)


def test_where_there_is_no_descriptor_left_everything_is_handed_over_all_the_same(
    manager: Manager, house: House
) -> None:
    """Loading what hands over failed, and that ended the proxy with everyone."""
    proxy = manager.start()
    target = house.target()
    client = house.client(say=b"before")
    house.lease.accept().awake(target.port)
    assert client.recv(64) == b"before"
    used = {int(fd.name) for fd in Path(f"/proc/{proxy.pid}/fd").iterdir()}
    lowest_free = next(number for number in itertools.count() if number not in used)
    resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (lowest_free, lowest_free))
    manager.restart(proxy)
    client.sendall(b"after")
    assert client.recv(64) == b"after"


def test_who_has_yet_to_show_that_it_may_wake_may_do_so_later(manager: Manager, house: House) -> None:
    proxy = manager.start("wake_on=data")
    client = house.client()
    assert house.lease.nobody_asks(0.2)
    proxy = manager.restart(proxy, "wake_on=data")
    assert house.lease.nobody_asks(0.2)
    client.sendall(b"now")
    target = house.target()
    house.lease.accept().awake(target.port)
    assert client.recv(3) == b"now"


def test_half_a_header_is_read_to_its_end(manager: Manager, house: House) -> None:
    words = ["accept_proxy=127.0.0.1", "send_proxy=v1"]
    heard: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        heard.append(sock.makefile("rb").readline())
        sock.sendall(b"welcome")

    target = house.target(serve)
    proxy = manager.start(*words)
    client = house.client(say=b"PROXY TCP4 192.0.2.1 198")
    assert house.lease.nobody_asks(0.2)
    proxy = manager.restart(proxy, *words)
    client.sendall(b".51.100.1 1234 80\r\nhello")
    holder = house.lease.accept()
    holder.hear_until(lambda said: said.get("use") == ["192.0.2.1:1234"])
    # It is held now, and its header gone: the next one has to know what it said.
    manager.restart(proxy, *words)
    holder.awake(target.port)
    assert everything(client) == b"welcome"
    assert heard == [b"PROXY TCP4 192.0.2.1 198.51.100.1 1234 80\r\n"]


def test_nobody_is_asked_for_a_second_header(manager: Manager, house: House) -> None:
    words = ["accept_proxy=127.0.0.1", "wake_on=data"]
    target = house.target()
    proxy = manager.start(*words)
    client = house.client(say=b"PROXY TCP4 192.0.2.1 198.51.100.1 1234 80\r\n")
    time.sleep(0.3)  # that it has been read off has no event of its own
    manager.restart(proxy, *words)
    client.sendall(b"hello")
    holder = house.lease.accept()
    holder.hear_until(lambda said: said.get("use") == ["192.0.2.1:1234"])
    holder.awake(target.port)
    assert client.recv(5) == b"hello"


def test_a_page_ends_as_a_whole_one_and_the_browser_asks_the_successor(
    manager: Manager, house: House
) -> None:
    proxy = manager.start("page=0")
    browser = house.client(say=BROWSER)
    holder = house.lease.accept()
    holder.tell("waking", waits_for="the container to answer")
    read_until(browser, b"the container to answer")
    manager.restart(proxy, "page=0")
    assert everything(browser).endswith(b"0\r\n\r\n")
    browser.close()
    again = house.client(say=BROWSER)
    assert read_until(again, b"<html").startswith(b"HTTP/1.1 503 ")
    assert house.lease.nobody_asks(0)
    holder.awake(house.target().port)
    assert everything(again).endswith(b"0\r\n\r\n")
