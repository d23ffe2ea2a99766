"""Processes that die: the container, the supervisor, the proxy, each at every stage of a wake."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.lab import clients
from tests.lab.rounds import rounds
from tests.lab.services import CLASSIC, AddService, Service
from tests.lab.waiting import eventually

A_WAKE = 0.5  # seconds, with some to spare: within it every stage of a wake is met
AWAKE_FOR = 0.3  # seconds, of the half second until it is to sleep

STAGES = ("waking", "awake", "stopping")


@pytest.mark.every_runtime(users="soak")
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("half", ["proxy", "supervisor"])
def test_killed_at_a_random_moment(service: AddService, shape: str, half: str, stage: str) -> None:
    web = service(shape=shape, idle="500ms")
    unit = web.units.proxy if half == "proxy" else web.units.supervisor
    chance = random.Random(f"{half} {stage}")
    wanted = rounds(2, full=20)
    killed = tried = 0
    while killed < wanted:
        assert tried < 5 * wanted, "few kills meet a living process: the moments are chosen badly"
        tried += 1
        killed += _kill_at(web, unit, stage, chance)
        following = web.get()
        assert following.served, following
        web.falls_asleep()


def _kill_at(web: Service, unit: str, stage: str, chance: random.Random) -> bool:
    """Kill a unit's process somewhere in that stage; True where there was one."""
    if stage != "waking":
        assert web.get().served
    if stage == "awake":
        _pass(chance.uniform(0, AWAKE_FOR))
        return web.kill(unit)
    if stage == "stopping":
        eventually("the stop begins", lambda: web.status["state"] in ("stopping", "asleep"))
    # A client that waits: for the wake, or for the stop to be over and for the wake after it.
    with ThreadPoolExecutor() as elsewhere:
        waiting = elsewhere.submit(web.get)
        _pass(chance.uniform(0, A_WAKE))
        killed = web.kill(unit)
    # It may share the proxy's fate, but the port was open, and nobody hangs.
    assert waiting.result().served or waiting.result().cut_off, waiting.result()
    if unit == web.units.supervisor:
        assert waiting.result().served, waiting.result()
    return killed


def _pass(seconds: float) -> None:
    """Let a random time pass: the moment is what is tested."""
    threading.Event().wait(seconds)


@pytest.mark.every_runtime(users="soak")
def test_held_clients_are_served_though_their_supervisor_is_killed(service: AddService) -> None:
    web = service()
    chance = random.Random("held")
    for _ in range(rounds(2, full=20)):
        with ThreadPoolExecutor() as elsewhere:
            held = elsewhere.submit(web.crowd, 20)
            _pass(chance.uniform(0, A_WAKE))
            web.kill(web.units.supervisor)
        assert [str(answer) for answer in held.result() if not answer.served] == []
        web.falls_asleep()


@pytest.mark.every_runtime(users="soak")
def test_live_connection_survives_its_supervisors(service: AddService, shape: str) -> None:
    web = service(shape=shape)
    with clients.connect(web.lab) as live:
        for _ in range(rounds(3, full=20)):
            clients.ask(live)
            killed = web.pids(web.units.supervisor)
            web.kill(web.units.supervisor)
            clients.ask(live)
            _is_succeeded(web, killed)
            clients.ask(live)
            assert web.get().served
        web.reaches("awake")
        assert web.status["owned"], "the successor does not know that the container is wakeport's"
    web.falls_asleep()


def _is_succeeded(web: Service, killed: list[int]) -> None:
    eventually("a successor runs", lambda: web.pids(web.units.supervisor) not in ([], killed))
    eventually("it says awake", lambda: web.active(web.units.supervisor) == "active")


def _by_its_runtime(web: Service) -> None:
    web.containers.kill("web")


def _by_its_pid(web: Service) -> None:
    web.lab.run(["kill", "-KILL", str(web.containers.first_process("web"))])
    eventually("it has ended", lambda: not web.container_runs)


def _stopped(web: Service) -> None:
    web.containers.stop("web")


@pytest.mark.every_runtime(users="soak")
@pytest.mark.parametrize("kill", [_by_its_runtime, _by_its_pid, _stopped])
def test_container_killed_while_awake(
    service: AddService, shape: str, kill: Callable[[Service], None], runtime: str
) -> None:
    if runtime in ("lxc", "nspawn") and kill is _by_its_pid:
        _is_a_fault(service(shape=shape))
        return
    web = service(shape=shape)
    for _ in range(rounds(3, full=20)):
        # Killed within moments of being ready each time: that is not the container's own fault.
        assert web.get().served
        kill(web)
        if shape == CLASSIC:
            # It does not look what became of a connection: who comes before the relay goes is lost with it.
            eventually("the relay has gone", lambda: not web.pids(web.units.proxy))
        following = web.get()
        assert following.served, following
    web.falls_asleep()


@pytest.mark.every_runtime(users="soak")
def test_stopped_by_a_person_while_its_supervisor_gets_no_processor(service: AddService) -> None:
    """Who looks when all is over does not take it for the container's fault either."""
    web = service()
    for _ in range(rounds(2, full=20)):
        assert web.get().served
        web.reaches("awake")
        [pid] = web.pids(web.units.supervisor)
        os.kill(pid, signal.SIGSTOP)
        try:
            web.containers.stop("web")
        finally:
            os.kill(pid, signal.SIGCONT)
        following = web.get()
        assert following.served, following
    web.falls_asleep()


@pytest.mark.parametrize("runtime", ["podman"], indirect=True)
def test_stopped_by_another_client_of_podmans_socket(service: AddService) -> None:
    """Of whom no program is to be seen, and no event tells."""
    web = service()
    for _ in range(rounds(2, full=20)):
        assert web.get().served
        stop = "http://podman/containers/web/stop"
        web.lab.run(["curl", "-sS", "--unix-socket", "/run/podman/podman.sock", "--fail", "-X", "POST", stop])
        following = web.get()
        assert following.served, following
    web.falls_asleep()


def _is_a_fault(web: Service) -> None:
    """For who does not tell it from another end: systemd-nspawn exits with 1, lxc-start with 0."""
    assert web.get().served
    _by_its_pid(web)
    # Said, and not heard: by the time that a client comes, a second may have passed.
    eventually("it counts as one", lambda: web.moments(web.units.supervisor, "the next attempt is made"))
    eventually("the next attempt", lambda: web.get().served)
    web.falls_asleep()


@pytest.mark.every_runtime(users="soak")
def test_container_that_is_killed_under_a_trickle_of_clients(service: AddService) -> None:
    web = service()
    assert web.get().served
    with clients.trickle(web.lab, every=0.02) as answers:
        for _ in range(rounds(2, full=20)):
            web.containers.kill("web")
            assert web.get().served
    lost = [answer for answer in answers if not answer.served]
    # Who was being served when it died shared its fate; nobody was refused, and nobody hung.
    assert [str(answer) for answer in lost if not (answer.cut_off or answer.told_no)] == []
    web.falls_asleep()
