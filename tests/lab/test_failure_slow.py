"""An application that takes its time to listen, and one that never does."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.applications import deaf, stubborn, web_server
from tests.lab.rounds import promised
from tests.lab.runtimes import STOP_TIMEOUT
from tests.lab.services import AddService, Service
from tests.lab.waiting import PATIENCE, eventually


@pytest.mark.every_runtime
def test_first_client_is_served_once_a_slow_application_listens(service: AddService, shape: str) -> None:
    web = service(shape=shape, command=web_server(listens_after=3))
    first = web.get()
    assert first.served, first
    assert first.seconds >= 3
    web.falls_asleep()


@pytest.mark.every_runtime
def test_clients_of_an_application_that_never_listens_hear_so_at_the_deadline(
    service: AddService, shape: str
) -> None:
    web = service("web", "--ready-within=3s", shape=shape, command=deaf())
    answers = web.crowd(20)
    assert [str(answer) for answer in answers if not answer.told_no] == []
    waited = [answer.at + answer.seconds - answers[0].at for answer in answers]
    assert min(waited) >= 3
    assert max(waited) < 3 + promised(5), [str(answer) for answer in answers]
    assert "not ready within 3 s: still waiting for the container to answer on " in answers[0].body
    eventually("the container stopped", lambda: not web.container_runs)
    # Within the back-off: answered at once, thus without another attempt.
    again = web.get()
    assert again.told_no, again
    web.falls_asleep()
    assert not web.container_runs


@pytest.mark.every_runtime
def test_a_stop_that_outlasts_the_back_off_is_no_wish_for_another_attempt(service: AddService) -> None:
    """systemd restarted the supervisor when the back-off was over, and it woke the container for nobody."""
    web = service("web", "--ready-within=500ms", command=stubborn(), create=[f"{STOP_TIMEOUT}2"])
    assert web.get().told_no
    web.falls_asleep()
    assert len(web.moments(web.units.supervisor, "the next attempt is made")) == 1


@pytest.mark.every_runtime(daily="docker")
def test_time_spent_cooling_down_is_not_taken_from_the_wake_that_follows(service: AddService) -> None:
    """The deadline was counted from the supervisor's start: after a long enough wait every wake failed."""
    web = service("web", "--ready-within=4s", command=web_server(listens_after=0.5))
    web.containers.rename("web", "away")
    mended = False
    for said in leased(web):
        if not mended and said.get("retry_after", 0) > 3.5:
            web.containers.rename("away", "web")
            mended = True
        if said["state"] == "awake":
            break
        assert "not ready within" not in said.get("reason", "")
    assert web.get().served


def leased(web: Service) -> Iterator[dict[str, Any]]:
    """What is said to somebody who asks for the container all the time, one supervisor after another."""
    while True:
        with socket.socket(socket.AF_UNIX) as lease:
            lease.settimeout(PATIENCE)
            lease.connect(str(web.lab.root / web.units.lease_path[1:]))
            with lease.makefile() as lines, contextlib.suppress(ConnectionResetError):
                yield from map(json.loads, lines)
