"""A supervisor that does not speak the lease protocol: it is hung up on, and the next one is heard."""

from __future__ import annotations

import contextlib
import json
import random
import time
from typing import Any

from tests.fd import udp
from tests.fd.conftest import House, echo, eventually, everything
from tests.fd.hostile import STAYS, reset, rests, supervisor, unharmed
from tests.fd.test_page import BROWSER
from tests.lab.rounds import rounds

# So that a test needs no seconds for each supervisor that ends at once.
HASTY = "import wakeport.lease_holder as holder; holder.FIRST_DELAY = holder.LONGEST_DELAY = 0.01;"

NO_ADDRESSES: list[Any] = [
    None,
    {},
    [],
    [None],
    [80],
    "ab",
    ["127.0.0.1"],
    ["127.0.0.1", 65536],
    ["127.0.0.1", -1],
    ["127.0.0.1", 0],
    ["127.0.0.1", "http"],
    ["127.0.0.1", 1e400],
    ["127.0.0.1", 80, 81],
    ["127.0.0.1\0", 80],
    ["a name that nobody resolves", 80],
    ["\ud800", 80],
    ["::1%\ud800", 80],
    ["/a\0b"],
    ["/\ud800"],
]

NO_MESSAGES: list[bytes] = [
    b"what?",
    b"\xff\xfe\x00",
    b"[]",
    b"80",
    b"[" * 60_000,
    b"9" * 60_000,
    b'{"state":' * 1_000,
    json.dumps({"state": "waking", "waits_for": "x" * 70_000}).encode(),
    b"x" * 300_000,
]

NO_STATES: list[dict[str, Any]] = [
    {"state": "awake"},
    {"state": "awake", "targets": None},
    {"state": "awake", "targets": []},
    {"state": "awake", "targets": "80/tcp"},
    {"state": "failed", "reason": "x", "retry_after": None},
    {"state": "failed", "reason": "x", "retry_after": "soon"},
    {"state": "failed", "reason": "x", "retry_after": float("nan")},
    {"state": "failed", "reason": "x", "retry_after": float("inf")},
    {"state": "failed", "reason": "x", "retry_after": 10**400},
    *({"state": "awake", "targets": {"80/tcp": said}} for said in NO_ADDRESSES),
]

# These make sense to the protocol, if to nobody else.
ODD: list[dict[str, Any]] = [
    {},
    {"state": None},
    {"state": {"state": "awake"}},
    {"state": "dancing"},
    {"state": "waking", "waits_for": ["\ud800", "<b>"]},
    {"state": "waking", "waits_for": "\ud800\0\r\n" * 1000},
    {"state": "awake", "targets": {}},
    {"state": "awake", "targets": {"80/tcp": ["/" + "a" * 500]}},
    {"state": "awake", "targets": {"80/tcp": ["255.255.255.255", 1]}},
    {"state": "failed", "retry_after": -1e300},
    {"state": "failed", "reason": "\ud800" * 10_000, "retry_after": False},
    {"state": "failed", "reason": ["\r\n\r\n"]},
    {"state": "stopping"},
    {"state": "asleep"},
]


def served(house: House, port: int) -> None:
    """A client comes until it is served, past failures that a supervisor before told of."""
    with supervisor(house.lease, {"state": "awake", "targets": {"80/tcp": ["127.0.0.1", port]}}):

        def is_served() -> bool:
            with contextlib.suppress(OSError), house.client(say=b"good") as client:
                client.settimeout(2)
                return client.recv(10) == b"good"
            return False

        eventually(is_served)


def tell(house: House, words: bytes) -> None:
    """As the supervisor, and nothing more."""
    lease = house.lease.accept()
    with contextlib.suppress(OSError):
        lease.sock.sendall(words)
        lease.sock.settimeout(0.02)
        while lease.sock.recv(65536):
            pass
    lease.close()


