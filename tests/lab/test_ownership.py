"""What a person starts stays up; what wakeport woke sleeps; and who may say otherwise."""

from __future__ import annotations

import time

import pytest

from tests.lab.clients import ask, connect
from tests.lab.services import AddService, Service
from tests.lab.waiting import eventually

IDLE = 1.0  # seconds, of every service here


def stays_up(service: Service) -> bool:
    """Whether the container runs three idle times later; that nothing happens has no event to wait for."""
    time.sleep(3 * IDLE)
    return service.container_runs


def by_hand(service: Service) -> str:
    """Start the container as a person does; what its runtime says of when that was."""
    service.containers.start(service.container)
    return service.started_at


@pytest.mark.every_runtime
def test_started_by_hand_it_stays_up_after_its_last_client(service: AddService) -> None:
    web = service(idle="1s")
    by_hand(web)
    assert web.get().served
    web.reaches("awake")
    assert web.status["owned"] is False
    assert web.status["sleeps_at"] is None
    assert stays_up(web)
    web.systemctl("stop", web.units.supervisor)
    assert web.container_runs
    assert web.get().served


@pytest.mark.every_runtime
def test_stopped_by_hand_it_is_wakeports_from_the_next_wake_on(service: AddService) -> None:
    web = service(idle="1s")
    by_hand(web)
    assert web.get().served
    web.containers.stop("web")
    assert web.get().served
    web.falls_asleep()


@pytest.mark.every_runtime
def test_adopted_it_sleeps_though_started_by_hand(service: AddService) -> None:
    web = service("web", "--adopt", idle="1s")
    started = by_hand(web)
    assert web.get().served
    assert web.started_at == started
    web.falls_asleep()


def test_adopt_by_apply_while_it_is_awake(service: AddService) -> None:
    web = service(idle="1s")
    by_hand(web)
    assert web.get().served
    settings = web.lab.root / "etc/wakeport/web.toml"
    settings.write_text(settings.read_text().replace("\n\n[[listener]]", "\nadopt = true\n\n[[listener]]", 1))
    web.lab.run(["wakeport", "apply", "web"])
    web.falls_asleep()


def test_add_says_what_becomes_of_a_container_that_runs(service: AddService) -> None:
    web = service(idle="1s")
    web.lab.run(["wakeport", "remove", "web"])
    by_hand(web)
    said = web.lab.run(["wakeport", "add", "web", "--listen=80", "--idle=1s"]).stdout
    assert "started by hand: stays up until you stop it; --adopt lets it sleep" in said
    web.lab.run(["wakeport", "remove", "web"])
    assert web.container_runs
    said = web.lab.run(["wakeport", "add", "web", "--listen=80", "--idle=1s", "--adopt"]).stdout
    assert "sleeps 1s after its last client" in said
    assert web.get().served
    web.falls_asleep()


def test_sleep_does_not_see_a_client_that_has_just_left(service: AddService) -> None:
    web = service(idle="1h")
    assert web.get().served
    web.lab.run(["wakeport", "sleep", "web"])
    assert not web.container_runs
    assert web.get().served


def test_sleep_names_live_clients_and_wants_force(service: AddService) -> None:
    web = service(idle="1h")
    with connect(web.lab) as client:
        ask(client)
        host, port = client.getsockname()
        refused = web.lab.run(["wakeport", "sleep", "web"], check=False)
        assert refused.returncode == 5
        assert f"{host}:{port}" in refused.stderr
        assert "--force" in refused.stderr
        assert ask(client).startswith("<!doctype html>")
        web.lab.run(["wakeport", "sleep", "--force", "web"])
        assert not web.container_runs
    assert web.get().served


def test_wake_returns_when_it_is_ready(service: AddService) -> None:
    web = service(idle="1s")
    web.lab.run(["wakeport", "wake", "web"])
    returned = time.time()
    eventually("the wake is noted", lambda: web.status["last_wake"])
    wake = web.status["last_wake"]
    assert wake["at"] + wake["seconds"] <= returned + 0.001  # both are rounded
    web.falls_asleep()
