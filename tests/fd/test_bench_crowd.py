"""The benchmark's crowd counts as served only who got the whole page."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import cast

import pytest

from bench.crowd import crowd
from bench.visit import Address
from lab import Lab
from lab.images import PAGE

WHOLE = b"HTTP/1.1 200 OK\r\n\r\n" + PAGE.encode()
RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger, socket(7)


class Here:
    """In place of a lab: the network that the test itself is in."""

    def network(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()


@pytest.fixture
def server() -> Iterator[Address]:
    """Of four clients, two get the page, one gets a part of it, and one is reset."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in (WHOLE, WHOLE[:-1], b"", WHOLE):
                client, _ = listener.accept()
                with client:
                    client.recv(65536)
                    client.sendall(answer)
                    if not answer:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()
        thread.join()


def test_a_part_of_the_page_and_a_reset_are_failures(server: Address) -> None:
    outcome = crowd(cast(Lab, Here()), server, 4)
    assert (outcome.size, outcome.served) == (4, 2)
    assert outcome.failures == {"HTTP/1.1 200 OK": 1, "ECONNRESET": 1}
    assert outcome.slowest is not None


def test_a_port_that_refuses_serves_nobody() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        outcome = crowd(cast(Lab, Here()), unheard.getsockname(), 3)
    assert (outcome.served, outcome.slowest, outcome.failures) == (0, None, {"ECONNREFUSED": 3})
