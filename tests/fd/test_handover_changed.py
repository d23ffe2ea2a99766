"""A restart with other words: the successor's listeners are not those of its predecessor."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fd.conftest import House, everything
from tests.fd.manager import Manager
from tests.fd.test_page import BROWSER


@pytest.fixture
def manager(house: House) -> Iterator[Manager]:
    manager = Manager(house)
    yield manager
    manager.close()


def test_a_browser_of_a_listener_that_is_gone_is_told_so(manager: Manager, house: House) -> None:
    """The page for it was looked up by the number of its listener, and the proxy ended with everyone."""
    first, second = house.listen(), house.listen()
    target = house.target(lambda sock: sock.sendall(b"served"))
    proxy = manager.start(targets=["target=80/tcp", "page=20", "target=81/tcp", "page=20"])
    clients = [house.client(first), house.client(second, say=BROWSER)]
    holder = house.lease.accept()
    holder.hear_until(lambda said: len(said.get("use", ())) == 2)
    house.listeners.pop()
    manager.restart(proxy, "page=20")
    holder.awake(target.port)
    assert everything(clients[0]) == b"served"
    assert b"no target 81/tcp any more" in everything(clients[1])
    second.close()


def test_a_relay_of_a_listener_that_is_gone_goes_on_through_the_next_restart_too(
    manager: Manager, house: House
) -> None:
    """What its target was called was looked up for the box, and the proxy ended with everyone."""
    first, second = house.listen(), house.listen()
    target = house.target()
    proxy = manager.start()
    clients = [house.client(first, say=b"1"), house.client(second, say=b"2")]
    house.lease.accept().awake(target.port, target.port)
    assert [client.recv(1) for client in clients] == [b"1", b"2"]
    house.listeners.pop()
    manager.restart(manager.restart(proxy))
    clients[1].sendall(b"still")
    assert clients[1].recv(5) == b"still"
    second.close()


def test_who_wants_a_target_that_the_predecessor_did_not_know_is_held_until_it_is_told(
    manager: Manager, house: House
) -> None:
    """`to` was changed while the container was awake: it was refused, for there was no such port before."""
    house.listen()
    before, after = house.target(), house.target(lambda sock: sock.sendall(b"served " + sock.recv(100)))
    proxy = manager.start()
    stays = house.client(say=b"1")
    house.lease.accept().awake(before.port)
    assert stays.recv(1) == b"1"
    manager.stop(proxy)
    assert proxy.wait() == 0
    comes = house.client(say=b"GET / HTTP/1.0\r\n\r\n")
    manager.start(targets=["target=81/tcp"])
    house.lease.accept().tell("awake", targets={"81/tcp": ["127.0.0.1", after.port]})
    assert everything(comes).startswith(b"served GET ")
    stays.sendall(b"2")
    assert stays.recv(1) == b"2"
