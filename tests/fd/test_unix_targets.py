"""A target that is the path of a Unix socket: reached, waited for while busy, named in a refusal."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.fd.conftest import House, echo, everything


def awake(house: House, path: Path) -> None:
    house.lease.accept().tell("awake", targets={"/run/app.sock": [str(path)]})


def test_a_unix_target_is_reached_from_ports_and_paths_alike(house: House) -> None:
    path = house.folder / "app.sock"
    target = house.target(echo, str(path))
    house.listen()
    house.listen(str(house.folder / "front.sock"))
    house.proxy(targets=["target=/run/app.sock", "target=/run/app.sock"])
    clients = [house.client(listener, b"to a path") for listener in house.listeners]
    awake(house, path)
    for client in clients:
        assert client.recv(9) == b"to a path"
        client.shutdown(socket.SHUT_WR)
        assert everything(client) == b""
    assert target.served == 2


def test_a_full_backlog_is_waited_for(house: House) -> None:
    path = house.folder / "app.sock"
    with socket.socket(socket.AF_UNIX) as slow:
        slow.bind(str(path))
        slow.listen(0)
        slow.settimeout(20)
        house.proxy(targets=["target=/run/app.sock"])
        clients = [house.client(say=b"%d" % number) for number in range(5)]
        awake(house, path)
        heard = set()
        for _ in clients:
            connection, _ = slow.accept()
            with connection:
                heard.add(connection.recv(1))
        assert heard == {b"0", b"1", b"2", b"3", b"4"}


@pytest.mark.parametrize("stale", [False, True], ids=["no file", "nobody listens"])
def test_a_path_that_nobody_serves_is_named(house: House, stale: bool) -> None:
    path = house.folder / "app.sock"
    if stale:
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(str(path))
    house.proxy(targets=["target=/run/app.sock"])
    client = house.client(say=b"GET / HTTP/1.1\r\n\r\n")
    awake(house, path)
    awake(house, path)  # the supervisor is asked once more before anybody is told
    answer = everything(client)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert f"{path}: {'ECONNREFUSED' if stale else 'ENOENT'}".encode() in answer
