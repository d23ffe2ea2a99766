"""Bytes in both directions, and the ends of both: what a relay in front of a service must not spoil."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import struct
import threading

import pytest

from tests.fd.conftest import DIALS_ON, PATIENCE, House, echo, eventually, everything
from tests.fd.hostile import rests

BULK = 64 * 1024 * 1024
RESET = struct.pack("ii", 1, 0)


def relayed(house: House, client: socket.socket, port: int, host: str = "127.0.0.1") -> socket.socket:
    """The client, with the supervisor's `awake` given."""
    house.lease.accept().awake(port, host=host)
    return client


def test_the_answer_comes_after_the_client_has_ended_its_request(house: House) -> None:
    def serve(sock: socket.socket) -> None:
        request = everything(sock)
        sock.sendall(b"you said " + request)

    target = house.target(serve)
    house.proxy()
    client = relayed(house, house.client(say=b"all of it"), target.port)
    client.shutdown(socket.SHUT_WR)
    assert everything(client) == b"you said all of it"


def test_a_client_goes_on_talking_after_the_server_has_ended(house: House) -> None:
    heard: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        sock.sendall(b"goodbye")
        sock.shutdown(socket.SHUT_WR)
        heard.append(everything(sock))

    target = house.target(serve)
    house.proxy()
    client = relayed(house, house.client(), target.port)
    assert everything(client) == b"goodbye"
    client.sendall(b"one more thing")
    client.shutdown(socket.SHUT_WR)
    target.threads[0].join(PATIENCE)
    assert heard == [b"one more thing"]


def test_the_server_may_speak_first(house: House) -> None:
    def serve(sock: socket.socket) -> None:
        sock.sendall(b"220 ready\r\n")
        echo(sock)

    target = house.target(serve)
    house.proxy()
    client = relayed(house, house.client(), target.port)
    assert client.recv(64) == b"220 ready\r\n"
    client.sendall(b"QUIT")
    assert client.recv(64) == b"QUIT"


def test_a_reset_by_the_client_reaches_the_server_as_a_reset(house: House) -> None:
    seen: list[type[Exception]] = []

    def serve(sock: socket.socket) -> None:
        sock.sendall(b"go")
        try:
            everything(sock)
        except OSError as error:
            seen.append(type(error))

    target = house.target(serve)
    house.proxy()
    client = relayed(house, house.client(), target.port)
    assert client.recv(2) == b"go"
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()
    target.threads[0].join(PATIENCE)
    assert seen == [ConnectionResetError]


