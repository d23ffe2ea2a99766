"""How many clients are held, and for how long, where the service says so."""

from __future__ import annotations

import socket
import struct
import threading

from tests.fd.conftest import House, eventually, everything
from tests.fd.hostile import rests

RESET = struct.pack("ii", 1, 0)


def test_whoever_has_no_place_in_the_waiting_room_stays_in_the_backlog(house: House) -> None:
    target = house.target()
    proxy = house.proxy("hold_max=3")
    clients = [house.client(say=b"%d" % number) for number in range(8)]
    lease = house.lease.accept()
    lease.hear_until(lambda message: len(message.get("use", ())) == 3)
    eventually(lambda: rests(proxy, 0.3))  # a full room does not spin
    lease.awake(target.port)
    for number, client in enumerate(clients):
        assert client.recv(1) == b"%d" % number
        client.shutdown(socket.SHUT_WR)
        assert everything(client) == b""


def test_a_place_in_the_waiting_room_is_free_when_its_client_leaves(house: House) -> None:
    house.proxy("hold_max=1")
    first = house.client()
    lease = house.lease.accept()
    lease.hear_until(lambda message: len(message.get("use", ())) == 1)
    second = house.client()
    first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)  # a FIN alone may be half a conversation
    first.close()
    target = house.target()
    name = "{}:{}".format(*second.getsockname())
    lease.hear_until(lambda message: message.get("use") == [name])
    lease.awake(target.port)
    second.sendall(b"mine now")
    assert second.recv(8) == b"mine now"


def test_a_full_waiting_room_is_no_limit_for_those_who_are_relayed(house: House) -> None:
    target = house.target()
    house.proxy("hold_max=1")
    clients = [house.client()]
    house.lease.accept().awake(target.port)
    clients += [house.client() for _ in range(5)]
    for client in clients:
        client.sendall(b"at once")
    for client in clients:
        assert client.recv(7) == b"at once"


def test_after_a_failure_those_in_the_backlog_are_answered_too(house: House) -> None:
    house.proxy("hold_max=2")
    clients = [house.client(say=b"GET / HTTP/1.1\r\n\r\n") for _ in range(5)]
    lease = house.lease.accept()
    lease.hear_until(lambda message: len(message.get("use", ())) == 2)
    lease.tell("failed", reason="no luck", retry_after=30)
    for client in clients:
        assert everything(client).startswith(b"HTTP/1.1 503 ")


def test_who_is_held_too_long_is_told_and_the_wake_goes_on(house: House) -> None:
    target = house.target()
    house.proxy("hold_for=1.5")
    early = house.client(say=b"GET / HTTP/1.1\r\n\r\n")
    lease = house.lease.accept()
    answer = everything(early)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"not awake within 1.5 s" in answer
    late = house.client(say=b"in time")
    lease.awake(target.port)
    assert late.recv(7) == b"in time"
    # Held once, relayed since: the deadline of holding means nothing to it any more.
    threading.Event().wait(1.7)
    late.sendall(b"still")
    assert late.recv(5) == b"still"


def test_a_client_without_words_is_reset_when_it_was_held_too_long(house: House) -> None:
    house.proxy("hold_for=0.1")
    client = house.client()
    house.lease.accept()

    def is_reset() -> bool:
        try:
            return client.recv(1) == b"never"
        except ConnectionResetError:
            return True

    eventually(is_reset)
