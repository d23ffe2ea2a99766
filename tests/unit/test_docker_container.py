"""What is read out of an inspection."""

from __future__ import annotations

from typing import Any

import pytest

from wakeport.runtimes.docker.container import Inspected, unreachable_network


def inspection(
    mode: str = "default", networks: dict[str, str] | None = None, **config: Any
) -> dict[str, Any]:
    """As much of an inspection as is read, as Engine 20.10 gives it for a container that runs."""
    return {
        "Id": "f00d",
        "Name": "/web",
        "State": {
            "Running": True,
            "Paused": False,
            "Pid": 4711,
            "ExitCode": 0,
            "Error": "",
            "StartedAt": "2026-11-23T12:31:22.266935Z",
        },
        "Config": {"Image": "nginx", "Tty": False, "ExposedPorts": {"80/tcp": {}}, **config},
        "HostConfig": {
            "NetworkMode": mode,
            "RestartPolicy": {"Name": "always", "MaximumRetryCount": 0},
            "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "81/tcp": None},
        },
        "NetworkSettings": {
            "Networks": {name: {"IPAddress": address} for name, address in (networks or {}).items()}
        },
    }


@pytest.mark.parametrize(
    ("mode", "networks", "address"),
    [
        ("default", {"bridge": "172.17.0.2"}, "172.17.0.2"),
        ("bridge", {"bridge": "172.17.0.2"}, "172.17.0.2"),
        ("back", {"aaa": "10.0.0.9", "back": "10.1.0.2"}, "10.1.0.2"),
        ("back", {"aaa": "10.0.0.9", "back": ""}, "10.0.0.9"),
        ("host", {"host": ""}, "127.0.0.1"),
        ("none", {"none": ""}, None),
        ("default", {}, None),
    ],
)
def test_the_network_it_was_made_on_counts(mode: str, networks: dict[str, str], address: str | None) -> None:
    assert Inspected(inspection(mode, networks)).address({}) == address


def test_a_network_that_its_host_cannot_reach_does_not_count() -> None:
    container = Inspected(inspection("street", {"street": "10.0.0.9", "bridge": "172.17.0.2"}))
    assert container.address({"street": "macvlan", "bridge": "bridge"}) == "172.17.0.2"
    assert Inspected(inspection("street", {"street": "10.0.0.9"})).address({"street": "macvlan"}) is None


def test_a_container_may_share_the_network_of_another() -> None:
    assert Inspected(inspection("container:beef")).shares_network_of == "beef"
    assert Inspected(inspection("back")).shares_network_of is None


def test_facts_that_checks_need() -> None:
    container = Inspected(inspection())
    assert container.name == "web"
    assert container.restart_policy == "always"
    assert container.published == {"80/tcp": [("", 8080)], "81/tcp": []}
    assert container.exposed == ["80/tcp"]
    assert container.stop_timeout == 10


@pytest.mark.parametrize(
    ("check", "has"),
    [(None, False), ({"Test": ["NONE"]}, False), ({"Test": []}, False), ({"Test": ["CMD", "true"]}, True)],
)
def test_a_healthcheck_may_be_there_or_switched_off(check: dict[str, Any] | None, has: bool) -> None:
    assert Inspected(inspection(Healthcheck=check)).has_healthcheck is has


def test_networks_that_the_host_cannot_reach_are_named_with_a_way_out() -> None:
    assert "--network none" in (unreachable_network("none", {}) or "")
    assert "docker network connect" in (unreachable_network("lan", {"lan": "macvlan"}) or "")
    assert unreachable_network("lan", {"lan": "macvlan", "bridge": "bridge"}) is None
    assert unreachable_network("default", {"bridge": "bridge"}) is None
