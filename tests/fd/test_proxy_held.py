"""Clients who wait: in order, unread, let go when they leave, and never more than fit in."""

from __future__ import annotations

import select
import socket
import struct
import threading

from tests.fd.conftest import DIALS_ON, PATIENCE, House, echo, eventually, everything
from tests.fd.hostile import rests


def test_two_hundred_held_clients_are_served_in_order(house: House) -> None:

    def serve(sock: socket.socket) -> None:
        data = sock.recv(64)
        sock.sendall(data)

    target = house.target(serve)
    house.proxy()
    clients = [house.client(say=b"%03d" % number) for number in range(200)]
    lease = house.lease.accept()
    lease.hear_until(lambda message: len(message.get("use", ())) == 200)
    lease.awake(target.port)
    for number, client in enumerate(clients):
        assert everything(client) == b"%03d" % number
    assert target.served == 200


def test_the_first_to_come_is_the_first_to_be_connected(house: House) -> None:
    """More than are dialled at once; the target sees them in the order of their arrival."""
    seen: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    house.proxy()
    for number in range(150):
        house.client(say=b"%03d" % number)
    lease = house.lease.accept()
    lease.hear_until(lambda message: len(message.get("use", ())) == 150)
    lease.awake(listener.getsockname()[1])
    with listener:
        listener.settimeout(PATIENCE)
        for _ in range(150):
            sock, _address = listener.accept()
            with sock:
                sock.settimeout(PATIENCE)
                seen.append(sock.recv(3))
    assert seen == [b"%03d" % number for number in range(150)]


def test_a_crowd_at_one_of_two_listeners_is_let_in_as_fast_as_at_the_only_one(house: House) -> None:
    """Each connect looked through all who waited for one who wants the other: 1.2 s for 4,000, not 0.15."""
    doors = [house.listen(backlog=4096) for _ in range(2)]
    proxy = house.proxy()
    for _ in range(4000):
        house.client(doors[0])
    lease = house.lease.accept()
    eventually(lambda: proxy.descriptors() > 4000)
    before = proxy.processor_time()
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as target:
        target.settimeout(PATIENCE)
        lease.awake(target.getsockname()[1], 1)
        for _ in range(4000):
            target.accept()[0].close()
        assert proxy.processor_time() - before <= 60  # of 10 ms


def test_a_client_that_resets_while_held_is_let_go(house: House) -> None:
    target = house.target()
    proxy = house.proxy()
    stays = house.client(say=b"I stay")
    leaves = house.client(say=b"I do not")
    lease = house.lease.accept()
    lease.hear_until(lambda message: len(message.get("use", ())) == 2)
    descriptors = proxy.descriptors()
    leaves.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    leaves.close()
    lease.hear_until(lambda message: len(message.get("use", ())) == 1)
    eventually(lambda: proxy.descriptors() == descriptors - 1)
    lease.awake(target.port)
    assert stays.recv(6) == b"I stay"
    assert target.served == 1


def test_nobody_needs_the_container_when_the_last_held_client_has_left(house: House) -> None:
    proxy = house.proxy()
    client = house.client()
    lease = house.lease.accept()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    lease.hear_until(lambda message: message.get("busy") is False)
    assert proxy.wait() == 0


def test_a_held_client_that_has_ended_its_request_has_not_left(house: House) -> None:
    target = house.target()
    house.proxy()
    client = house.client(say=b"nc -N")
    client.shutdown(socket.SHUT_WR)
    lease = house.lease.accept()
    assert not select.select([client], [], [], 0.3)[0]
    lease.awake(target.port)
    assert everything(client) == b"nc -N"


def test_who_does_not_fit_in_waits_in_the_backlog(house: House) -> None:
    target = house.target()
    proxy = house.proxy(before="import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (162, 162))")
    clients = [house.client(say=b"%02d" % number) for number in range(40)]
    lease = house.lease.accept()
    lease.hear_until(lambda message: len(message.get("use", ())) == 13)
    lease.awake(target.port)
    for number, client in enumerate(clients):
        assert client.recv(2) == b"%02d" % number
        client.shutdown(socket.SHUT_WR)
        assert everything(client) == b""
    assert target.served == 40
    assert proxy.wait() == 0


def test_a_full_house_does_not_spin(house: House) -> None:
    proxy = house.proxy(before="import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (142, 142))")
    for _ in range(10):
        house.client()
    house.lease.accept().hear_until(lambda message: len(message.get("use", ())) == 3)
    eventually(lambda: rests(proxy, 0.5))


def test_a_target_that_comes_up_a_moment_after_awake_is_waited_for(house: House) -> None:
    late = house.refusing()
    house.proxy(before=DIALS_ON)
    client = house.client(say=b"early")
    house.lease.accept().awake(late.getsockname()[1])
    threading.Event().wait(0.2)
    late.listen()
    sock, _ = late.accept()
    with sock:
        sock.settimeout(PATIENCE)
        assert sock.recv(5) == b"early"
        sock.sendall(b"late")
        assert client.recv(4) == b"late"


def test_a_target_that_refuses_is_asked_about_once_and_then_given_up(house: House) -> None:
    port = house.refusing().getsockname()[1]
    house.proxy()
    client = house.client(say=b"GET / HTTP/1.1\r\n\r\n")
    first = house.lease.accept()
    first.awake(port)
    second = house.lease.accept()
    first.hear_end()
    second.awake(port)
    answer = everything(client)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"ECONNREFUSED" in answer


def test_a_container_that_moved_is_found_after_asking_anew(house: House) -> None:
    old = house.refusing().getsockname()[1]
    target = house.target(echo)
    house.proxy()
    client = house.client(say=b"where are you")
    house.lease.accept().awake(old)
    second = house.lease.accept()
    second.tell("waking")
    second.awake(target.port)
    assert client.recv(64) == b"where are you"


def test_sigterm_lets_a_running_exchange_finish(house: House) -> None:
    target = house.target()
    proxy = house.proxy()
    client = house.client(say=b"one")
    house.lease.accept().awake(target.port)
    assert client.recv(3) == b"one"
    proxy.terminate()
    client.sendall(b"two")
    assert client.recv(3) == b"two"
    client.shutdown(socket.SHUT_WR)
    assert everything(client) == b""
    assert proxy.wait() == 0


def test_what_sigterm_cuts_off_does_not_look_complete(house: House) -> None:
    target = house.target()
    proxy = house.proxy()
    client = house.client(say=b"one")
    house.lease.accept().awake(target.port)
    assert client.recv(3) == b"one"
    proxy.terminate()
    try:
        ended = client.recv(1)
    except ConnectionResetError:
        ended = b"reset"
    assert ended == b"reset"
    assert proxy.wait() == 0
