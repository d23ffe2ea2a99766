"""When a container sleeps, when it does not, and what is left of it then."""

from __future__ import annotations

import time

import pytest

from tests.lab import clients
from tests.lab.rounds import promised
from tests.lab.services import AddService
from tests.lab.waiting import eventually

IDLE = 3.0  # seconds


@pytest.mark.every_runtime(users="soak")
def test_idle_stop_is_decided_in_time(service: AddService, shape: str) -> None:
    web = service(shape=shape, idle=f"{IDLE:g}s")
    assert web.get().served
    last = web.get()  # of an awake container, so that it leaves when it has come
    assert last.served, last
    eventually("the stop begins", lambda: web.status["state"] in ("stopping", "asleep"))
    decided = time.monotonic() - last.at
    assert IDLE <= decided < IDLE + promised(2), decided
    web.falls_asleep()


@pytest.mark.every_runtime(users="soak")
def test_nothing_of_ours_runs_while_asleep(service: AddService, shape: str) -> None:
    web = service(shape=shape)
    assert not web.processes
    assert web.get().served
    web.falls_asleep()
    everything = web.lab.run(["ps", "-eo", "args"]).stdout
    assert "wakeport" not in everything
    assert web.status["state"] == "asleep"


@pytest.mark.every_runtime(users="soak")
def test_silent_connection_keeps_the_container_awake(service: AddService, shape: str) -> None:
    web = service(shape=shape, idle="1s")
    with clients.connect(web.lab) as silent:
        web.reaches("awake")
        web.stays_awake(4)
        assert clients.ask(silent)
    web.falls_asleep()
