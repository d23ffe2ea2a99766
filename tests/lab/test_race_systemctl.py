"""Units started and stopped by hand, in any order."""

from __future__ import annotations

import random
from itertools import permutations

import pytest

from tests.lab.rounds import rounds
from tests.lab.services import AddService
from tests.lab.waiting import eventually


@pytest.mark.every_runtime(users="soak", daily="docker")
def test_unit_started_by_hand_wakes_the_container(service: AddService) -> None:
    web = service(idle="4s")
    for unit in (web.units.supervisor, web.units.proxy):
        web.systemctl("start", unit)
        web.reaches("awake")
        assert web.container_runs
        assert web.get().served
        web.falls_asleep()


@pytest.mark.every_runtime(users="soak")
def test_supervisor_stopped_by_hand_stops_the_container(service: AddService) -> None:
    web = service()
    assert web.get().served
    web.systemctl("stop", web.units.supervisor)
    assert not web.container_runs
    following = web.get()
    assert following.served, following
    web.falls_asleep()


@pytest.mark.parametrize("which", ["proxy", "supervisor", "lease", "socket"])
def test_next_client_is_served_after_one_unit_was_stopped_and_started(
    service: AddService, which: str
) -> None:
    web = service()
    unit = getattr(web.units, which)
    for awake in (True, False):
        if awake:
            assert web.get().served
        else:
            web.falls_asleep()
        web.systemctl("stop", unit)
        web.systemctl("start", unit)
        following = web.get()
        assert following.served, (awake, following)
    web.falls_asleep()


def test_stopped_lease_socket_does_not_close_the_port(service: AddService) -> None:
    web = service()
    assert web.get().served
    web.systemctl("stop", web.units.lease)
    following = web.get()
    assert following.served, following
    web.falls_asleep()


def test_socket_that_is_restarted_often_stays_open(service: AddService) -> None:
    """systemd's usual limit of five starts in ten seconds closed the port for good."""
    web = service()
    for _ in range(7):
        web.systemctl("stop", web.units.socket, web.units.lease)
        web.systemctl("start", web.units.socket, web.units.lease)
    assert web.get().served
    web.falls_asleep()


@pytest.mark.every_runtime(users="soak")
def test_units_stopped_and_started_in_any_order(service: AddService) -> None:
    web = service()
    units = (web.units.socket, web.units.proxy, web.units.lease, web.units.supervisor)
    orders = list(permutations(units))
    chance = random.Random("any order")
    for stop_order in chance.sample(orders, rounds(3, full=len(orders))):
        start_order = chance.choice(orders)
        for unit in stop_order:
            web.systemctl("stop", unit)
        eventually("everything is down", lambda: not web.processes and not web.container_runs)
        for unit in start_order:
            web.systemctl("start", unit)
        following = web.get()
        assert following.served, (stop_order, start_order, following)
    web.falls_asleep()
