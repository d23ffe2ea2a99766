"""A restart: the successor goes on with every connection where its predecessor left it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import select
import socket
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fd.conftest import DIALS_ON, PATIENCE, House, eventually, everything
from tests.fd.manager import Manager
from wakeport.proxy.restart import box
from wakeport.proxy.restart.box import Record


@pytest.fixture
def manager(house: House) -> Iterator[Manager]:
    manager = Manager(house)
    yield manager
    manager.close()


def test_a_transfer_goes_on_to_the_byte(manager: Manager, house: House) -> None:
    proxy = manager.start()
    target = house.target()
    client = house.client(say=b"begin")
    holder = house.lease.accept()
    holder.awake(target.port)
    assert client.recv(5) == b"begin"
    sent, received = hashlib.blake2b(), hashlib.blake2b()

    def send() -> None:
        for number in range(256):
            piece = number.to_bytes(8, "big") + os.urandom(1 << 18)
            sent.update(piece)
            client.sendall(piece)
        client.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    size = 0
    restarts = iter([1 << 20, 8 << 20, 20 << 20, 40 << 20, 1 << 40])
    due = next(restarts)
    while data := client.recv(1 << 16):
        received.update(data)
        size += len(data)
        if size > due:
            proxy = manager.restart(proxy)
            due = next(restarts)
    sender.join()
    assert received.hexdigest() == sent.hexdigest()
    assert house.lease.nobody_asks(0)
    assert target.served == 1


def test_bytes_that_wait_for_a_slow_reader_are_delivered_in_order(manager: Manager, house: House) -> None:
    """Nobody reads while it restarts: what is under way lies in the proxy, and then in the box."""
    whole = b"".join(number.to_bytes(4, "big") for number in range(4 << 20))
    target = house.target(lambda sock: sock.sendall(whole))
    proxy = manager.start()
    client = house.client()
    house.lease.accept().awake(target.port)
    assert client.recv(4) == whole[:4]
    eventually(lambda: not grows(client))
    for _ in range(3):
        proxy = manager.restart(proxy)
    assert whole[:4] + everything(client) == whole


def grows(sock: socket.socket) -> bool:
    """Whether more comes to a receiver that reads nothing."""
    before = _waiting(sock)
    select.select([], [], [], 0.1)
    return _waiting(sock) > before


def _waiting(sock: socket.socket) -> int:
    return int.from_bytes(fcntl.ioctl(sock, termios.FIONREAD, b"\0" * 4), sys.byteorder)


def test_who_is_held_is_held_on_and_served_in_order(manager: Manager, house: House) -> None:
    order: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        order.append(sock.recv(10))
        sock.sendall(b"served")

    target = house.target(serve)
    proxy = manager.start()
    clients = [house.client(say=b"%d" % number) for number in range(5)]
    holder = house.lease.accept()
    holder.tell("waking")
    holder.hear_until(lambda said: len(said.get("use", ())) == 5)
    manager.restart(proxy)
    assert house.lease.nobody_asks(0.2)
    holder.awake(target.port)
    assert [everything(client) for client in clients] == [b"served"] * 5
    assert sorted(order) == [b"%d" % number for number in range(5)]


def test_who_is_being_connected_is_connected_by_the_successor(manager: Manager, house: House) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        proxy = manager.start(before=DIALS_ON)
        client = house.client(say=b"hello")
        house.lease.accept().awake(reserved.getsockname()[1])
        manager.restart(proxy)
        reserved.listen()
        reserved.settimeout(PATIENCE)
        served, _ = reserved.accept()
        with served:
            served.settimeout(PATIENCE)
            assert served.recv(5) == b"hello"
            served.sendall(b"welcome")
    assert client.recv(7) == b"welcome"


@pytest.mark.parametrize("first", ["client", "target"])
def test_an_end_that_one_side_gave_before_is_not_given_twice(
    manager: Manager, house: House, first: str
) -> None:
    go_on = threading.Event()

    def serve(sock: socket.socket) -> None:
        if first == "client":
            received = everything(sock)
            go_on.wait(PATIENCE)
            sock.sendall(received)
        else:
            sock.sendall(b"mine")
            sock.shutdown(socket.SHUT_WR)
            heard.append(everything(sock))

    heard: list[bytes] = []
    target = house.target(serve)
    proxy = manager.start()
    client = house.client(say=b"yours")
    house.lease.accept().awake(target.port)
    if first == "client":
        client.shutdown(socket.SHUT_WR)
        eventually(lambda: target.served == 1)
        proxy = manager.restart(proxy)
        go_on.set()
        assert everything(client) == b"yours"
    else:
        assert everything(client) == b"mine"
        proxy = manager.restart(proxy)
        client.sendall(b" and more")
        client.shutdown(socket.SHUT_WR)
        eventually(lambda: heard == [b"yours and more"])
    assert proxy.wait() == 0  # nobody is left


def test_a_message_on_the_lease_may_be_cut_by_the_restart(manager: Manager, house: House) -> None:
    target = house.target()
    proxy = manager.start()
    client = house.client(say=b"hello")
    holder = house.lease.accept()
    whole = b'{"state":"awake","targets":{"80/tcp":["127.0.0.1",%d]}}\n' % target.port
    holder.sock.sendall(whole[:20])
    holder.hear_until(lambda said: bool(said.get("use")))
    proxy = manager.restart(proxy)
    holder.sock.sendall(whole[20:])
    assert client.recv(5) == b"hello"
    manager.restart(proxy)
    # The successor knows that it is awake, though nobody has told it.
    assert house.client(say=b"me too").recv(6) == b"me too"
    assert house.lease.nobody_asks(0)


def test_who_is_being_turned_away_gets_the_answer(manager: Manager, house: House) -> None:
    proxy = manager.start("answer_within=20")
    silent = house.client()
    holder = house.lease.accept()
    holder.tell("failed", reason="it is broken", retry_after=30)
    holder.hear_end()
    proxy = manager.restart(proxy)
    silent.sendall(b"GET / HTTP/1.0\r\n\r\n")
    assert b"it is broken" in everything(silent)
    # Nor does the successor ask before its time.
    assert b" 503 " in everything(house.client(say=b"GET / HTTP/1.0\r\n\r\n"))
    assert house.lease.nobody_asks(0)
    assert proxy.wait() == 0


def test_each_listener_has_its_own_target_after_it_too(manager: Manager, house: House) -> None:
    listeners = [house.listen(), house.listen(), house.listen(str(house.folder / "front.sock"))]
    targets = [house.target(lambda sock, n=n: sock.sendall(b"%d" % n)) for n in range(3)]  # type: ignore[misc]
    proxy = manager.start()
    waiting = [house.client(listener) for listener in listeners]
    holder = house.lease.accept()
    holder.hear_until(lambda said: len(said.get("use", ())) == 3)
    manager.restart(proxy)
    holder.awake(*(target.port for target in targets))
    assert [everything(client) for client in waiting] == [b"0", b"1", b"2"]
    assert [everything(house.client(listener)) for listener in listeners] == [b"0", b"1", b"2"]


def test_a_client_of_a_listener_that_is_gone_is_not_led_elsewhere(manager: Manager, house: House) -> None:
    first, second = house.listen(), house.listen()
    target = house.target(lambda sock: sock.sendall(b"served"))
    proxy = manager.start()
    clients = [house.client(first), house.client(second, say=b"GET / HTTP/1.0\r\n\r\n")]
    holder = house.lease.accept()
    holder.hear_until(lambda said: len(said.get("use", ())) == 2)
    house.listeners.pop()
    manager.restart(proxy)
    holder.awake(target.port)
    assert everything(clients[0]) == b"served"
    assert b"no target 81/tcp any more" in everything(clients[1])
    second.close()


@pytest.mark.parametrize("why", ["not due", "not taken", "not asked for"])
def test_without_a_successor_it_drains(manager: Manager, house: House, why: str) -> None:
    target = house.target()
    manager.takes = why != "not taken"
    proxy = manager.start(due=why != "not due")
    client = house.client(say=b"before")
    house.lease.accept().awake(target.port)
    assert client.recv(6) == b"before"
    if why == "not taken":
        manager.stop(proxy)
    else:
        if why == "not asked for":
            manager.channel.close()
            Path(manager.path).unlink()
        proxy.terminate()
    client.sendall(b"after")
    assert client.recv(5) == b"after"
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    assert proxy.wait() == 0


def test_a_box_that_nobody_takes_costs_no_byte(manager: Manager, house: House) -> None:
    whole = b"".join(number.to_bytes(4, "big") for number in range(3 << 20))
    target = house.target(lambda sock: sock.sendall(whole))
    manager.takes = False
    proxy = manager.start()
    client = house.client()
    house.lease.accept().awake(target.port)
    eventually(lambda: not grows(client))
    manager.stop(proxy)
    assert everything(client) == whole
    assert proxy.wait() == 0


def test_of_a_box_that_is_dropped_every_peer_gets_a_reset(manager: Manager, house: House) -> None:
    target = house.target()
    proxy = manager.start()
    client = house.client(say=b"hello")
    house.lease.accept().awake(target.port)
    assert client.recv(5) == b"hello"
    manager.stop(proxy)
    proxy.wait()
    assert manager.stored is not None
    os.close(manager.stored)
    manager.stored = None
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_a_box_of_another_version_is_given_up_and_the_proxy_serves(manager: Manager, house: House) -> None:
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener = house.listen()
    lost = house.client(listener)
    with listener.accept()[0] as accepted:
        socket.send_fds(sender, [b"%d 1" % (box.VERSION + 1)], [os.memfd_create("unknown")])
        socket.send_fds(sender, [b"0"], [accepted.fileno()])
    sender.close()
    manager.stored = receiver.detach()
    proxy = manager.start()
    with pytest.raises(ConnectionResetError):
        lost.recv(1)
    target = house.target()
    client = house.client(say=b"hello")
    house.lease.accept().awake(target.port)
    assert client.recv(5) == b"hello"
    assert b"version 2" in proxy.said


def test_a_newer_version_s_box_is_taken_as_far_as_it_is_understood(manager: Manager, house: House) -> None:
    """A restart that fails is tried again with the older programs."""
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener = house.listen()
    clients = [house.client(listener, say=b"hello") for _ in range(2)]
    accepted = [listener.accept()[0] for _ in clients]
    known = {"address": ["192.0.2.1", 5], "listener": 0, "colour": "red"}
    facts = [{"kind": kind, "client": known, "target": "80/tcp", "size": 3} for kind in ("held", "hovering")]
    records = [Record(one, {"client": sock.fileno()}) for one, sock in zip(facts, accepted, strict=True)]
    box.pack(records, sender)
    for sock in (*accepted, sender):
        sock.close()
    manager.stored = receiver.detach()
    proxy = manager.start()
    target = house.target()
    holder = house.lease.accept()
    assert holder.hear_until(lambda said: bool(said.get("use")))["use"] == ["192.0.2.1:5"]
    holder.awake(target.port)
    assert clients[0].recv(5) == b"hello"
    with pytest.raises(ConnectionResetError):
        clients[1].recv(1)
    assert b"knows no hovering" in proxy.said


def test_nothing_of_it_is_left_open(manager: Manager, house: House) -> None:
    target = house.target()
    proxy = manager.start()
    client = house.client(say=b"hello")
    house.lease.accept().awake(target.port)
    assert client.recv(5) == b"hello"
    before = proxy.descriptors()
    for _ in range(3):
        proxy = manager.restart(proxy)
    eventually(lambda: proxy.descriptors() == before)


def test_a_waiting_page_ends_whole_and_the_successor_shows_the_next(manager: Manager, house: House) -> None:
    """The browser asks again; what is held beside it goes on as it is."""
    browser = b"GET / HTTP/1.1\r\nUser-Agent: Mozilla/5.0\r\nAccept: text/html\r\n\r\n"
    target = house.target()
    proxy = manager.start("page=0")
    shown, held = house.client(say=browser), house.client(say=b"held")
    lease = house.lease.accept()
    lease.tell("waking", waits_for="one")
    assert shown.recv(1, socket.MSG_PEEK)
    manager.restart(proxy, "page=0")
    page = everything(shown)
    assert b"<li>Starting over</li>" in page
    assert page.endswith(b"</html>\n\r\n0\r\n\r\n")
    again = house.client(say=browser)
    assert again.recv(64).startswith(b"HTTP/1.1 503 ")
    lease.awake(target.port)
    assert held.recv(4) == b"held"
    assert b'http-equiv="refresh" content="0"' in everything(again)
