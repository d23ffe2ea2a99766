"""The proxy's half of the lease: whom it asks, when it asks again, and what it never does."""

from __future__ import annotations

import socket

from tests.fd.conftest import (
    DIALS_ON,
    PATIENCE,
    Holder,
    House,
    LeaseSocket,
    Target,
    eventually,
    everything,
)


def test_the_lease_says_who_and_what_for(house: House) -> None:
    house.proxy()
    client = house.client()
    lease = house.lease.accept()
    host, port = client.getsockname()
    assert lease.hear() == {"who": "proxy", "use": [f"{host}:{port}"], "last": [None]}


def released(house: House, target: Target) -> Holder:
    """The lease of a proxy that has served one client, and lingers."""
    house.proxy()
    client = house.client(say=b"first")
    lease = house.lease.accept()
    lease.awake(target.port)
    client.shutdown(socket.SHUT_WR)
    assert everything(client) == b"first"
    lease.hear_until(lambda message: message.get("busy") is False)
    return lease


def test_a_lease_that_is_held_again_says_for_whom_at_once(house: House) -> None:
    """Not at the next report, up to a second later, when it may be over whom it woke the container for."""
    lease = released(house, house.target())
    second = house.client()
    host, port = second.getsockname()
    message = lease.hear_until(lambda message: message.get("busy") is True)
    assert message == {"busy": True, "who": "proxy", "use": [f"{host}:{port}"], "last": [None]}


def test_one_lease_for_all_clients_of_its_life(house: House) -> None:
    target = house.target()
    lease = released(house, target)
    second = house.client(say=b"second")
    lease.hear_until(lambda message: message.get("busy") is True)
    lease.awake(target.port)
    assert second.recv(6) == b"second"
    assert house.lease.nobody_asks(0)


def test_a_lease_that_was_released_is_worth_nothing_until_it_is_confirmed(house: House) -> None:
    """The supervisor may have decided to sleep in between; the target was used on its old word."""
    target = house.target()
    lease = released(house, target)
    second = house.client(say=b"second")
    lease.hear_until(lambda message: message.get("busy") is True)
    lease.tell("stopping")
    successor = house.lease.accept()
    assert target.served == 1
    successor.awake(target.port)
    assert second.recv(6) == b"second"


def test_a_crashed_supervisor_s_successor_learns_that_the_container_is_in_use(house: House) -> None:
    target = house.target()
    house.proxy()
    client = house.client(say=b"before")
    lease = house.lease.accept()
    lease.awake(target.port)
    assert client.recv(6) == b"before"
    lease.close()
    successor = house.lease.accept()
    assert len(successor.hear_until(lambda message: "use" in message)["use"]) == 1
    client.sendall(b"during")
    assert client.recv(6) == b"during"
    late = house.client(say=b"held")
    successor.tell("waking")
    successor.awake(target.port)
    assert late.recv(4) == b"held"


def test_after_a_crash_new_clients_are_held_until_somebody_says_awake(house: House) -> None:
    target = house.target()
    house.proxy()
    client = house.client(say=b"a")
    lease = house.lease.accept()
    lease.awake(target.port)
    assert client.recv(1) == b"a"
    lease.close()
    successor = house.lease.accept()
    late = house.client(say=b"b")
    successor.hear_until(lambda message: len(message.get("use", ())) == 2)
    assert target.served == 1
    successor.awake(target.port)
    assert late.recv(1) == b"b"


def test_stopping_means_ask_again_when_the_next_client_comes(house: House) -> None:
    target = house.target()
    house.proxy()
    live = house.client(say=b"live")
    lease = house.lease.accept()
    lease.awake(target.port)
    assert live.recv(4) == b"live"
    lease.tell("stopping")
    lease.close()
    assert house.lease.nobody_asks(0.2), "live clients alone do not wake it again"
    new = house.client(say=b"new")
    successor = house.lease.accept()
    assert target.served == 1
    successor.awake(target.port)
    assert new.recv(3) == b"new"
    live.sendall(b"still")
    assert live.recv(5) == b"still"


def test_who_waits_when_the_supervisor_stops_waits_for_the_next_one(house: House) -> None:
    """However long the stop takes: the time for an answer begins when the predecessor has hung up."""
    target = house.target()
    house.proxy("answer_within=1.5")
    client = house.client(say=b"patient")
    lease = house.lease.accept()
    lease.tell("stopping")
    successor = house.lease.accept()
    client.settimeout(2)
    try:
        raise AssertionError(client.recv(1))
    except TimeoutError:
        client.settimeout(PATIENCE)
    lease.close()
    successor.awake(target.port)
    assert client.recv(7) == b"patient"


def test_a_supervisor_that_always_crashes_is_given_up(house: House) -> None:
    house.proxy("answer_within=1")
    client = house.client(say=b"GET / HTTP/1.0\r\n\r\n")
    client.settimeout(0.02)
    answer = b""
    while not answer:
        if not house.lease.nobody_asks(0):
            house.lease.accept().close()
        try:
            answer = client.recv(4096)
        except TimeoutError:
            continue
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"no supervisor answered" in answer


def test_a_restarted_container_is_used_at_its_new_address(house: House) -> None:
    old = house.target(lambda sock: sock.sendall(b"old"))
    new = house.target(lambda sock: sock.sendall(b"new"))
    house.proxy()
    first = house.client()
    lease = house.lease.accept()
    lease.awake(old.port)
    assert first.recv(3) == b"old"
    lease.tell("waking")
    lease.awake(new.port)
    eventually(lambda: house.client().recv(3) == b"new")


def test_who_is_being_connected_when_the_container_goes_waits_again(house: House) -> None:
    """And is connected to the new address without the supervisor being asked anew."""
    old = house.refusing().getsockname()[1]
    target = house.target()
    house.proxy(before=DIALS_ON)
    client = house.client(say=b"hello")
    lease = house.lease.accept()
    lease.awake(old)
    lease.tell("waking")
    lease.awake(target.port)
    assert client.recv(5) == b"hello"
    assert house.lease.nobody_asks(0)


def test_a_lease_socket_that_appears_late_is_found(house: House) -> None:
    target = house.target()
    house.lease.listener.close()
    (house.folder / "web.lease").unlink()
    house.proxy()
    client = house.client(say=b"hello")
    house.lease = LeaseSocket(str(house.folder / "web.lease"))
    house.lease.accept().awake(target.port)
    assert client.recv(5) == b"hello"


def test_a_live_relay_has_a_lease_again_when_a_failure_is_over(house: House) -> None:
    """Docker's API is away for a moment; with live-restore the container runs on, and is in use."""
    target = house.target()
    house.proxy()
    client = house.client(say=b"x")
    lease = house.lease.accept()
    lease.awake(target.port)
    assert client.recv(1) == b"x"
    lease.tell("failed", reason="docker is away", retry_after=0.2)
    house.lease.accept().awake(target.port)
    client.sendall(b"still here")
    assert client.recv(10) == b"still here"


def test_a_supervisor_that_stops_and_then_wakes_is_left_no_second_lease(house: House) -> None:
    """It had seen through the stop of one that was killed. The first lease stayed busy for ever."""
    target = house.target()
    house.proxy("doze=yes")
    client = house.client(say=b"hello")
    first = house.lease.accept()
    first.tell("stopping")
    second = house.lease.accept()
    first.tell("waking")
    first.hear_end()
    second.awake(target.port)
    assert client.recv(5) == b"hello"
