"""One client: it connects, asks for the page, and notes when the answer's first byte came."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from lab import Lab
from lab.images import PAGE

Address = tuple[str, int]

PATIENCE = 30.0  # seconds for one answer
RETRY_AFTER = 0.001  # seconds between two attempts to connect, where there is nobody to hold the client

ASK_AND_CLOSE = b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
ASK_AND_STAY = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"


class Unserved(Exception):
    """The client did not get the right answer; `str()` of it is what it got."""


class Visit(NamedTuple):
    """`at` is when it began, in epoch seconds, to compare with what others note in their files."""

    at: float
    seconds: float


def visit(lab: Lab, address: Address) -> Visit:
    """From just before connecting to the first byte, in seconds. Raises Unserved."""
    with lab.network():
        client = socket.socket()
    with client:
        client.settimeout(PATIENCE)
        at, began = time.time(), time.monotonic()
        try:
            client.connect(address)
            client.sendall(ASK_AND_CLOSE)
            answer = client.recv(1)
            seconds = time.monotonic() - began
            while data := client.recv(65536):
                answer += data
        except OSError as error:
            raise Unserved(str(error)) from error
    require_page(answer)
    return Visit(at, seconds)


def insist(lab: Lab, address: Address) -> None:
    """Until the first byte of an answer, connecting again for as long as nobody listens."""
    deadline = time.monotonic() + PATIENCE
    with lab.network():
        while True:
            try:
                with socket.create_connection(address, PATIENCE) as client:
                    client.sendall(ASK_AND_CLOSE)
                    if client.recv(1):
                        return
            except OSError as error:
                if time.monotonic() > deadline:
                    raise Unserved(str(error)) from error
            time.sleep(RETRY_AFTER)


@contextmanager
def visitor(lab: Lab, address: Address) -> Iterator[None]:
    """A client that has been served and stays connected. Raises Unserved."""
    with lab.network():
        client = socket.socket()
    with client:
        client.settimeout(PATIENCE)
        client.connect(address)
        client.sendall(ASK_AND_STAY)
        answer = b""
        while not answer.endswith(PAGE.encode()):
            data = client.recv(65536)
            if not data:
                break
            answer += data
        require_page(answer)
        yield


def require_page(answer: bytes) -> None:
    """Raise Unserved unless this is the whole page and nothing else."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 ") or body != PAGE.encode():
        raise Unserved(_first_line(answer))


def _first_line(answer: bytes) -> str:
    return answer.split(b"\r\n", 1)[0].decode("latin-1")[:80] or "closed without an answer"
