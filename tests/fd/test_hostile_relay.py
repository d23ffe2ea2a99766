"""What hostile peers do to those who are relayed already."""

from __future__ import annotations

import socket

import pytest

from tests.fd.conftest import House, everything
from tests.fd.hostile import STAYS, rests, supervisor

BULK = 4 * 1_048_576  # bytes; enough for a pipe


def count(sock: socket.socket) -> None:
    """Say how many bytes came, up to the end."""
    size = 0
    while data := sock.recv(65536):
        size += len(data)
    sock.sendall(b"%d" % size)


@pytest.mark.parametrize("door", ["127.0.0.1", "unix"])
@pytest.mark.parametrize("size", [10, BULK])
def test_an_urgent_byte_is_no_end_and_no_reason_to_spin(house: House, door: str, size: int) -> None:
    """splice(2) never gets past it and says 0, as at the end: the rest of an upload was lost."""
    house.listen(str(house.folder / "door") if door == "unix" else door)
    target = house.target(count)
    proxy = house.proxy(before=STAYS)
    with supervisor(house.lease) as played:
        played.awake({"80/tcp": ["127.0.0.1", target.port]})
        client = house.client(say=bytes(size))
        for _ in range(3):
            client.send(b"!", socket.MSG_OOB)
        assert rests(proxy) or rests(proxy)
        client.sendall(bytes(size))
        client.send(b"!", socket.MSG_OOB)
        client.shutdown(socket.SHUT_WR)
        # Of several only the last is urgent, and the others are ordinary bytes then; tcp(7).
        assert 2 * size <= int(everything(client)) <= 2 * size + 3
