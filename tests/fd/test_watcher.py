"""The watcher: the program accepts from the same sockets, and the watcher knows of each client."""

from __future__ import annotations

import fcntl
import os
import select
import socket
from typing import Any

import pytest

from tests.fd.conftest import Holder, House, Program, eventually, everything

REQUEST = b"GET / HTTP/1.1\r\n\r\n"

# In a second, and not half a minute behind the twenty that the house grants a wake.
HASTY = "import wakeport.proxy.patience as patience; patience.GRACE = -19.0;"


def watcher(house: House, *words: str, before: str = "") -> Program:
    return house.proxy(*words, entry="wakeport.proxy.watch.watcher", before=before)


def is_busy(message: dict[str, Any]) -> bool:
    return message.get("busy") is True or bool(message.get("use"))


def is_free(message: dict[str, Any]) -> bool:
    return message.get("busy") is False


def awake(house: House) -> tuple[Program, Holder]:
    """The program is awake, its first client is gone, and the watcher has said so."""
    listener = house.listen()
    client = house.client()
    program = watcher(house)
    lease = house.lease.accept()
    said = lease.hear()
    name = f"127.0.0.1:{client.getsockname()[1]}"
    assert said == {"who": "watcher", "use": [name], "last": [None]}
    lease.tell("waking")
    accepted, _ = listener.accept()
    lease.awake(80)
    client.close()
    accepted.close()
    lease.hear_until(is_free)
    return program, lease


def test_it_hears_of_a_client_that_the_program_takes_at_once(house: House) -> None:
    _, lease = awake(house)
    for _ in range(5):
        client = house.client()
        accepted, _ = house.listeners[0].accept()
        client.close()
        accepted.close()
        lease.hear_until(is_busy)
        lease.hear_until(is_free)


def test_it_names_who_is_connected(house: House) -> None:
    _, lease = awake(house)
    client = house.client()
    name = f"127.0.0.1:{client.getsockname()[1]}"
    with house.listeners[0].accept()[0]:
        lease.hear_until(lambda said: said.get("use") == [name])
        second = house.client()
        both = {name, f"127.0.0.1:{second.getsockname()[1]}"}
        lease.hear_until(lambda said: set(said.get("use", [])) == both)
        second.close()
        client.close()
    house.listeners[0].accept()[0].close()
    lease.hear_until(is_free)


def test_told_that_it_dozes_it_answers_in_any_case(house: House) -> None:
    _, lease = awake(house)
    for _ in range(3):
        lease.tell("dozing")
        assert lease.hear() == {"busy": False}
    client = house.client()
    lease.hear_until(is_busy)
    house.listeners[0].accept()[0].close()
    lease.awake(80)
    client.close()
    lease.hear_until(is_free)


def test_who_waits_at_the_end_of_a_stop_is_the_next_ones(house: House) -> None:
    program, lease = awake(house)
    lease.tell("stopping")
    house.client()
    successor = house.lease.accept()
    lease.close()
    assert successor.hear_until(is_busy)
    assert program.lives_on(1.5)


def test_who_is_with_the_program_that_stops_goes_with_it(house: House) -> None:
    program, lease = awake(house)
    client = house.client()
    with house.listeners[0].accept()[0]:
        lease.hear_until(is_busy)
        lease.tell("stopping")
        assert house.lease.nobody_asks(1)
    lease.close()
    client.close()
    assert program.wait() == 0
    assert house.lease.nobody_asks(0)
    house.client()
    assert select.select([house.listeners[0]], [], [], 5)[0], "whoever comes now waits for the next watcher"


def test_a_successor_of_a_supervisor_that_crashed_hears_of_it_with_nobody_there(house: House) -> None:
    """systemd would start no watcher for a client of a program that runs."""
    program, lease = awake(house)
    lease.close()
    successor = house.lease.accept()
    successor.awake(80)
    successor.hear_until(is_free)
    assert program.lives_on(1.5)
    client = house.client()
    house.listeners[0].accept()[0].close()
    successor.hear_until(is_busy)
    client.close()


def test_a_failure_is_answered_from_the_backlog(house: House) -> None:
    house.listen()
    web, other = house.client(say=REQUEST), house.client(say=b"SSH-2.0\r\n")
    program = watcher(house)
    house.lease.accept().tell("failed", reason="no such unit", retry_after=7)
    assert everything(web).startswith(b"HTTP/1.1 503 ")
    with pytest.raises(ConnectionResetError):
        everything(other)
    assert program.wait() == 0
    house.client()
    assert select.select([house.listeners[0]], [], [], 5)[0]


def test_datagrams_to_what_failed_are_dropped_or_it_would_be_started_for_ever(house: House) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listener.bind(("127.0.0.1", 0))
        house.listeners.append(listener)
        for _ in range(3):
            sender.sendto(b"hello", listener.getsockname())
        program = watcher(house)
        house.lease.accept().tell("failed", reason="no such unit", retry_after=7)
        assert program.wait() == 0
        assert not select.select([listener], [], [], 0)[0]


def test_a_program_that_knows_nothing_of_the_socket_is_found_out(house: House) -> None:
    """Its clients would wait for ever."""
    house.listen()
    web = house.client(say=REQUEST)
    program = watcher(house, before=HASTY)
    lease = house.lease.accept()
    lease.awake(80)
    assert b"accepts nobody" in everything(web)
    lease.hear_until(is_free)
    assert b"accepts nobody" in everything(house.client(say=REQUEST)), (
        "while it runs, no other watcher starts"
    )
    lease.tell("stopping")
    lease.close()
    assert program.wait() == 0


def test_a_program_that_is_mended_while_it_is_watched_gets_its_clients(house: House) -> None:
    listener = house.listen()
    web = house.client(say=REQUEST)
    watcher(house, before=HASTY)
    lease = house.lease.accept()
    lease.awake(80)
    assert b"accepts nobody" in everything(web)
    lease.hear_until(is_free)
    lease.tell("waking")
    lease.awake(80)
    second = house.client(say=REQUEST)
    listener.setblocking(True)
    with listener.accept()[0] as accepted:
        assert accepted.recv(100) == REQUEST
        accepted.sendall(b"mended")
    assert everything(second) == b"mended"


def test_a_program_that_is_busy_with_another_is_not(house: House) -> None:
    listener = house.listen()
    first = house.client()
    watcher(house, before=HASTY)
    lease = house.lease.accept()
    lease.awake(80)
    with listener.accept()[0]:
        second = house.client(say=REQUEST)
        second.settimeout(2)
        with pytest.raises(TimeoutError):
            second.recv(1)
    first.close()


def test_it_takes_back_the_signal_where_the_program_sets_its_flags_anew(house: House) -> None:
    """`fcntl(F_SETFL, O_NONBLOCK)` without a look at what was there, as many do."""
    _, lease = awake(house)
    listener = house.listeners[0]
    client = house.client()
    with listener.accept()[0]:
        lease.hear_until(is_busy)
        fcntl.fcntl(listener, fcntl.F_SETFL, os.O_NONBLOCK)
        eventually(lambda: bool(fcntl.fcntl(listener, fcntl.F_GETFL) & os.O_ASYNC))
        assert not os.get_blocking(listener.fileno())
    client.close()
    lease.hear_until(is_free)
