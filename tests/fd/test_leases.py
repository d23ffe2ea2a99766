"""The lease socket: who holds, who looks, who is cut, and what a last look still sees."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wakeport.loop import Loop
from wakeport.supervisor import leases
from wakeport.supervisor.leases import Leases

# Of the loop, for all that is due: who came in one turn is heard in the next, however late that is.
TURNS = 10


class Door:
    """A lease socket with its server, and connections to it; `turn` lets the server do what is due."""

    def __init__(self, path: str) -> None:
        self.loop = Loop()
        self.path = path
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(100)
        self.changes = 0
        self.leases = Leases(self.loop, listener, self._changed)
        self.clients: list[socket.socket] = []

    def _changed(self) -> None:
        self.changes += 1

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(30)
        client.connect(self.path)
        self.clients.append(client)
        return client

    def turn(self) -> None:
        for _ in range(TURNS):
            self.loop.run(self.loop.sleep(0.002))

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.turn()
        for holder in self.leases.holders.values():
            holder.connection.close()
        self.leases.listener.close()
        self.loop.close()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    door = Door(str(tmp_path / "lease"))
    yield door
    door.close()


def test_whoever_connects_holds_and_hears_the_state_at_once(door: Door) -> None:
    door.leases.announce({"state": "waking"})
    client = door.connect()
    door.turn()
    assert door.leases.busy
    assert json.loads(client.recv(1000)) == {"state": "waking"}
    door.leases.announce({"state": "awake"})
    assert json.loads(client.recv(1000)) == {"state": "awake"}


@pytest.mark.parametrize(
    "let_go",
    [
        lambda client: client.send(b'{"busy":false}\n'),
        lambda client: client.shutdown(socket.SHUT_WR),
        lambda client: client.close(),
        lambda client: client.send(b"GET / HTTP/1.1\n"),
        lambda client: client.send(b"x" * 70000),
    ],
    ids=["not busy", "shut", "closed", "another protocol", "endless line"],
)
def test_what_no_longer_holds(door: Door, let_go: Callable[[socket.socket], object]) -> None:
    client = door.connect()
    door.turn()
    assert door.leases.busy
    let_go(client)
    door.turn()
    assert not door.leases.busy


def test_a_holder_says_who_it_is_and_what_for(door: Door) -> None:
    client = door.connect()
    client.send(b'{"who":"proxy","use":["10.0.0.7:51234"]}\n{"busy":false}\n{"busy":true}\n')
    door.turn()
    (holder,) = door.leases.holders.values()
    assert (holder.who, holder.busy) == ("proxy", True)
    client.send(b'{"use":["10.0.0.8:1"]}\n')
    door.turn()
    assert holder.use == ["10.0.0.8:1"]


def test_who_is_busy_again_hears_the_state_again(door: Door) -> None:
    door.leases.announce({"state": "awake"})
    client = door.connect()
    client.send(b'{"busy":false}\n')
    door.turn()
    assert client.recv(1000) == b'{"state":"awake"}\n'
    client.send(b'{"busy":true}\n')
    door.turn()
    assert client.recv(1000) == b'{"state":"awake"}\n'


def test_a_holder_that_is_not_busy_uses_nothing(door: Door) -> None:
    """`status` showed the client that had just left, beside the time at which its service would sleep."""
    client = door.connect()
    client.send(b'{"who":"proxy","use":["10.0.0.7:51234"]}\n{"busy":false}\n')
    door.turn()
    (holder,) = door.leases.holders.values()
    assert holder.use == []


def test_a_holder_that_does_not_read_is_cut_and_nobody_waits_for_it(door: Door) -> None:
    deaf = door.connect()
    door.turn()
    for _ in range(5000):
        door.leases.announce({"state": "waking", "waits_for": "x" * 1000})
    assert not door.leases.holders
    deaf.close()


def test_more_holders_than_descriptors(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor ran out of them, could not write its status any more, and ended."""
    monkeypatch.setattr(leases, "HOLDERS_MAX", 3)
    crowd = [door.connect() for _ in range(5)]
    door.turn()
    assert len(door.leases.holders) == 3
    changes = door.changes
    door.turn()
    assert door.changes == changes, "it turns in vain while somebody waits"
    for client in crowd[:3]:
        client.close()
    door.turn()
    assert len(door.leases.holders) == 2


def test_a_closed_door_stays_closed_though_a_holder_leaves_a_full_house(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "HOLDERS_MAX", 1)
    first, _second = door.connect(), door.connect()
    door.turn()
    door.leases.close_door()
    first.close()
    door.turn()
    assert not door.leases.holders


def test_the_last_look_sees_who_came_this_very_moment(door: Door) -> None:
    door.connect()
    assert door.leases.last_look()


def test_the_last_look_hears_what_was_said_this_very_moment(door: Door) -> None:
    client = door.connect()
    client.send(b'{"busy":false}\n')
    door.turn()
    client.send(b'{"busy":true}\n')
    assert door.leases.last_look()


def test_who_comes_after_the_last_look_waits_for_the_next_supervisor(door: Door) -> None:
    assert not door.leases.last_look()
    client = door.connect()
    door.turn()
    assert not door.leases.holders
    connection, _ = door.leases.listener.accept()
    connection.send(b"the next one\n")
    assert client.recv(100) == b"the next one\n"
    connection.close()


def test_who_says_a_keep_without_being_busy_asks_for_the_container(door: Door) -> None:
    """It may doze, and what is kept is awake."""
    client = door.connect()
    client.send(b'{"busy":false}\n')
    door.turn()
    door.leases.asked = False
    client.send(b'{"keep_until":null}\n')
    door.turn()
    assert not door.leases.asked
    client.send(b'{"keep_until":"infinity"}\n')
    door.turn()
    assert door.leases.asked
