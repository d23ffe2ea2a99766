"""redis-cli and redis-benchmark: a client that speaks first, one that only listens, and fifty at once."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterator

import pytest

from lab import Lab
from tests.lab.rounds import rounds
from tests.lab.services import AddService, Service

REQUESTS = rounds(5_000, full=200_000)  # of each kind that redis-benchmark sends
KEYS = rounds(20_000, full=500_000)  # sent in one go
QUIET = rounds(2, full=180)  # seconds in which nothing is published

# Redis accepts connections before it has read its data, and answers "LOADING ..." until then: with
# `ready = "connect"` a first GET failed with it. With -e an error is redis-cli's exit code.
READY = "exec:redis-cli -e PING"


@pytest.fixture(scope="module")
def image(shared_lab: Lab) -> str:
    shared_lab.load("redis")
    return "redis"


@pytest.fixture
def store(service: AddService, image: str) -> Service:
    return service("store", f"--ready={READY}", listen=6379, to=6379, image=image, idle="1s")


def cli(store: Service, *words: str, text: str | None = None) -> str:
    """What redis-cli prints. It connects once, with its own defaults."""
    return store.lab.run(["redis-cli", *words], input=text).stdout.rstrip("\n")


def test_the_first_command_wakes_and_what_was_stored_outlives_the_sleep(store: Service) -> None:
    value = random.Random(6379).randbytes(30 << 20).hex()
    assert store.is_asleep
    assert cli(store, "PING") == "PONG"
    assert cli(store, "-x", "SET", "large", text=value) == "OK"
    store.falls_asleep()  # on SIGTERM Redis saves what it has
    assert cli(store, "GET", "large") == value
    assert cli(store, "GET", "large") == value
    store.falls_asleep()


def test_a_first_client_may_send_everything_at_once(store: Service) -> None:
    """--pipe writes without waiting for answers: megabytes are on their way before the container runs."""
    commands = "".join(f"SET key:{number} {number:0100}\r\n" for number in range(KEYS))
    assert f"errors: 0, replies: {KEYS}" in cli(store, "--pipe", text=commands)
    assert cli(store, "DBSIZE") == str(KEYS)
    assert cli(store, "GET", f"key:{KEYS - 1}") == f"{KEYS - 1:0100}"
    store.falls_asleep()


@pytest.fixture
def ports_serve_again(lab: Lab) -> Iterator[None]:
    """As docs/protocols.md advises where clients end thousands of connections a minute."""
    setting = "net.ipv4.tcp_tw_reuse"
    before = lab.run(["sysctl", "--values", setting]).stdout.strip()
    lab.run(["sysctl", "--quiet", "--write", f"{setting}=1"])
    yield
    lab.run(["sysctl", "--quiet", "--write", f"{setting}={before}"])


@pytest.mark.usefixtures("ports_serve_again")
@pytest.mark.parametrize("fresh", [False, True], ids=["kept alive", "a connection for each request"])
def test_benchmark_of_fifty_clients(store: Service, fresh: bool) -> None:
    """Its very first connections wake the container; an error of any of them ends it."""
    assert store.is_asleep
    for _ in range(2):
        requests = REQUESTS // 5 if fresh else REQUESTS
        asked = ["-c", "50", "-n", str(requests), "-t", "ping_mbulk,set,get,lpush", "--csv"]
        done = store.lab.run(["redis-benchmark", *asked, "-k", "0" if fresh else "1"], timeout=600)
        rates = {row["test"]: float(row["rps"]) for row in csv.DictReader(io.StringIO(done.stdout))}
        assert set(rates) == {"PING_MBULK", "SET", "GET", "LPUSH"}, done.stdout
        assert all(rates.values())
        assert "rror" not in done.stderr
    # Every one of its pushes has arrived, of both rounds.
    assert cli(store, "LLEN", "mylist") == str(2 * requests)
    store.falls_asleep()


def test_a_silent_subscriber_keeps_it_awake_and_hears_what_comes(store: Service) -> None:
    """The subscriber is the first client; nothing passes on its connection for longer than `idle`."""
    with store.lab.popen(["redis-cli", "SUBSCRIBE", "news"]) as subscriber:
        assert subscriber.stdout is not None
        # What it prints is flushed at each message.
        assert [subscriber.stdout.readline() for _ in range(3)] == ["subscribe\n", "news\n", "1\n"]
        store.stays_awake(QUIET)
        assert cli(store, "PUBLISH", "news", "something") == "1"
        assert [subscriber.stdout.readline() for _ in range(3)] == ["message\n", "news\n", "something\n"]
        subscriber.kill()
    store.falls_asleep()
