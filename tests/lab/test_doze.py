"""The lighter sleep: frozen after a short quiet time, thawed for the next client, stopped in the end."""

from __future__ import annotations

import time

import pytest

from tests.lab import clients
from tests.lab.services import AddService
from tests.lab.waiting import eventually


@pytest.mark.every_runtime(users="daily")
def test_a_quiet_container_is_frozen_thawed_and_stopped_in_the_end(service: AddService) -> None:
    web = service("web", "--doze=300ms", idle="8s")
    assert web.get().served
    web.freezes()
    assert web.pids(web.units.proxy), "the proxy stays for whoever comes"
    again = web.get()
    assert again.served, again
    # On a busy machine it may doze again before anybody looks.
    eventually("it was thawed", lambda: len(web.moments(web.units.supervisor, "web is awake")) == 2)
    web.reaches("dozing")
    web.falls_asleep()


@pytest.mark.every_runtime(users="soak")
def test_a_container_that_was_not_ours_is_not_frozen(service: AddService) -> None:
    web = service("web", "--doze=100ms", idle="300ms")
    web.containers.start("web")
    assert web.get().served
    eventually("nobody holds a lease", lambda: not any(lease["busy"] for lease in web.status["leases"]))
    web.stays_awake(1)
    assert not web.is_frozen


@pytest.mark.every_runtime(users="soak")
def test_what_a_person_froze_is_thawed_by_the_next_client(service: AddService) -> None:
    web = service("web", "--doze=1h", idle="2h")
    with clients.connect(web.lab) as open_one:
        assert clients.ask(open_one)
        web.frozen_by_a_person()
        answer = web.get()
        assert answer.served, answer
        assert clients.ask(open_one)


@pytest.mark.every_runtime(users="soak")
def test_what_a_person_thawed_is_awake(service: AddService) -> None:
    web = service("web", "--doze=500ms", idle="1h")
    assert web.get().served
    web.freezes()
    web.containers.thaw("web")
    eventually("it is noticed", lambda: len(web.moments(web.units.supervisor, "web is awake")) == 2)
    web.freezes()


@pytest.mark.every_runtime(users="soak", daily="docker")
def test_what_a_dozing_service_needs_dozes_too_and_is_not_stopped(service: AddService) -> None:
    """The app finds it again as it left it, with its connections."""
    db = service("db", "--doze=300ms", listen=81, idle="500ms")
    app = service("app", "--doze=300ms", "--needs=db", idle="8s")
    assert app.get().served
    eventually("its wake is noted", lambda: db.status["last_wake"])
    began = db.status["last_wake"]["at"]
    app.reaches("dozing")
    db.reaches("dozing")
    again = time.time()
    assert app.get().served
    app.reaches("dozing")
    db.reaches("dozing", after=again)
    assert began < db.status["last_wake"]["at"], "the app's client has not woken it"
    stopped = db.started_at
    app.falls_asleep()
    db.falls_asleep()
    assert stopped == db.started_at


def test_the_supervisor_of_what_rests_may_crash(service: AddService) -> None:
    db = service("db", listen=81, idle="4s")
    app = service("app", "--doze=300ms", "--needs=db", idle="1h")
    assert app.get().served
    app.reaches("dozing")
    db.kill(db.units.supervisor)
    eventually(
        "the successor knows who rests",
        lambda: [lease["rests"] for lease in db.status["leases"] if lease["who"] == "service app"] == [True],
    )
    db.stays_awake(5)
    assert app.get().served