def test_nonsense_on_the_lease_costs_one_supervisor_and_no_client(house: House) -> None:
    """An awake without targets, or an infinite retry_after, ended the proxy with a traceback."""
    house.listen()
    udp.listen(house)
    target = house.target(echo)
    words = ["target=80/tcp", "page=0", "target=80/udp"]
    proxy = house.proxy(targets=words, before=STAYS + HASTY)
    with unharmed(proxy, lambda: served(house, target.port)):
        said = NO_MESSAGES + [json.dumps(each).encode() for each in NO_STATES + ODD]
        for line in said:
            clients = [house.client(say=BROWSER), house.client(say=b"held")]
            flow = udp.client(house, listener=house.listeners[1])
            flow.send(b"held")
            tell(house, line + b"\n")
            assert not proxy.has_ended(), (line[:100], proxy.said.decode())
            flow.close()
            for client in clients:
                reset(client)
    assert proxy.said.count(b"does not speak the lease protocol") >= len(NO_MESSAGES + NO_STATES)


def test_random_words_on_the_lease(house: House) -> None:
    chance = random.Random(7)
    target = house.target(echo)
    proxy = house.proxy("page=0", before=STAYS + HASTY)
    known = [json.dumps(each).encode() for each in NO_STATES + ODD]
    with unharmed(proxy, lambda: served(house, target.port)):
        for _ in range(rounds(30, 3000)):
            words = bytearray(b"\n".join(chance.choices(known, k=chance.randrange(1, 8))) + b"\n")
            for _ in range(chance.randrange(6)):
                words[chance.randrange(len(words))] = chance.randrange(256)
            clients = [house.client(say=BROWSER), house.client(say=b"held")]
            tell(house, bytes(words))
            for client in clients:
                reset(client)


def test_a_supervisor_that_never_makes_sense_is_asked_less_and_less_often(house: House) -> None:
    """It was asked again at once, for as long as it said anything that makes sense before."""
    proxy = house.proxy("answer_within=2", before=STAYS)
    with (
        supervisor(house.lease, {"state": "waking"}, {"state": "awake"}) as played,
        house.client(say=b"held"),
    ):
        time.sleep(1)
        assert played.asked < 10
        played.say({"state": "stopping"})
        before = played.asked
        time.sleep(1)
        assert played.asked - before < 10
        assert proxy.processor_time() < 50


def test_a_flood_of_states_neither_starves_nor_leaks(house: House) -> None:
    target = house.target(echo)
    proxy = house.proxy("page=0", before=STAYS)
    good = {"state": "awake", "targets": {"80/tcp": ["127.0.0.1", target.port]}}
    flood: list[dict[str, Any]] = [{"state": "waking", "waits_for": str(number)} for number in range(20)]
    flood += [good, {"state": "waking"}] * 20
    with supervisor(house.lease, good) as played:

        def is_served() -> None:
            with house.client(say=b"good") as client:
                assert client.recv(10) == b"good"

        with unharmed(proxy, is_served):
            clients = [house.client(say=b"held") for _ in range(20)]
            for _ in range(rounds(10, 500)):
                played.say(*flood)
            played.say(good)
            for client in clients:
                assert client.recv(10) == b"held"
                client.close()


def test_a_lease_that_nobody_reads_keeps_no_more_than_a_bound(house: House) -> None:
    proxy = house.proxy(before=STAYS + "import wakeport.proxy.proxy as p; p.REPORT_EVERY = 0.001;")
    for _ in range(300):
        house.client(say=b"held")
    house.lease.accept().tell("waking")

    def reports(count: int) -> None:
        for _ in range(count):
            reset(house.client())

    reports(300)
    before = proxy.memory()
    reports(rounds(300, 20_000))
    assert proxy.memory() < before + 1024
    eventually(lambda: rests(proxy))


def test_a_browser_is_told_of_a_failure_without_sense_like_of_others(house: House) -> None:
    house.proxy("page=0")
    browser = house.client(say=BROWSER)
    house.lease.accept().tell("failed", reason="\ud800<b>\0" * 500, retry_after=True)
    assert b"trying again in 1" in everything(browser)


def test_the_classic_shape_hangs_up_on_nonsense_too(house: House) -> None:
    starter = house.proxy("relay=/bin/false", entry="wakeport.proxy.starter", before=HASTY)
    client = house.client(say=b"GET / HTTP/1.1\r\n\r\n")
    for line in NO_MESSAGES + [json.dumps(each).encode() for each in NO_STATES]:
        tell(house, line + b"\n")
        assert not starter.has_ended(), (line[:100], starter.said.decode())
    house.lease.accept().tell("failed", reason="the end of it", retry_after=1)
    assert b"the end of it" in everything(client)
    assert starter.wait() == 0
