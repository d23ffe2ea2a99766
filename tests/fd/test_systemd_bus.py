"""What is said to systemd, and when; a test plays systemd on a socket of its own."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fd.conftest import PATIENCE
from wakeport.loop import Loop
from wakeport.runtimes.problems import Unreachable
from wakeport.runtimes.systemd.begin import START, begin
from wakeport.runtimes.systemd.bus import Bus

WELCOME = b"OK 0123456789abcdef0123456789abcdef\r\n"
GREETING = f"\0AUTH EXTERNAL {str(os.getuid()).encode().hex()}\r\nBEGIN\r\n".encode()


class Systemd:
    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.listener.settimeout(PATIENCE)

    def accept(self) -> socket.socket:
        connection, _ = self.listener.accept()
        connection.settimeout(PATIENCE)
        return connection


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    played = Systemd(tmp_path / "private")
    yield played
    played.listener.close()


def reply(serial: int) -> bytes:
    """A method return without a body: its one field is the serial that it answers."""
    field = b"\x05\x01u\0" + serial.to_bytes(4, "little")
    return b"l\x02\x01\x01" + bytes(4) + (1).to_bytes(4, "little") + len(field).to_bytes(4, "little") + field


def test_no_call_comes_in_one_read_with_the_greeting(systemd: Systemd) -> None:
    """systemd 252 kept what came behind the greeting until more came: a wake hung, and so did all else."""
    loop = Loop()
    bus = Bus(loop, path=systemd.path)
    serial = bus.send("Subscribe")
    with systemd.accept() as connection:
        assert connection.recv(65536) == GREETING
        connection.sendall(WELCOME)
        asked = loop.spawn(bus.answer(serial))
        loop.run(loop.sleep(0))
        loop.run(until_said(loop, connection))
        assert b"Subscribe" in connection.recv(65536)
        connection.sendall(reply(serial))
        assert loop.run(wait(asked)) == []
        bus.close()


async def until_said(loop: Loop, connection: socket.socket) -> None:
    copy = connection.dup()
    try:
        await loop.within(PATIENCE, loop.readable(copy.fileno()))
    finally:
        copy.close()


async def wait(task: object) -> object:
    return await task  # type: ignore[misc]  # a task of the loop's


def test_the_start_call_of_one_that_is_not_let_in_is_made_later(systemd: Systemd) -> None:
    begun = begin("web.service", systemd.path)
    assert begun.connection is not None
    assert not begun.started
    with systemd.accept() as connection:
        assert connection.recv(65536) == GREETING
    begun.connection.close()


def test_a_start_forgets_earlier_ones_first(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd counts starts, and refuses the sixth in ten seconds."""
    heard: list[bytes] = []

    def play() -> None:
        with systemd.accept() as connection:
            connection.recv(65536)
            connection.sendall(WELCOME)
            heard.append(connection.recv(65536))

    monkeypatch.setattr("wakeport.runtimes.systemd.begin.WELCOME_PATIENCE", PATIENCE)
    player = threading.Thread(target=play)
    player.start()
    begun = begin("web.service", systemd.path)
    player.join(PATIENCE)
    assert begun.started
    assert heard[0].index(b"ResetFailedUnit") < heard[0].index(b"StartUnit")
    assert begun.heard == WELCOME
    assert begun.connection is not None
    begun.connection.close()


def test_nobody_there_is_no_error_of_ours(tmp_path: Path) -> None:
    begun = begin("web.service", str(tmp_path / "private"))
    assert begun.error is not None
    assert begun.connection is None


def test_an_end_of_the_conversation_fails_all_that_wait(systemd: Systemd) -> None:
    loop = Loop()
    bus = Bus(loop, path=systemd.path)
    ended: list[bool] = []
    bus.on_end.append(lambda: ended.append(True))
    serial = bus.send("Subscribe")
    systemd.accept().close()
    with pytest.raises(Unreachable):
        loop.run(bus.answer(serial))
    assert ended == [True]
    assert START not in bus.pending
