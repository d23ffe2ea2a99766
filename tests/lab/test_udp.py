"""UDP services: the first datagram wakes, is answered, and once nobody asks any more the container sleeps."""

from __future__ import annotations

import contextlib
import re
import socket

import pytest

from lab import Lab
from tests.lab.clients import connect
from tests.lab.programs import SAYS_DATAGRAMS_BACK, python
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.runtimes.docker import Docker
from tests.lab.services import Service
from tests.lab.waiting import eventually

ECHO = 9000  # the port of the host that leads to 80/udp of the container


def configured(lab: Lab, name: str, *lines: str) -> Service:
    """A service from a settings file with these lines."""
    directory = lab.root / "etc/wakeport"
    directory.mkdir(exist_ok=True)
    (directory / f"{name}.toml").write_text("\n".join(lines) + "\n")
    lab.run(["wakeport", "apply", name])
    return Service(Docker(lab), name, name, ECHO)


def echo(lab: Lab, *create: str, idle: str = "1s", flow_idle: str = "1s", more: str = "") -> Service:
    lab.create("echo", DIES_AT_ONCE, *create, image="python", command=python(SAYS_DATAGRAMS_BACK))
    listener = ["[[listener]]", f'on = "{ECHO}/udp"', "to = 80", f'flow_idle = "{flow_idle}"', more]
    return configured(lab, "echo", f'idle = "{idle}"', *listener)


def client(lab: Lab, host: str = "127.0.0.1", within: float = 30.0) -> socket.socket:
    with lab.network():
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(within)
        sock.connect((host, ECHO))
    return sock


@pytest.fixture
def name_server(lab: Lab) -> Service:
    """dnsmasq on port 53, over UDP and TCP."""
    lab.load("dnsmasq")
    lab.create("dns", image="dnsmasq")
    listeners = ("[[listener]]", 'on = "53/udp"', 'flow_idle = "1s"', "[[listener]]", 'on = "53"')
    return configured(lab, "dns", 'idle = "1s"', *listeners)


def dig(lab: Lab, *words: str) -> list[str]:
    """What it prints with +short; it asks once, and waits."""
    asked = ["dig", "@127.0.0.1", "+short", "+tries=1", "+timeout=30", *words]
    return lab.run(asked).stdout.split()


@pytest.mark.parametrize("words", [["+notcp"], ["+tcp"]], ids=["UDP", "TCP"])
def test_the_first_query_wakes_a_name_server(lab: Lab, name_server: Service, words: list[str]) -> None:
    assert name_server.is_asleep
    assert dig(lab, *words, "asleep.test", "A") == ["192.0.2.80"]
    assert dig(lab, "+notcp", "asleep.test", "AAAA") == ["2001:db8::80"]
    assert dig(lab, "+tcp", "asleep.test", "AAAA") == ["2001:db8::80"]
    # Too long for a datagram: dig asks again over TCP by itself.
    assert "".join(dig(lab, "+notcp", "+noedns", "long.test", "TXT")).count("x") == 2000
    with connect(lab, 53):
        eventually("both lead there", lambda: set(name_server.status["targets"]) == {"53/udp", "53/tcp"})
    name_server.falls_asleep()
    assert dig(lab, *words, "asleep.test", "A") == ["192.0.2.80"]


def test_first_datagrams_come_in_their_order_and_the_container_sleeps_again(lab: Lab) -> None:
    service = echo(lab)
    for _ in range(2):
        assert service.is_asleep
        with client(lab) as first, client(lab) as second:
            for number in range(20):
                first.send(b"first %d" % number)
                second.send(b"second %d" % number)
            assert [first.recv(100) for _ in range(20)] == [b"FIRST %d" % number for number in range(20)]
            assert [second.recv(100) for _ in range(20)] == [b"SECOND %d" % number for number in range(20)]
            first.send(b"warm")
            assert first.recv(100) == b"WARM"
        service.falls_asleep()


def test_the_largest_datagram_and_the_empty_one_wake_alike(lab: Lab) -> None:
    service = echo(lab)
    for data in (b"x" * 65_507, b""):
        with client(lab) as sock:
            sock.send(data)
            assert sock.recv(65_536) == data.upper()
        service.falls_asleep()


