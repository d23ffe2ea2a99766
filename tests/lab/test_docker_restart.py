"""The Engine restarted, stopped and started again under services that are awake and asleep."""

from __future__ import annotations

import time

import pytest

from tests.lab import applications, clients
from tests.lab.rounds import promised, rounds
from tests.lab.services import AddService, Service
from tests.lab.waiting import eventually

DOCKER = "docker.service"
DOCKER_SOCKET = "docker.socket"

# Seconds in which a stopped Docker has to stay stopped, if nobody asks for a container.
LEFT_ALONE = 5.0


def test_docker_restarted_while_awake(service: AddService, shape: str) -> None:
    web = service(shape=shape)
    for _ in range(rounds(1, full=5)):
        assert web.get().served
        web.systemctl("reset-failed", DOCKER)  # its own limit: three starts a minute
        web.systemctl("restart", DOCKER)
        following = web.get()
        assert following.served, following
    web.falls_asleep()


def test_docker_restarted_under_a_trickle_of_clients(service: AddService) -> None:
    web = service()
    assert web.get().served
    with clients.trickle(web.lab, every=0.1) as answers:
        web.systemctl("restart", DOCKER)
        after = web.get()
        assert after.served, after
    lost = [answer for answer in answers if not answer.served]
    # Who was being served when Docker took the container down shared its fate.
    assert [str(answer) for answer in lost if not (answer.cut_off or answer.told_no)] == []
    web.falls_asleep()


def test_docker_restarted_while_asleep(service: AddService) -> None:
    web = service()
    assert web.get().served
    web.falls_asleep()
    web.systemctl("restart", DOCKER)
    assert web.is_asleep
    following = web.get()
    assert following.served, following
    web.falls_asleep()


@pytest.mark.usefixtures("live_restore")
def test_docker_restarted_with_live_restore(service: AddService) -> None:
    web = service()
    with clients.connect(web.lab) as live:
        clients.ask(live)
        web.systemctl("restart", DOCKER)
        assert web.container_runs
        clients.ask(live)
        assert web.get().served
    web.falls_asleep()
    following = web.get()
    assert following.served, following


@pytest.mark.usefixtures("live_restore")
def test_container_sleeps_though_docker_was_away_at_its_time(service: AddService) -> None:
    """It used to be left running, said to be asleep, with nobody to stop it."""
    web = service(idle="5s")
    assert web.get().served
    web.systemctl("stop", DOCKER_SOCKET, DOCKER)
    eventually("the stop is tried", lambda: web.moments(web.units.supervisor, "it cannot be stopped"))
    web.systemctl("start", DOCKER_SOCKET, DOCKER)
    web.falls_asleep()


@pytest.mark.usefixtures("live_restore")
def test_a_stop_that_docker_did_not_finish_is_seen_through(service: AddService) -> None:
    """The container ran on, said to be asleep, until the next client came and went."""
    web = service(idle="1s", command=applications.web_server(obedient=False))
    assert web.get().served
    web.reaches("stopping")
    web.systemctl("stop", DOCKER_SOCKET, DOCKER)
    eventually("the stop fails", lambda: web.moments(web.units.supervisor, "the stop failed"))
    web.systemctl("start", DOCKER_SOCKET, DOCKER)
    assert web.container_runs
    web.falls_asleep()


def test_client_wakes_docker_too(service: AddService) -> None:
    web = service()
    web.systemctl("stop", DOCKER)
    first = web.get()
    assert first.served, first
    web.falls_asleep()


@pytest.fixture
def without_docker_socket(service: AddService) -> Service:
    """A service whose Docker nothing but a person starts."""
    web = service()
    web.systemctl("stop", DOCKER_SOCKET, DOCKER)
    return web


def test_stopped_docker_is_the_reason_that_clients_hear(without_docker_socket: Service) -> None:
    web = without_docker_socket
    answers = web.crowd(50, over=2)
    assert [str(answer) for answer in answers if not answer.told_no] == []
    assert max(answer.seconds for answer in answers) < promised(2)
    assert "Docker does not answer on /run/docker.sock" in answers[-1].body
    web.systemctl("start", DOCKER_SOCKET, DOCKER)
    eventually("the next client after the back-off is served", lambda: web.get().served)
    web.falls_asleep()


def test_docker_that_hangs_is_the_reason_that_clients_hear(service: AddService) -> None:
    web = service("web", "--ready-within=3s")
    web.systemctl("kill", "--signal=STOP", DOCKER)
    try:
        answers = web.crowd(10)
        assert [str(answer) for answer in answers if not answer.told_no] == []
        assert "not ready within 3 s" in answers[0].body
    finally:
        web.systemctl("kill", "--signal=CONT", DOCKER)
    eventually("the next client after the back-off is served", lambda: web.get().served)
    web.falls_asleep()


def test_docker_that_is_stopped_while_awake_stays_stopped(service: AddService) -> None:
    web = service()
    assert web.get().served
    web.systemctl("stop", DOCKER)
    stopped = time.monotonic()
    while time.monotonic() - stopped < LEFT_ALONE:
        assert web.active(DOCKER) == "inactive", f"started again after {time.monotonic() - stopped:.1f} s"
        time.sleep(0.1)
    following = web.get()
    assert following.served, following
    web.falls_asleep()
