"""A client at a random moment around the decision to doze or to stop; a kill at a random moment of either."""

from __future__ import annotations

import random
import threading
import time

import pytest

from tests.lab.fleet import fleet, run
from tests.lab.rounds import rounds
from tests.lab.services import AddService, Service
from tests.lab.waiting import eventually
from wakeport.proxy.linger import RELEASE_AFTER

ROUNDS = rounds(200, full=2000)


def share(runtime: str, rounds: int = ROUNDS) -> int:
    """The races are the supervisor's own, whoever runs the container; who is not Docker gets a tenth."""
    return rounds if runtime == "docker" else rounds // 10


DOZE, IDLE = 0.15, 0.5  # seconds
A_STOP = 0.5  # seconds that it takes, with a margin
A_WAKE = 0.5


def wakes(web: Service) -> float:
    """When it did last, as far as its status tells that yet; its client may know before."""
    last = web.status.get("last_wake")
    return float(last["at"]) if last else 0.0


@pytest.mark.every_runtime(users="soak")
@pytest.mark.parametrize("depth", ["doze", "stop"])
def test_a_client_at_any_moment_around_the_decision_is_served(
    service: AddService, shape: str, depth: str, runtime: str
) -> None:
    if depth == "doze":
        services = fleet(service, f"--doze={DOZE}", idle="1h", shape=shape)
        decision, spread = RELEASE_AFTER + DOZE, (-0.1, 0.15)
    else:
        services = fleet(service, idle=f"{IDLE}", shape=shape)
        decision, spread = RELEASE_AFTER + IDLE, (-0.15, A_STOP)
    if shape != "wakeport":
        decision += 1.0  # socket-proxyd lingers before the starter gives its lease up
    met: list[bool] = []

    def one(web: Service, moments: random.Random) -> str:
        before = wakes(web)
        time.sleep(decision + moments.uniform(*spread))
        answer = web.get()
        met.append(wakes(web) > before)
        return "" if answer.served else str(answer)

    for web in services:
        assert web.get().served
    assert run(services, share(runtime) // (1 if shape == "wakeport" else 10), one) == []
    assert sum(met) > len(met) / 10, f"only {sum(met)} of {len(met)} rounds met a {depth}"
    if depth == "doze":
        for web in services:
            web.systemctl("stop", web.units.supervisor)
    for web in services:
        web.falls_asleep()


@pytest.mark.every_runtime(users="soak")
def test_killed_at_any_moment_of_a_wake_a_doze_and_a_stop(service: AddService, runtime: str) -> None:
    """The next client is served, no container is left frozen, and all sleep in the end."""
    services = fleet(service, f"--doze={DOZE}", idle=f"{IDLE}")
    killed: list[str] = []

    def one(web: Service, moments: random.Random) -> str:
        unit = moments.choice([web.units.supervisor, web.units.proxy])
        phase = moments.choice(["wake", "doze", "stop"])
        if phase == "wake":
            eventually("asleep", lambda: not web.container_runs, within=60)
            visitor = threading.Thread(target=web.get)
            visitor.start()
            time.sleep(moments.uniform(0, A_WAKE))
        else:
            visitor = None
            if not (answer := web.get()).served:
                return f"before the kill: {answer}"
            at = RELEASE_AFTER + (DOZE if phase == "doze" else IDLE)
            time.sleep(at + moments.uniform(-0.05, 0.1 if phase == "doze" else A_STOP))
        if web.kill(unit):
            killed.append(phase)
        answer = web.get()
        if visitor is not None:
            visitor.join()
        return "" if answer.served else f"{unit} killed in a {phase}: {answer}"

    for web in services:
        assert web.get().served
    kills = share(runtime)
    assert run(services, kills, one) == []
    assert len(killed) > kills / 4, f"only {len(killed)} of {kills} met a process"
    for web in services:
        web.falls_asleep()
    assert services[0].containers.running() == []
