"""Clients that come while the container is about to stop, or stops."""

from __future__ import annotations

import time

import pytest

from tests.lab import clients
from tests.lab.applications import web_server
from tests.lab.rounds import rounds
from tests.lab.runtimes import STOP_TIMEOUT
from tests.lab.services import AddService, Service
from tests.lab.waiting import eventually

BEFORE, AFTER = 0.2, 0.8  # seconds around the decision to stop; a stop takes about 0.3
EVERY = 0.02  # seconds from one client to the next


@pytest.mark.every_runtime(users="soak")
def test_no_client_around_a_stop_is_lost(service: AddService, shape: str, runtime: str) -> None:
    """The first client of each round comes a little later in relation to the decision than that before."""
    web = service(shape=shape, idle="500ms")
    assert web.get().served
    # The race is our own supervisor's and proxy's.
    count = rounds(10 if (runtime, shape) == ("docker", "wakeport") else 4, full=100)
    stops = 0
    for turn in range(count):
        decision = _decision(web) - time.time()
        first = decision - BEFORE + (BEFORE + AFTER) * turn / count
        moments = [first + EVERY * index for index in range(int((decision + AFTER - first) / EVERY) + 1)]
        began = web.status["last_wake"]["at"]
        answers = clients.clients_at(web.lab, moments)
        assert [str(answer) for answer in answers if not answer.served] == [], f"round {turn}"
        stops += web.status["last_wake"]["at"] > began
    assert stops >= count / 2, f"only {stops} of {count} rounds met a stop"
    web.falls_asleep()


@pytest.mark.every_runtime(users="soak")
@pytest.mark.parametrize("killed", [False, True])
def test_client_that_comes_during_a_slow_stop_is_served_after_it(
    service: AddService, shape: str, killed: bool
) -> None:
    """The stop is seen through, also by a successor of the supervisor that began it."""
    stubborn = web_server(obedient=False)
    web = service(shape=shape, idle="500ms", command=stubborn, create=[f"{STOP_TIMEOUT}3"])
    assert web.get().served
    first = web.started_at
    eventually("the stop begins", lambda: web.status["state"] in ("stopping", "asleep"))
    if killed:
        # It says so before it asks for the stop, and killed in between it has begun none: its successor
        # then finds a container that is awake, and leaves it so.
        eventually("the stop has begun", lambda: web.phase == "stopping" or web.status["state"] == "asleep")
        web.kill(web.units.supervisor)
    following = web.get()
    assert following.served, following
    assert web.started_at != first
    web.falls_asleep()


def _decision(web: Service) -> float:
    """When the supervisor is going to stop the container, in seconds of the epoch."""
    eventually("the time to sleep is set", lambda: web.status["sleeps_at"])
    return float(web.status["sleeps_at"])
