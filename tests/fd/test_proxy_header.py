"""Whom the target is told that it serves, and whom we believe."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from tests.fd.conftest import House, Program, Target, everything
from wakeport.proxy.admission.proxy_header import encode, parse

CLIENT, ASKED = ("203.0.113.7", 51234), ("198.51.100.1", 443)
CLIENT_6, ASKED_6 = ("2001:db8::7", 51234), ("2001:db8::1", 443)
VISIT = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"


def tell(sock: socket.socket) -> None:
    """Say everything back, once all of it has come."""
    sock.sendall(everything(sock))


def told(client: socket.socket) -> bytes:
    """What the target got, header and all."""
    client.shutdown(socket.SHUT_WR)
    return everything(client)


def serve(house: House, *words: str, before: str = "") -> tuple[Program, Target]:
    return house.proxy(*words, before=before), house.target(tell)


def from_source(house: House, source: str, say: bytes = b"") -> socket.socket:
    client = socket.socket()
    client.settimeout(20)
    client.bind((source, 0))
    client.connect(house.listeners[0].getsockname())
    client.sendall(say)
    house.clients.append(client)
    return client


def is_reset(client: socket.socket) -> bool:
    try:
        everything(client)
    except ConnectionResetError:
        return True
    return False


# Towards the target.


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_target_hears_first_who_comes(house: House, host: str, version: str) -> None:
    listener = house.listen(host)
    _, target = serve(house, f"send_proxy={version}")
    client = house.client(say=b"hello")
    house.lease.accept().awake(target.port)
    header = encode(version, client.getsockname()[:2], listener.getsockname()[:2])
    assert told(client) == header + b"hello"
    # And while it is awake.
    second = house.client(say=b"again")
    assert told(second) == encode(version, second.getsockname()[:2], listener.getsockname()[:2]) + b"again"


def test_a_target_that_speaks_first_hears_it_too(house: House) -> None:
    def greet(sock: socket.socket) -> None:
        header = sock.recv(107)
        sock.sendall(b"220 " + header)

    house.proxy("send_proxy=v1")
    target = house.target(greet)
    client = house.client()
    house.lease.accept().awake(target.port)
    assert everything(client).startswith(b"220 PROXY TCP4 127.0.0.1 127.0.0.1 ")


def test_an_ipv4_client_of_an_ipv6_socket_is_told_as_ipv4(house: House) -> None:
    port = house.listen("::").getsockname()[1]
    _, target = serve(house, "send_proxy=v1")
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    house.clients.append(client)
    house.lease.accept().awake(target.port)
    assert told(client) == b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n" % (client.getsockname()[1], port)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_unix_client_is_told_to_be_unknown(house: House, tmp_path: Path, version: str) -> None:
    house.listen(str(tmp_path / "web.sock"))
    _, target = serve(house, f"send_proxy={version}")
    client = house.client(say=b"hello")
    house.lease.accept().awake(target.port)
    assert told(client) == encode(version, None, None) + b"hello"


# From somebody in front of us.

HEADERS = [
    encode(version, *pair) for version in ("v1", "v2") for pair in ((CLIENT, ASKED), (CLIENT_6, ASKED_6))
]


@pytest.mark.parametrize("header", HEADERS)
def test_who_is_introduced_has_the_address_that_is_told(house: House, header: bytes) -> None:
    _, target = serve(house, "accept_proxy=127.0.0.1")
    client = house.client(say=header + b"hello")
    lease = house.lease.accept()
    message = lease.hear_until(lambda message: bool(message.get("use")))
    known = parse(header)
    assert known is not None
    assert known.source is not None
    assert message["use"] == ["[2001:db8::7]:51234" if ":" in known.source[0] else "203.0.113.7:51234"]
    lease.awake(target.port)
    assert told(client) == b"hello"


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_what_one_in_front_tells_is_told_behind(house: House, header: bytes, version: str) -> None:
    _, target = serve(house, "accept_proxy=127.0.0.0/8", f"send_proxy={version}")
    client = house.client(say=header + b"hello")
    house.lease.accept().awake(target.port)
    known = parse(header)
    assert known is not None
    assert told(client) == encode(version, known.source, known.destination) + b"hello"


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_may_come_a_byte_at_a_time_and_nobody_is_asked_before_its_end(
    house: House, header: bytes
) -> None:
    _, target = serve(house, "accept_proxy=127.0.0.1")
    client = house.client()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in header[:-1]:
        client.sendall(bytes((byte,)))
    assert house.lease.nobody_asks(0.1)
    client.sendall(header[-1:] + b"hello")
    house.lease.accept().awake(target.port)
    assert told(client) == b"hello"


def test_a_server_that_speaks_first_is_woken_by_the_header_alone(house: House) -> None:
    target = house.target(lambda sock: sock.sendall(b"220 hello"))
    house.proxy("accept_proxy=127.0.0.1")
    client = house.client(say=HEADERS[0])
    house.lease.accept().awake(target.port)
    assert everything(client) == b"220 hello"


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", encode("v2", None, None)])
def test_one_that_speaks_for_itself_keeps_its_own_address(house: House, header: bytes) -> None:
    _, target = serve(house, "accept_proxy=127.0.0.1", "send_proxy=v1")
    client = house.client(say=header + b"check")
    house.lease.accept().awake(target.port)
    ports = (client.getsockname()[1], house.listeners[0].getsockname()[1])
    assert told(client) == b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\ncheck" % ports


@pytest.mark.parametrize("say", [HEADERS[0] + VISIT, HEADERS[2] + VISIT, VISIT, b""])
def test_a_source_that_is_not_trusted_is_reset_whatever_it_says(house: House, say: bytes) -> None:
    proxy, _ = serve(house, "accept_proxy=127.0.0.1")
    assert is_reset(from_source(house, "127.0.0.2", say))
    assert proxy.wait() == 0
    assert house.lease.nobody_asks(0)


@pytest.mark.parametrize(
    "say", [VISIT, b"\x16\x03\x01\x02\x00", b"PROXY TCP4 1.2.3.4\r\n" + VISIT, HEADERS[2][:13] + b"\x41\0\0"]
)
def test_who_is_trusted_and_has_no_header_is_reset(house: House, say: bytes) -> None:
    proxy, _ = serve(house, "accept_proxy=127.0.0.1")
    assert is_reset(house.client(say=say))
    assert proxy.wait() == 0
    assert house.lease.nobody_asks(0)


@pytest.mark.parametrize("say", [b"", HEADERS[0][:20], HEADERS[2][:20]])
def test_a_header_that_does_not_come_is_not_waited_for_long(house: House, say: bytes) -> None:
    before = "import wakeport.proxy.admission.introductions as i; i.HEADER_WITHIN = 0.3"
    proxy, _ = serve(house, "accept_proxy=127.0.0.1", before=before)
    assert is_reset(house.client(say=say))
    assert proxy.wait() == 0
    assert house.lease.nobody_asks(0)


def test_a_health_check_that_only_connects_leaves_nothing(house: House) -> None:
    proxy, _ = serve(house, "accept_proxy=127.0.0.1")
    for say in (b"", HEADERS[0][:9], b"") * 20:
        house.client(say=say).close()
    assert proxy.wait() == 0
    assert house.lease.nobody_asks(0)


def test_rules_judge_the_address_that_is_told(house: House) -> None:
    _, target = serve(
        house,
        "accept_proxy=127.0.0.1",
        f"rule={json.dumps({'from': ['203.0.113.0/24'], 'then': 'wake'})}",
        f"rule={json.dumps({'then': '403 not you'})}",
    )
    stranger = house.client(say=encode("v1", ("192.0.2.1", 1), ASKED) + VISIT)
    assert everything(stranger).endswith(b"not you")
    assert house.lease.nobody_asks(0)
    friend = house.client(say=encode("v2", CLIENT, ASKED) + VISIT)
    house.lease.accept().awake(target.port)
    assert told(friend) == VISIT


@pytest.mark.parametrize(("trusted", "served"), [("unix", True), ("127.0.0.1", False)])
def test_a_unix_listener_trusts_its_clients_by_name(
    house: House, tmp_path: Path, trusted: str, served: bool
) -> None:
    house.listen(str(tmp_path / "web.sock"))
    _, target = serve(house, f"accept_proxy={trusted}", "send_proxy=v1")
    client = house.client(say=HEADERS[0] + b"hello")
    if not served:
        assert is_reset(client)
        assert house.lease.nobody_asks(0)
        return
    house.lease.accept().awake(target.port)
    assert told(client) == HEADERS[0] + b"hello"


def test_a_hundred_at_once_are_each_told_as_who_they_are(house: House) -> None:
    _, target = serve(house, "accept_proxy=127.0.0.1", "send_proxy=v2")
    clients = [house.client() for _ in range(100)]
    ready = threading.Barrier(2)

    def introduce() -> None:
        ready.wait()
        for number, client in enumerate(clients):
            client.sendall(encode("v1", ("203.0.113.9", 1000 + number), ASKED))

    thread = threading.Thread(target=introduce)
    thread.start()
    ready.wait()
    house.lease.accept().awake(target.port)
    thread.join()
    for number, client in enumerate(clients):
        assert told(client) == encode("v2", ("203.0.113.9", 1000 + number), ASKED)
