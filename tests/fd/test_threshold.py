"""Who may wake the container: what each client gets, and whether anybody asks for a lease."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import ssl
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.fd.conftest import House, Program, Target, eventually, everything
from tests.lab.rounds import rounds
from wakeport.proxy.admission.proxy_header import encode

PROBE = b"GET /healthz HTTP/1.1\r\nHost: web\r\n\r\n"
VISIT = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"

ASLEEP = {"path": ["/healthz"], "then": "200 asleep"}
# Who goes on sending is read from for two seconds.
DRAINS_LONG = "import wakeport.proxy.refusal as refusal; refusal.DRAIN_WITHIN = 20.0;"
IMPATIENT = "import wakeport.proxy.admission.threshold as t; t.SILENCE_MAX = 0.3"


def judging(house: House, *tables: dict[str, Any], more: tuple[str, ...] = (), before: str = "") -> Program:
    return house.proxy(*(f"rule={json.dumps(table)}" for table in tables), *more, before=before)


def nobody_asked(house: House) -> bool:
    return house.lease.nobody_asks(0)


def wakes(house: House, target: Target) -> None:
    house.lease.accept().awake(target.port)


def hello(name: str) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def test_a_probe_is_answered_and_wakes_nobody(house: House) -> None:
    proxy = judging(house, ASLEEP)
    head, _, body = everything(house.client(say=PROBE)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nContent-Length: 6\r\n" in head
    assert b"\r\nConnection: close" in head
    assert b"\r\nCache-Control: no-store" in head
    assert body == b"asleep"
    assert proxy.wait() == 0
    assert nobody_asked(house)


def test_a_head_request_gets_no_body(house: House) -> None:
    judging(house, ASLEEP)
    answer = everything(house.client(say=PROBE.replace(b"GET", b"HEAD")))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n")


def test_everyone_else_wakes_and_loses_no_byte(house: House) -> None:
    target = house.target()
    judging(house, ASLEEP)
    client = house.client(say=VISIT)
    wakes(house, target)
    assert client.recv(1024) == VISIT
    client.sendall(b"more")
    assert client.recv(1024) == b"more"


def test_what_comes_a_byte_at_a_time_is_judged_when_it_is_enough(house: House) -> None:
    judging(house, ASLEEP)
    client = house.client()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in PROBE[:-4]:  # its head has not even ended
        client.sendall(bytes((byte,)))
    assert everything(client).endswith(b"asleep")
    assert nobody_asked(house)


def test_close_is_an_end_and_no_reset_also_after_unread_bytes(house: House) -> None:
    judging(house, {"then": "close", "server_name": ["wrong"]})
    assert everything(house.client(say=hello("wrong"))) == b""
    assert nobody_asked(house)


def test_reset_is_a_reset(house: House) -> None:
    judging(house, {"from": ["127.0.0.0/8"], "then": "reset"})
    with pytest.raises(ConnectionResetError):
        everything(house.client())
    assert nobody_asked(house)


def test_the_right_server_name_wakes_and_the_target_gets_its_hello(house: House) -> None:
    target = house.target()
    judging(house, {"server_name": ["*.example.org"], "then": "wake"}, {"then": "close"})
    assert everything(house.client(say=hello("example.com"))) == b""
    assert everything(house.client(say=VISIT)) == b""
    assert nobody_asked(house)
    greeting = hello("a.example.org")
    client = house.client()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for start in range(0, len(greeting), 100):
        client.sendall(greeting[start : start + 100])
    wakes(house, target)
    received = b""
    while len(received) < len(greeting):
        received += client.recv(4096)
    assert received == greeting


def test_who_does_not_speak_http_gets_an_end_instead_of_a_status(house: House) -> None:
    judging(house, {"then": "403 not for you"})
    assert everything(house.client(say=b"SSH-2.0-x\r\n")) == b""
    assert everything(house.client(say=PROBE)).endswith(b"not for you")


def test_a_sender_of_much_reads_the_answer_all_the_same(house: House) -> None:
    """Closing with unread bytes is a reset, and a reset overtakes the answer."""
    judging(house, {"path": ["/upload"], "then": "403 no"}, before=DRAINS_LONG)
    client = house.client(say=b"POST /upload HTTP/1.1\r\nContent-Length: 700000\r\n\r\n" + b"x" * 100_000)
    assert client.recv(12) == b"HTTP/1.1 403"
    for _ in range(6):
        client.sendall(b"x" * 100_000)
    assert everything(client).endswith(b"no")


@pytest.mark.parametrize("words", [b"", b"GET /heal", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_who_says_too_little_for_too_long_is_judged_by_that(house: House, words: bytes) -> None:
    table = {"path": ["/x"], "server_name": ["x"], "then": "wake"}
    proxy = judging(house, table, {"then": "close"}, before=IMPATIENT)
    assert everything(house.client(say=words)) == b""
    assert proxy.wait() == 0
    assert nobody_asked(house)


def test_a_silent_client_is_closed_where_everyone_else_wakes(house: House) -> None:
    judging(house, ASLEEP, before=IMPATIENT)
    assert everything(house.client()) == b""
    assert nobody_asked(house)


def test_bare_connects_wake_nobody_and_leave_nothing(house: House) -> None:
    proxy = judging(house, ASLEEP)
    stays = house.client()
    assert everything(house.client(say=PROBE)).endswith(b"asleep")
    before = proxy.descriptors()
    for number in range(300):
        with socket.create_connection(house.listeners[0].getsockname()) as client:
            if number % 3 == 0:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif number % 3 == 1:
                client.sendall(b"GET")
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    eventually(lambda: proxy.descriptors() <= before)
    assert nobody_asked(house)
    stays.sendall(PROBE)
    assert everything(stays).endswith(b"asleep")
    assert nobody_asked(house)


def test_with_wake_on_data_the_first_byte_wakes(house: House) -> None:
    target = house.target()
    house.proxy("wake_on=data")
    with house.client():
        pass
    client = house.client()
    assert house.lease.nobody_asks(0.3)
    client.sendall(b"x")
    wakes(house, target)
    assert client.recv(10) == b"x"


def test_who_ends_without_a_byte_is_closed(house: House) -> None:
    house.proxy("wake_on=data")
    client = house.client()
    client.shutdown(socket.SHUT_WR)
    assert everything(client) == b""
    assert nobody_asked(house)


def test_a_half_closed_request_wakes_and_is_answered(house: House) -> None:
    target = house.target()
    house.proxy("wake_on=data")
    client = house.client(say=b"question")
    client.shutdown(socket.SHUT_WR)
    wakes(house, target)
    assert everything(client) == b"question"


def test_the_threshold_holds_no_lease(house: House) -> None:
    """Not for one whose lease it was, either: it was held on for as long as a silent client stayed."""
    target = house.target()
    judging(house, ASLEEP)
    silent = house.client()
    visitor = house.client(say=VISIT)
    lease = house.lease.accept()
    lease.tell("waking")
    lease.hear_until(lambda message: bool(message.get("use")))
    visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    visitor.close()
    lease.hear_until(lambda message: message.get("busy") is False)
    # It wakes all the same; then whoever is there is not judged, and holds the lease like everyone else.
    lease.awake(target.port)
    lease.hear_until(lambda message: message.get("busy") is True)
    lease.awake(target.port)
    silent.sendall(PROBE)
    assert silent.recv(1024) == PROBE
    silent.close()
    lease.hear_until(lambda message: message.get("busy") is False)


def test_listeners_have_rules_of_their_own(house: House) -> None:
    """The words of the second one; the first wakes at a connection."""
    target = house.target()
    house.listen()
    house.listen()
    judging(house, {"then": "reset"})
    with pytest.raises(ConnectionResetError):
        everything(house.client(house.listeners[1]))
    assert nobody_asked(house)
    plain = house.client(house.listeners[0], say=b"hello")
    house.lease.accept().awake(target.port)
    assert plain.recv(10) == b"hello"


def test_unix_clients_are_judged_too(house: House, tmp_path: Path) -> None:
    house.listen(str(tmp_path / "web.sock"))
    judging(house, ASLEEP)
    assert everything(house.client(say=PROBE)).endswith(b"asleep")
    assert nobody_asked(house)


def test_after_a_failure_a_probe_is_still_told_that_it_sleeps(house: House) -> None:
    judging(house, ASLEEP)
    visitor = house.client(say=VISIT)
    house.lease.accept().tell("failed", reason="no such image", retry_after=60)
    assert everything(visitor).startswith(b"HTTP/1.1 503 ")
    assert everything(house.client(say=PROBE)).endswith(b"asleep")
    assert everything(house.client(say=VISIT)).startswith(b"HTTP/1.1 503 ")


def test_hostile_first_bytes_are_each_dealt_with_and_leave_nothing(house: House) -> None:
    """Headers, requests and hellos with bytes exchanged, cut anywhere, and ended in every way."""
    chance = random.Random(3)
    tables = [ASLEEP, {"server_name": ["*.org"], "then": "reset"}, {"user_agent": ["*x*"], "then": "close"}]
    proxy = judging(house, *tables, {"then": "404 no"}, more=("accept_proxy=127.0.0.0/8",))
    header = encode("v1", ("203.0.113.7", 1), ("198.51.100.1", 2))
    binary = encode("v2", ("2001:db8::7", 1), ("2001:db8::1", 2))
    # What is measured after a hundred clients is a proxy that has started.
    assert everything(house.client(say=header + PROBE)).endswith(b"asleep")
    stays = house.client(say=header + PROBE[:5])
    before = 0
    for number in range(rounds(400, 20_000)):
        words = bytearray(
            chance.choice((header, binary)) + chance.choice((PROBE, VISIT, hello("a.org"), b""))
        )
        for _ in range(chance.randrange(4)):
            words[chance.randrange(len(words))] = chance.randrange(256)
        cut = chance.randrange(len(words) + 1)
        with socket.create_connection(house.listeners[0].getsockname()) as client:
            client.sendall(words[:cut])
            with contextlib.suppress(OSError):
                client.sendall(words[cut:])
                if chance.random() < 0.3:
                    client.shutdown(socket.SHUT_WR)
            if chance.random() < 0.3:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if number == 100:
            before = proxy.memory()
    assert nobody_asked(house)
    stays.sendall(PROBE[5:])
    assert everything(stays).endswith(b"asleep")
    assert proxy.memory() < before + 2048
    assert proxy.wait() == 0


@pytest.mark.parametrize(
    "words", ['rule={"then":"sleep"}', 'rule={"then":"wake","from":["x"]}', "accept_proxy=x"]
)
def test_words_that_make_no_sense_end_the_proxy_at_once(house: House, words: str) -> None:
    proxy = house.proxy(words)
    assert proxy.wait() == 1
    assert b"systemctl cat" in proxy.said


def test_a_plain_service_imports_nothing_of_the_other_rooms(house: House) -> None:
    check = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))"
    target = house.target()
    proxy = house.proxy(before=check)
    client = house.client(say=b"x")
    house.lease.accept().awake(target.port)
    assert client.recv(1) == b"x"
    client.close()
    assert proxy.wait() == 0
    loaded = set(proxy.said.decode().split())
    assert "wakeport.proxy.relay" in loaded
    rooms = tuple(f"wakeport.proxy.{room}" for room in ("admission", "page", "restart", "udp"))
    assert not [module for module in loaded if module.startswith(rooms)]
