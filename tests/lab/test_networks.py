"""A container is reached on its own address, on whatever network; where none leads there, that is said."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import Lab
from tests.lab.runtimes.docker import Docker
from tests.lab.services import AddService, Service
from tests.lab.waiting import eventually

MACVLAN = ["--driver=macvlan", "--opt=parent=test-here"]


@pytest.fixture
def network_card(lab: Lab) -> Iterator[None]:
    """What a macvlan network hangs on: one end of a pair, the other end stands for the world."""
    lab.run(["ip", "link", "add", "test-here", "up", "type", "veth", "peer", "name", "test-there"])
    yield
    lab.run(["docker", "rm", "--force", "web"])
    lab.run(["docker", "network", "prune", "--force"])
    lab.run(["ip", "link", "delete", "test-here"])


def refusal(lab: Lab, name: str) -> str:
    """What `wakeport add` says to a container whose network is none to reach it on."""
    refused = lab.run(["wakeport", "add", name, "--listen=80=80"], check=False)
    assert refused.returncode == 2
    assert not (lab.root / f"etc/wakeport/{name}.toml").exists()
    return refused.stderr


def test_default_bridge(service: AddService) -> None:
    assert service().get().served


def test_user_defined_network(lab: Lab, service: AddService) -> None:
    lab.docker("network", "create", "front")
    assert service(create=["--network=front"]).get().served


def test_several_networks(lab: Lab, service: AddService) -> None:
    for network in ("front", "back"):
        lab.docker("network", "create", network)
    web = service(idle="1h", create=["--network=front"])
    lab.docker("network", "connect", "back", "web")
    lab.docker("network", "connect", "bridge", "web")
    assert web.get().served
    own = lab.docker("inspect", "--format={{.NetworkSettings.Networks.front.IPAddress}}", "web")
    eventually("it leads there", lambda: web.status["targets"] == {"80/tcp": [own, 80]})


def test_network_of_the_host(service: AddService) -> None:
    web = service(listen=8080, idle="1h", create=["--network=host"])
    assert web.get().served
    eventually("it leads there", lambda: web.status["targets"] == {"80/tcp": ["127.0.0.1", 80]})


def test_network_of_another_container(lab: Lab, service: AddService) -> None:
    lab.create("donor", image="python", command=["sleep", "infinity"])
    lab.docker("start", "donor")
    assert service(create=["--network=container:donor"]).get().served


def test_no_network_is_refused(lab: Lab) -> None:
    lab.create("web", "--network=none")
    assert "--network none" in refusal(lab, "web")


@pytest.mark.usefixtures("network_card")
def test_macvlan_is_refused(lab: Lab) -> None:
    lab.docker("network", "create", *MACVLAN, "street")
    lab.create("web", "--network=street")
    assert "macvlan" in refusal(lab, "web")


@pytest.mark.usefixtures("network_card")
@pytest.mark.parametrize(
    ("network", "reason"), [("none", b"--network none"), ("street", b"of the macvlan kind")]
)
def test_container_recreated_where_nothing_reaches_it(
    lab: Lab, service: AddService, network: str, reason: bytes
) -> None:
    lab.docker("network", "create", *MACVLAN, "street")
    web = service()
    lab.docker("rm", "web")
    lab.create("web", f"--network={network}")
    answer = web.get()
    assert answer.told_no
    assert reason in answer.data
    web.reaches("failed")
    assert reason.decode() in web.status["failure"]["reason"]


@pytest.mark.usefixtures("network_card")
def test_of_two_networks_the_one_that_leads_there(lab: Lab) -> None:
    """Its own network is a macvlan, which it keeps; the second, which the refusal asks for, is used."""
    lab.docker("network", "create", *MACVLAN, "street")
    lab.create("web", "--network=street")
    lab.docker("network", "connect", "bridge", "web")
    lab.run(["wakeport", "add", "web", "--listen=80"])
    assert Service(Docker(lab), "web", "web", 80).get().served