def test_a_reset_by_the_server_reaches_the_client_after_what_was_said(house: House) -> None:
    def serve(sock: socket.socket) -> None:
        sock.sendall(b"half an ans")
        sock.recv(1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    target = house.target(serve)
    house.proxy()
    client = relayed(house, house.client(), target.port)
    assert client.recv(64) == b"half an ans"
    client.sendall(b"x")
    with pytest.raises(ConnectionResetError):
        everything(client)


def test_what_was_said_before_a_reset_reaches_a_client_that_has_just_ended_its_side(house: House) -> None:
    """Both come in one turn of the loop, and the client's end first: the answer was lost."""
    asked, answer = threading.Event(), threading.Event()

    def serve(sock: socket.socket) -> None:
        assert sock.recv(2) == b"go"
        asked.set()
        assert answer.wait(PATIENCE)
        sock.sendall(b"half an ans")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    target = house.target(serve)
    proxy = house.proxy()
    client = relayed(house, house.client(say=b"go"), target.port)
    assert asked.wait(PATIENCE)
    os.kill(proxy.pid, signal.SIGSTOP)
    try:
        client.shutdown(socket.SHUT_WR)
        answer.set()
        target.threads[0].join(PATIENCE)
    finally:
        os.kill(proxy.pid, signal.SIGCONT)
    assert client.recv(64) == b"half an ans"


@pytest.mark.parametrize("slow_reader", [False, True])
def test_bulk_both_ways_at_once_arrives_whole(house: House, slow_reader: bool) -> None:
    block = bytes(range(256)) * 256
    sums: dict[str, str] = {}
    may_read = threading.Event()

    def send(sock: socket.socket) -> None:
        for _ in range(BULK // len(block)):
            sock.sendall(block)
        sock.shutdown(socket.SHUT_WR)

    def receive(sock: socket.socket, name: str) -> None:
        if slow_reader:
            may_read.wait(PATIENCE)
        digest, size = hashlib.sha256(), 0
        while data := sock.recv(1 << 20):
            digest.update(data)
            size += len(data)
        sums[name] = f"{size} {digest.hexdigest()}"

    def serve(sock: socket.socket) -> None:
        sender = threading.Thread(target=send, args=(sock,))
        sender.start()
        receive(sock, "server")
        sender.join()

    target = house.target(serve)
    proxy = house.proxy()
    client = relayed(house, house.client(), target.port)
    sender = threading.Thread(target=send, args=(client,))
    sender.start()
    if slow_reader:
        # Nobody reads: the proxy may hold one chunk each way, whatever is thrown at it.
        sender.join(0.5)
        assert sender.is_alive()
        assert proxy.memory() < 16_000
        may_read.set()
    receive(client, "client")
    sender.join()
    target.threads[0].join(PATIENCE)
    expected = f"{BULK} {hashlib.sha256(block * (BULK // len(block))).hexdigest()}"
    assert sums == {"client": expected, "server": expected}


def fill(sock: socket.socket) -> None:
    """Send until neither the proxy nor anybody behind it takes any more."""
    sock.settimeout(0.3)
    try:
        while True:
            sock.sendall(b"x" * 65536)
    except TimeoutError:
        return


@pytest.mark.parametrize("door", ["127.0.0.1", "unix"])
def test_a_waiting_relay_costs_no_processor_time(house: House, door: str) -> None:
    """Half-closed, blocked, broken: each of these would spin on a level-triggered epoll if mishandled."""
    stop = threading.Event()

    def serve(_sock: socket.socket) -> None:
        stop.wait(PATIENCE)

    target = house.target(serve)
    house.listen(str(house.folder / "door") if door == "unix" else door)
    proxy = house.proxy()
    half_closed = relayed(house, house.client(), target.port)
    half_closed.shutdown(socket.SHUT_WR)
    blocked = house.client()
    fill(blocked)
    gone = house.client()
    fill(gone)
    gone.close()
    eventually(lambda: rests(proxy, 0.7))
    stop.set()


def test_a_unix_client_that_wrote_and_closed_is_still_heard(house: House) -> None:
    heard: list[bytes] = []
    target = house.target(lambda sock: heard.append(everything(sock)))
    house.listen(str(house.folder / "door"))
    house.proxy()
    client = house.client(say=b"fire and forget" * 10_000)
    client.close()
    relayed(house, client, target.port)
    eventually(lambda: bool(heard))
    assert heard == [b"fire and forget" * 10_000]


def test_ipv6_in_front_and_behind(house: House) -> None:
    target = house.target(echo, "::1")
    house.listen("::1")
    house.proxy()
    client = relayed(house, house.client(say=b"six"), target.port, "::1")
    assert client.recv(3) == b"six"


def test_each_listener_has_its_own_target(house: House) -> None:
    first = house.target(lambda sock: sock.sendall(b"first"))
    second = house.target(lambda sock: sock.sendall(b"second"))
    house.listen()
    house.listen(str(house.folder / "door"))
    house.proxy()
    clients = [house.client(house.listeners[1]), house.client(house.listeners[0])]
    house.lease.accept().awake(first.port, second.port)
    assert [everything(client) for client in clients] == [b"second", b"first"]


def test_a_dead_port_of_a_service_holds_up_none_of_the_others(house: House) -> None:
    """Each target has places of its own at the dialer; a refused client keeps one for a second."""
    listeners = [house.listen(), house.listen()]
    target = house.target()
    dead = house.refusing().getsockname()[1]
    house.proxy(before=DIALS_ON)
    unlucky = [house.client(listeners[0]) for _ in range(100)]
    lucky = house.client(listeners[1], say=b"first")
    lease = house.lease.accept()
    lease.awake(dead, target.port)
    assert lucky.recv(5) == b"first"
    later = house.client(listeners[1], say=b"second")
    assert later.recv(6) == b"second"
    # Nobody has given up on the dead port yet: the supervisor was not asked anew.
    assert house.lease.nobody_asks(0)
    for client in unlucky:
        client.close()
