"""Containers that cannot be started, or not for long, with a crowd at the door."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.lab.applications import ends_at_once, web_server
from tests.lab.clients import Answer
from tests.lab.rounds import promised, rounds
from tests.lab.runtimes import Containers
from tests.lab.services import AddService, Service
from tests.lab.waiting import eventually

ATTEMPTS_AT_MOST = 5  # in ten seconds: at 0, 1, 3 and 7 s, and one for luck
A_MOMENT = promised(1.0)  # seconds within which a client hears what is known


def _remove(containers: Containers) -> None:
    containers.remove("web")


def _exits_at_once(containers: Containers) -> None:
    _remove(containers)
    containers.create("web", image="python", command=ends_at_once())


def _exits_before_it_is_seen(containers: Containers) -> None:
    _remove(containers)
    containers.create("web", image="python", command=["false"])


def _bad_command(containers: Containers) -> None:
    _remove(containers)
    containers.create("web", image="python", command=["/there/is/none"])


def _ends_when_ready(containers: Containers) -> None:
    _remove(containers)
    containers.create("web", image="python", command=web_server(ends_after=0.1))


@pytest.mark.every_runtime(users="soak")
@pytest.mark.parametrize("spoil", [_remove, _exits_at_once, _exits_before_it_is_seen, _bad_command])
def test_crowd_at_a_container_that_cannot_start(
    service: AddService, shape: str, spoil: Callable[[Containers], None]
) -> None:
    web = service(shape=shape)
    spoil(web.containers)
    seconds = rounds(2, full=10)
    answers = web.crowd(100 * seconds, over=seconds)
    _all_heard_in_time(web, answers)
    assert all(answer.told_no for answer in answers), _unlike(answers)
    _few_attempts(web)
    _mended(web)


@pytest.mark.every_runtime(users="soak")
def test_crowd_at_a_container_that_ends_when_it_is_ready(service: AddService, shape: str) -> None:
    web = service(shape=shape)
    _ends_when_ready(web.containers)
    seconds = rounds(2, full=10)
    answers = web.crowd(100 * seconds, over=seconds)
    _all_heard_in_time(web, answers)
    # Who had reached the application in its tenth of a second shared its fate.
    unclear = [answer for answer in answers if not (answer.told_no or answer.served or answer.cut_off)]
    assert [str(answer) for answer in unclear] == []
    # How many these are depends on how long an attempt takes here.
    assert any(answer.told_no for answer in answers)
    _few_attempts(web)
    _mended(web)


def _all_heard_in_time(web: Service, answers: list[Answer]) -> None:
    """Each within a moment of its connect, or of the end of the attempt under way."""
    ends = web.moments(web.units.supervisor, "the next attempt is made")
    late = [
        answer
        for answer in answers
        if answer.seconds > A_MOMENT
        and not any(answer.at < end and answer.at + answer.seconds < end + A_MOMENT for end in ends)
    ]
    assert not late, (ends, [(answer.at, str(answer)) for answer in late])


def _few_attempts(web: Service) -> None:
    assert 1 <= len(web.moments(web.units.supervisor, "the next attempt is made")) <= ATTEMPTS_AT_MOST


def _mended(web: Service) -> None:
    """With nobody's help but the person's who makes the container anew, the next client is served."""
    web.containers.remove("web")
    web.containers.create("web")
    eventually("the back-off is over", lambda: web.is_asleep)  # it stays until then
    after = web.get()
    assert after.served, after
    web.falls_asleep()


def _unlike(answers: list[Answer]) -> list[str]:
    return [str(answer) for answer in answers if not answer.told_no][:10]


def test_reason_gives_the_exit_code_though_the_engine_learns_of_the_end_later(service: AddService) -> None:
    web = service(command=ends_at_once())
    assert "the container exited with code 3 before it was ready" in web.get().body


def test_a_restart_policy_does_not_go_on_where_the_wake_was_given_up(service: AddService) -> None:
    """Docker restarted it for ever, and its next run counted as started by hand."""
    web = service(command=ends_at_once(), create=["--restart=always"])
    for _ in range(2):
        assert "the container exited with code 3 before it was ready" in web.get().body
        _stays_down(web)


def test_a_restart_policy_does_not_bring_back_what_ended_when_it_was_ready(service: AddService) -> None:
    web = service(command=web_server(ends_after=3), create=["--restart=on-failure"], idle="1h")
    assert web.get().served
    _stays_down(web)
    web.lab.docker("update", "--restart=no", "web")
    assert web.get().served


def _stays_down(web: Service) -> None:
    web.falls_asleep()
    state = web.lab.docker("inspect", "--format={{.State.Status}} {{.State.StartedAt}}", "web")
    assert state.startswith("exited "), state
    # Docker waits 0.1 s before the first restart, and twice as long before each further one.
    time.sleep(1)
    assert web.lab.docker("inspect", "--format={{.State.Status}} {{.State.StartedAt}}", "web") == state
