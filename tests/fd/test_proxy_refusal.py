"""What clients are told when the container does not come."""

from __future__ import annotations

import socket
import struct
import threading

import pytest

from tests.fd.conftest import PATIENT, House, everything

# Who goes on sending is read from for two seconds.
DRAINS_LONG = "import wakeport.proxy.refusal as refusal; refusal.DRAIN_WITHIN = 20.0;"

REQUEST = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"


def fail(house: House, retry_after: float = 60, reason: str = "exit status 127") -> None:
    house.lease.accept().tell("failed", reason=reason, retry_after=retry_after)


def test_http_gets_a_503_that_says_why_and_when(house: House) -> None:
    house.proxy()
    client = house.client(say=REQUEST)
    fail(house, 4.99)
    head, _, body = everything(client).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 503 Service Unavailable"
    assert "Retry-After: 5" in lines
    assert "Connection: close" in lines
    assert "Cache-Control: no-store" in lines
    assert f"Content-Length: {len(body)}" in lines
    assert b"exit status 127" in body


def test_a_head_request_gets_no_body(house: House) -> None:
    house.proxy()
    client = house.client(say=b"HEAD / HTTP/1.1\r\n\r\n")
    fail(house)
    assert everything(client).endswith(b"\r\n\r\n")


def test_a_client_that_is_still_sending_reads_the_answer_all_the_same(house: House) -> None:
    """Closing with unread bytes is a reset, and a reset overtakes the answer."""
    house.proxy(before=DRAINS_LONG)
    client = house.client(say=b"POST /upload HTTP/1.1\r\nContent-Length: 700000\r\n\r\n" + b"x" * 100_000)
    fail(house)
    assert client.recv(12) == b"HTTP/1.1 503"
    for _ in range(6):
        client.sendall(b"x" * 100_000)
    assert everything(client).endswith(b" s.\n")


@pytest.mark.parametrize("words", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x16\x03\x01\x02\x00\x01", b"", b"GET"])
def test_everything_else_gets_a_reset(house: House, words: bytes) -> None:
    house.proxy()
    client = house.client(say=words)
    fail(house)
    with pytest.raises(ConnectionResetError):
        everything(client)


def test_a_request_that_arrives_a_moment_later_is_answered_too(house: House) -> None:
    house.proxy(before=PATIENT)
    client = house.client()
    fail(house)
    client.sendall(REQUEST)
    assert everything(client).startswith(b"HTTP/1.1 503 ")


def test_a_request_in_two_pieces_is_answered_too(house: House) -> None:
    house.proxy(before=PATIENT)
    client = house.client(say=REQUEST[:9])
    fail(house)
    threading.Event().wait(0.05)
    client.sendall(REQUEST[9:])
    assert everything(client).startswith(b"HTTP/1.1 503 ")


def test_every_held_client_is_answered_at_once(house: House) -> None:
    house.proxy()
    clients = [house.client(say=REQUEST) for _ in range(100)]
    fail(house)
    assert all(everything(client).startswith(b"HTTP/1.1 503 ") for client in clients)


def test_until_retry_after_nobody_asks_the_supervisor(house: House) -> None:
    house.proxy()
    client = house.client(say=REQUEST)
    fail(house)
    everything(client)
    for _ in range(5):
        assert b"exit status 127" in everything(house.client(say=REQUEST))
    assert house.lease.nobody_asks(0)


def test_after_retry_after_the_next_client_asks_again(house: House) -> None:
    target = house.target()
    house.proxy()
    client = house.client(say=REQUEST)
    fail(house, 0.2)
    everything(client)
    threading.Event().wait(0.3)
    next_client = house.client(say=b"again")
    house.lease.accept().awake(target.port)
    assert next_client.recv(5) == b"again"


def test_the_proxy_leaves_after_a_failure_too(house: House) -> None:
    proxy = house.proxy()
    client = house.client(say=REQUEST)
    fail(house)
    everything(client)
    assert proxy.wait() == 0


def test_a_supervisor_that_never_answers_counts_as_failed(house: House) -> None:
    house.proxy("answer_within=0.2")
    client = house.client(say=REQUEST)
    answer = everything(client)
    assert b"no supervisor answered on the lease within 0.2 s" in answer
    assert b"Retry-After: 1\r\n" in answer


def test_a_refused_client_that_keeps_its_end_open_does_not_keep_the_proxy(house: House) -> None:
    proxy = house.proxy()
    client = house.client(say=REQUEST)
    fail(house)
    assert client.recv(12) == b"HTTP/1.1 503"
    assert proxy.wait() == 0


def test_a_refused_client_that_resets_does_no_harm(house: House) -> None:
    house.proxy()
    rude = [house.client(say=b"GET") for _ in range(10)]
    polite = house.client(say=REQUEST)
    fail(house)
    for client in rude:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    assert everything(polite).startswith(b"HTTP/1.1 503 ")


def test_a_port_that_the_container_does_not_have_is_refused_and_the_other_served(house: House) -> None:
    target = house.target()
    house.listen()
    house.listen()
    house.proxy()
    wrong, right = house.client(house.listeners[1], REQUEST), house.client(house.listeners[0], b"hello")
    house.lease.accept().awake(target.port)
    assert b"the container has no port 81/tcp" in everything(wrong)
    assert right.recv(5) == b"hello"
