"""What is a container of LXC's own: its own word for frozen, and that it may run beside its unit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import Lab
from tests.lab.runtimes.lxc import Lxc
from tests.lab.services import Service
from tests.lab.waiting import eventually


@pytest.fixture
def containers(lab: Lab) -> Iterator[Lxc]:
    made = Lxc(lab)
    yield made
    lab.run(["sh", "-c", "systemctl stop 'wakeport-*'"])
    made.clean_up()


def add(containers: Lxc, *options: str) -> Service:
    containers.lab.run(["wakeport", "add", "web", "--runtime=lxc", "--listen=80=80", *options])
    return Service(containers, "web", "web", 80)


def test_one_started_beside_its_unit_is_left_alone(containers: Lxc) -> None:
    """The unit failed beside it, and its ExecStop= then stopped the one that a person had started."""
    containers.create("web")
    web = add(containers)
    containers.lab.run(["lxc-start", "--name=web"])
    assert web.get().told_no
    web.reaches("failed")
    assert "runs outside of lxc@web.service" in web.status["failure"]["reason"]
    assert containers.lab.run(["lxc-info", "-sH", "--name=web"]).stdout.strip() == "RUNNING"
    assert "runs outside of lxc@web.service" in containers.lab.run(["wakeport", "doctor"], check=False).stdout
    containers.lab.run(["lxc-stop", "--kill", "--name=web"])
    eventually("the next attempt", lambda: web.get().served)


def test_add_says_that_it_starts_at_boot(containers: Lxc) -> None:
    containers.create("web")
    config = containers.lab.root / "var/lib/lxc/web/config"
    config.write_text(f"{config.read_text()}lxc.start.auto = 1\n")
    said = containers.lab.run(["wakeport", "add", "web", "--runtime=lxc", "--listen=80=80"])
    assert "its config has lxc.start.auto = 1" in said.stderr


@pytest.mark.parametrize("kind", ["empty", "macvlan"])
def test_add_says_why_nothing_reaches_it(containers: Lxc, kind: str) -> None:
    containers.create("web")
    config = containers.lab.root / "var/lib/lxc/web/config"
    config.write_text(config.read_text().replace("type = veth", f"type = {kind}"))
    refused = containers.lab.run(["wakeport", "add", "web", "--runtime=lxc", "--listen=80=80"], check=False)
    assert refused.returncode == 2
    assert f"its network ({kind}) has no link to this host" in refused.stderr
