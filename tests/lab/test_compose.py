"""A Compose project, known by its labels alone: no `docker compose` has made it, and none is there."""

from __future__ import annotations

import pytest

from lab import Lab
from tests.lab import clients
from tests.lab.applications import web_server
from tests.lab.runtimes.docker import Docker
from tests.lab.services import Service
from tests.lab.waiting import eventually

HEALTHY = ["--health-cmd=test -e /tmp/ready", "--health-interval=200ms"]
DATABASE = ["sh", "-c", "trap 'exit 0' TERM; touch /tmp/ready; sleep infinity & wait"]


def create(lab: Lab, service: str, *options: str, depends_on: str = "", command: list[str]) -> None:
    labels = {"project": "shop", "service": service, "oneoff": "False", "depends_on": depends_on}
    words = [f"--label=com.docker.compose.{key}={label}" for key, label in labels.items()]
    lab.create(f"shop-{service}-1", *words, *options, image="python", command=command)


@pytest.fixture
def shop(lab: Lab) -> Lab:
    """A web server that needs a healthy database, a worker that needs it too, and a job that was run."""
    create(lab, "web", depends_on="db:service_healthy:false", command=web_server())
    create(lab, "db", *HEALTHY, command=DATABASE)
    create(lab, "worker", depends_on="db:service_started:false", command=DATABASE)
    lab.create(
        "shop-run-7", "--label=com.docker.compose.project=shop", "--label=com.docker.compose.oneoff=True"
    )
    return lab


def running(lab: Lab) -> list[str]:
    return sorted(lab.docker("ps", "--format={{.Names}}").split())


def test_a_project_wakes_and_sleeps_as_a_whole(shop: Lab) -> None:
    shop.run(["wakeport", "compose", "shop", "--listen=80=web:80", "--idle=1s"])
    web = Service(Docker(shop), "shop-web", "shop-web-1", 80)
    with clients.connect(shop):  # so that it does not sleep before it has been looked at
        answer = web.get()
        assert answer.served, answer
        assert running(shop) == ["shop-db-1", "shop-web-1", "shop-worker-1"]
        started = "--format={{.State.StartedAt}}"
        db, server = (shop.docker("inspect", started, f"shop-{one}-1") for one in ("db", "web"))
        assert db < server
    eventually("all are stopped", lambda: running(shop) == [])
    assert web.get().served
    shop.run(["wakeport", "doctor"])
    for name in ("shop-web", "shop-worker", "shop-db"):
        shop.run(["wakeport", "remove", name])
    assert not (shop.root / "etc/wakeport").exists() or not list((shop.root / "etc/wakeport").iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["shop", "--listen=80=nobody"], 2, "project shop has no service nobody"),
        (["shop", "--listen=80"], 2, "names no service of the project"),
        (["shop", "--listen=80=web"], 2, "exposes no TCP port"),
        (["nowhere", "--listen=80=web"], 2, "no container belongs to a project nowhere"),
    ],
)
def test_what_is_wrong_leaves_nothing_behind(shop: Lab, arguments: list[str], code: int, said: str) -> None:
    refused = shop.run(["wakeport", "compose", *arguments], check=False)
    assert (refused.returncode, said in refused.stderr) == (code, True), refused.stderr
    assert not (shop.root / "etc/wakeport").exists()


def test_a_dry_run_changes_nothing(shop: Lab) -> None:
    printed = shop.run(["wakeport", "compose", "shop", "--listen=80=web:80", "--dry-run"]).stdout
    assert '+needs = ["shop-db", "shop-worker"]' in printed
    assert not (shop.root / "etc/wakeport").exists()
