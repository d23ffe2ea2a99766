"""One container a connection: whose it is, how many there are, and when it ends."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import time
from collections.abc import Iterator

import pytest

from lab import Lab
from tests.lab.connections import ECHO, RUNTIMES, PerConnection, heard, reset
from tests.lab.rounds import rounds
from tests.lab.waiting import eventually


@pytest.fixture(params=RUNTIMES)
def web(request: pytest.FixtureRequest, lab: Lab) -> Iterator[PerConnection]:
    made = PerConnection(lab, request.param)
    yield made
    made.clean_up()


# Of the journal's messages, SD_MESSAGE_UNIT_STARTING, _SUCCESS and _FAILURE_RESULT: man 3 sd-messages.
STARTING = "7d4958e842da4a758f6c1cdc7b36dcc5"
ENDED = ("7ad2d189f7e94e70a38c781354912448", "d9b373ed55a64feb8242e02dbe79a49c")


def most_at_once(web: PerConnection, since: float) -> int:
    """How many containers ran at the same time at most, by what Docker has noted.

    The others' containers begin and end with what systemd starts, and it has noted that.
    """
    window = [f"--since=@{since:.6f}", f"--until=@{time.time():.6f}"]
    if web.runtime == "docker":
        kinds = ["--filter=type=container", "--filter=event=start", "--filter=event=die"]
        window = [one.replace("@", "") for one in window]
        lines = web.lab.docker("events", *window, *kinds, "--format={{json .}}").splitlines()
        order = [(int(event["timeNano"]), event["status"] == "start") for event in map(json.loads, lines)]
    else:
        wanted = [f"MESSAGE_ID={one}" for one in (STARTING, *ENDED)]
        lines = web.lab.run(["journalctl", "--output=json", *window, *wanted]).stdout.splitlines()
        order = [
            (int(entry["__MONOTONIC_TIMESTAMP"]), entry["MESSAGE_ID"] == STARTING)
            for entry in map(json.loads, lines)
            if entry["UNIT"].startswith("wakeport-web@")
        ]
    running = most = 0
    for _at, began in sorted(order):
        running += 1 if began else -1
        most = max(most, running)
    return most


def test_each_connection_has_a_container_of_its_own(web: PerConnection) -> None:
    """What each says comes back to it alone, from a container that nobody else had."""
    web.add(ECHO, "connections_max = 4")
    said = [os.urandom(16).hex().encode() + b"\n" for _ in range(rounds(20, full=1000))]
    began, since = time.monotonic(), time.time()
    answers = web.crowd(said, at_once=4)
    took = time.monotonic() - began
    assert [answer for answer in answers if answer.error] == []
    split = [answer.data.partition(b"\n") for answer in answers]
    assert [back for _container, _newline, back in split] == said
    assert len({container for container, _newline, _back in split}) == len(said)
    web.nothing_is_left()
    if len(said) <= 100:  # the Engine keeps 256 events
        assert 1 <= most_at_once(web, since) <= 4
    assert web.of_socket("NAccepted") == str(len(said))
    first = statistics.median(answer.first for answer in answers)
    who = f"{web.runtime}: {len(said)} connections, 4 at once"
    print(f"{who}: {took:.1f} s, first byte after {first:.3f} s (median)")


def test_no_more_than_so_many_run_at_once(web: PerConnection) -> None:
    """Who is too many is closed at once; who comes when there is room again is served."""
    web.add(ECHO, "connections_max = 3")
    inside = [web.connect() for _ in range(3)]
    assert len({client.recv(100) for client in inside}) == 3
    for _ in range(10):
        with web.connect() as one_too_many:
            assert heard(one_too_many) == b""
    assert len(web.running) == 3
    assert web.of_socket("NConnections") == "3"
    inside.pop().close()
    eventually("room for another", lambda: web.of_socket("NConnections") == "2")
    assert web.talk(b"hello").endswith(b"\nhello")
    for client in inside:
        client.sendall(b"still here")
        assert client.recv(100) == b"still here"
        client.close()
    web.nothing_is_left()


def test_no_source_takes_the_whole_port(web: PerConnection) -> None:
    web.add(ECHO, "connections_max_per_source = 2")
    inside = [web.connect("127.0.0.2") for _ in range(2)]
    assert all(client.recv(100) for client in inside)
    with web.connect("127.0.0.2") as one_too_many:
        assert heard(one_too_many) == b""
    with web.connect("127.0.0.3") as another:
        assert another.recv(100)
    for client in inside:
        client.close()
    web.nothing_is_left()


def test_its_time_is_over(web: PerConnection) -> None:
    """It neither reads nor writes nor obeys a SIGTERM; and nothing but its own words reaches the client."""
    web.add(["sh", "-c", "trap '' TERM; echo here; while true; do sleep 1; done"], 'time_max = "6s"')
    with web.connect() as client:
        assert heard(client) == b"here\n"
    web.nothing_is_left()


def test_every_byte_passes_and_the_answer_to_a_half_close_too(web: PerConnection) -> None:
    """Also those that would detach a terminal (^P ^Q), end its input (^D) or stop its output (^S)."""
    web.add(["sh", "-c", "cat; echo the end"])
    said = bytes(range(256)) * 40 + b"\x10\x11\x04\x13\r\n\xff\xfb\x01" + os.urandom(3_000_000)
    assert web.talk(said) == said + b"the end\n"
    web.nothing_is_left()


def test_it_ends_with_its_program_though_the_client_stays(web: PerConnection) -> None:
    web.add(["sh", "-c", "echo bye"])
    with web.connect() as client:
        assert heard(client) == b"bye\n"
        web.nothing_is_left()


def test_what_it_never_read_costs_the_client_no_answer(web: PerConnection) -> None:
    """To close a connection with something unread is to reset it, and what was not sent yet is lost."""
    web.add(["python3", "-c", "import os; os.read(0, 1); os.write(1, bytes(300_000))"])
    for _ in range(rounds(2, full=20)):
        client = web.connect()
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):  # so much that neither end has room for more
            while client.send(bytes(65536)):
                pass
        eventually("its container gone", lambda: not web.containers and not web.instances)
        client.settimeout(60)
        assert len(heard(client)) == 300_000
        client.close()
    web.nothing_is_left()


@pytest.mark.parametrize("program", ["exec cat", "while echo more; do :; done"])
@pytest.mark.parametrize("how", [socket.socket.close, reset])
def test_a_client_that_vanishes_ends_its_container(web: PerConnection, program: str, how: object) -> None:
    """Whether it reads or writes, it finds out."""
    assert callable(how)
    web.add(["sh", "-c", f"echo; {program}"])
    client = web.connect()
    assert client.recv(1) == b"\n"
    how(client)
    web.nothing_is_left()


def test_one_that_neither_reads_nor_writes_ends_with_its_time(web: PerConnection) -> None:
    web.add(["sh", "-c", "echo; exec sleep 1000"], 'time_max = "6s"')
    client = web.connect()
    assert client.recv(1) == b"\n"
    reset(client)
    web.nothing_is_left()


def test_the_runtime_s_client_is_killed(web: PerConnection, lab: Lab) -> None:
    """At any moment of its life: while it makes the container, starts it, or passes bytes on."""
    web.add(ECHO)
    with web.connect() as client:
        assert client.recv(100)
        [instance] = web.instances
        lab.run(["systemctl", "kill", "--signal=KILL", "--kill-who=main", instance])
        assert heard(client) == b""
    for number in range(rounds(5, full=100)):
        with web.connect() as client:
            eventually("an instance", lambda: web.processes)
            time.sleep(number % 20 * 0.06)  # not for something: the moment is what differs
            lab.run(["sh", "-c", "systemctl kill --signal=KILL --kill-who=main 'wakeport-web@*' || true"])
            with contextlib.suppress(OSError):  # it has ended
                # Podman has done its part when it has handed over to conmon: killed then, it is not missed.
                client.shutdown(socket.SHUT_WR)
            heard(client)
    web.nothing_is_left()
    assert web.talk(b"hello").endswith(b"\nhello")
    web.nothing_is_left()