@pytest.mark.parametrize("host", ["127.0.0.2", "::1", "2001:db8::53"])
def test_the_address_that_was_asked_answers(lab: Lab, host: str) -> None:
    """Also the first datagram, which came before there was a proxy to ask for its address."""
    lab.run(["ip", "address", "replace", "2001:db8::53/128", "dev", "lo"])
    echo(lab)
    with client(lab, host) as sock:
        for word in (b"cold", b"warm"):
            sock.send(word)
            assert sock.recv(100) == word.upper()


def test_a_port_of_one_address(lab: Lab) -> None:
    lab.create("echo", DIES_AT_ONCE, image="python", command=python(SAYS_DATAGRAMS_BACK))
    configured(lab, "echo", "[[listener]]", f'on = "127.0.0.3:{ECHO}/udp"', "to = 80")
    with client(lab, "127.0.0.3") as sock:
        sock.send(b"there")
        assert sock.recv(100) == b"THERE"
    with client(lab, "127.0.0.1") as sock:
        sock.send(b"not there")
        with pytest.raises(ConnectionRefusedError):
            sock.recv(100)


def test_a_flow_keeps_the_container_awake_for_as_long_as_it_lives(lab: Lab) -> None:
    service = echo(lab, flow_idle="8s", idle="200ms")
    with client(lab) as sock:
        sock.send(b"here")
        assert sock.recv(100) == b"HERE"
        host, port = sock.getsockname()
        eventually(
            "the flow in the status",
            lambda: any(f"{host}:{port}/udp" in lease["use"] for lease in service.status["leases"]),
        )
        service.stays_awake(2)
    service.falls_asleep()


def test_a_container_that_never_listens_is_named_as_what_was_missing(lab: Lab) -> None:
    lab.create("echo", DIES_AT_ONCE, image="python", command=["sleep", "infinity"])
    service = configured(lab, "echo", 'ready_within = "4s"', "[[listener]]", f'on = "{ECHO}/udp"', "to = 80")
    with client(lab) as sock:
        sock.send(b"anybody?")
        service.reaches("failed")
        reason = service.status["failure"]["reason"]
        assert re.search(r"still waiting for the container to listen on UDP [0-9.]+:80$", reason)
        eventually("the container stopped", lambda: not service.container_runs)


def test_a_container_restarts_under_a_living_flow(lab: Lab) -> None:
    service = echo(lab, idle="5s", flow_idle="20s")
    with client(lab) as sock:
        sock.send(b"before")
        assert sock.recv(100) == b"BEFORE"
        lab.docker("restart", "--time=0", "echo")
        sock.settimeout(1)

        def is_answered() -> bool:
            """What comes before anybody knows of the restart is lost, as datagrams are."""
            with contextlib.suppress(TimeoutError):
                sock.send(b"after")
                return sock.recv(100) == b"AFTER"
            return False

        eventually("it answers again", is_answered)
        service.reaches("awake")


@pytest.mark.parametrize("network", ["host", "container:donor", "front"])
def test_networks_of_other_kinds(lab: Lab, network: str) -> None:
    lab.docker("network", "create", "front")
    lab.create("donor", image="python", command=["sleep", "infinity"])
    lab.docker("start", "donor")
    echo(lab, f"--network={network}")
    with client(lab) as sock:
        sock.send(b"here")
        assert sock.recv(100) == b"HERE"


def test_who_may_not_wake_it_is_heard_once_it_is_awake(lab: Lab) -> None:
    rules = '[[listener.rule]]\nfrom = "127.0.0.1"\nthen = "wake"\n[[listener.rule]]\nthen = "close"'
    service = echo(lab, idle="4s", more=rules)
    with client(lab) as sock:
        sock.send(b"welcome")
        assert sock.recv(100) == b"WELCOME"
    service.falls_asleep()
    with lab.network():
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with stranger, client(lab) as sock:
        stranger.settimeout(30)
        stranger.bind(("127.0.0.9", 0))
        stranger.connect(("127.0.0.1", ECHO))
        for _ in range(20):
            stranger.send(b"scan")
        stranger.settimeout(2)
        with pytest.raises(TimeoutError):
            stranger.recv(100)
        assert not service.container_runs
        sock.send(b"welcome")
        assert sock.recv(100) == b"WELCOME"
        stranger.send(b"now, too")
        assert stranger.recv(100) == b"NOW, TOO"
