"""What a person is told of the way past the proxy, beside what becomes of a client from another machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import Lab
from lab.client import Client
from tests.lab.services import AddService, Service
from tests.lab.waiting import eventually

DROPS = 'FORWARD (filter FORWARD, policy drop) drops what goes past the proxy of "80"'
PUBLISHED = ["--publish=127.0.0.1::80"]
TABLE = ["nft", "list", "table", "inet", "wakeport"]
IN_FRONT = """
add table inet test
add chain inet test first { type filter hook prerouting priority -400; }
add rule inet test first iifname "wakeport-doctor" drop
"""
NETWORK = "nft list tables; ip -brief link"


def doctor(web: Service) -> str:
    """What it says, with its exit code."""
    done = web.lab.run(["wakeport", "doctor", web.name], check=False)
    return f"{done.stdout}{done.stderr}exit {done.returncode}"


def advice(said: str, before: str) -> list[str]:
    """The command behind some words."""
    found = re.search(rf"{before}: (.*)", said)
    assert found, said
    return found[1].split()


@contextmanager
def rule(lab: Lab, command: list[str]) -> Iterator[None]:
    """A command of iptables that inserts one."""
    at = command.index("-I")
    lab.run(command)
    try:
        yield
    finally:
        lab.run([*command[:at], "-D", *command[at + 1 :]])


def noted(web: Service, set_: str) -> bool:
    """Whether the table has the service's port in this set."""
    listed = web.lab.run(["nft", "list", "set", "inet", "wakeport", set_], check=False).stdout
    return f"tcp . {web.port} " in listed


def ask_until(web: Service, client: Client, set_: str) -> None:
    """Until the kernel has noted that: the first client wakes the service, and the way opens behind it."""
    get = ["curl", "--silent", "--max-time", "40", f"http://{client.host4}:{web.port}/"]

    def asked() -> bool:
        assert client.run(get).stdout.startswith("<!doctype html>")
        return noted(web, set_)

    eventually(f"port {web.port} is noted as: {set_}", asked)


def test_the_rule_that_doctor_names_opens_the_way(service: AddService) -> None:
    web = service("web", "--bypass", idle="1h")
    said = doctor(web)
    assert DROPS in said
    assert "exit 1" in said
    assert web.is_asleep, "to look is not to wake"
    with Client(web.lab) as client:
        ask_until(web, client, "closed4")
        said = doctor(web)
        assert DROPS in said
        with rule(web.lab, advice(said, "let it through")):
            said = doctor(web)
            assert "FORWARD lets through again" in said
            assert "exit 0" in said
            web.lab.run(advice(said, "at once"))
            assert "FORWARD" not in doctor(web)
            ask_until(web, client, "passes4")
            assert not noted(web, "closed4")


def test_docker_opens_the_way_to_what_is_published_on_loopback(service: AddService) -> None:
    web = service("web", "--bypass", idle="1h", create=PUBLISHED)
    assert "FORWARD" not in doctor(web), "Docker opens it only when it starts the container"
    with Client(web.lab) as client:
        ask_until(web, client, "passes4")
        assert not noted(web, "closed4")
        assert "FORWARD" not in doctor(web)


@pytest.mark.parametrize("runtime", ["podman"], indirect=True)
def test_podman_opens_none(service: AddService) -> None:
    web = service("web", "--bypass", idle="1h", create=PUBLISHED)
    web.lab.run(["ip", "link", "delete", "podman0"], check=False)  # of another test's container
    said = doctor(web)
    assert "can be tried only while it is awake" in said
    assert "exit 0" in said
    with Client(web.lab) as client:
        ask_until(web, client, "closed4")
        said = doctor(web)
        assert DROPS in said
        assert "-p 127.0.0.1" not in said
        with rule(web.lab, advice(said, "let it through")):
            web.lab.run(advice(doctor(web), "at once"))
            ask_until(web, client, "passes4")


def test_a_filter_of_input_is_remarked(service: AddService) -> None:
    web = service("web", "--bypass", create=PUBLISHED)
    assert "INPUT" not in doctor(web)
    with rule(web.lab, ["iptables", "-I", "INPUT", "-s", "192.0.2.1", "-j", "DROP"]):
        said = doctor(web)
    assert 'remark  INPUT is filtered ("filter INPUT")' in said
    assert "exit 0" in said


def test_a_trial_that_is_interrupted_leaves_nothing(service: AddService) -> None:
    """Its packets do not come as far as NAT, so that it waits for them."""
    web = service("web", "--bypass")
    begun = "until ip link show up wakeport-doctor 2>/dev/null | grep wakeport; do kill -0 $! || exit 9; done"
    script = f"wakeport doctor web & {begun}; kill -TERM $!; wait $!"
    web.lab.run(["nft", IN_FRONT])
    try:
        before = web.lab.run(["sh", "-c", NETWORK]).stdout
        assert web.lab.run(["sh", "-c", script], check=False).returncode == 130
        assert web.lab.run(["sh", "-c", NETWORK]).stdout == before
    finally:
        web.lab.run(["nft", "delete table inet test"])
    assert web.is_asleep


def test_the_table_goes_with_the_last_service_that_needs_it(service: AddService) -> None:
    web, other = service("web", "--bypass"), service("other", "--bypass", listen=81)

    def is_there() -> bool:
        return web.lab.run(TABLE, check=False).returncode == 0

    assert web.get().served
    assert other.get().served
    eventually("the table is made", is_there)
    web.lab.run(["wakeport", "remove", "web"])
    assert is_there()
    settings = web.lab.root / "etc/wakeport/other.toml"
    settings.write_text(settings.read_text().replace("bypass = true\n", ""))
    web.lab.run(["wakeport", "apply", "other"])
    assert not is_there()
    assert other.get().served
