"""No client meets a container before it is ready, by the sign that its service chose."""

from __future__ import annotations

import pytest

from lab import Lab
from tests.lab.programs import READY_LATER, SERVES_ONE, python
from tests.lab.rounds import promised
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.services import AddService, Service

READY_IN_AN_HOUR = READY_LATER.replace("Timer(1,", "Timer(3600,")

HEALTHCHECK = ["--health-cmd=test -e /tmp/ready", "--health-interval=200ms"]


def ready_later(service: AddService, ready: str, *create: str, program: str = READY_LATER) -> Service:
    """A service whose container answers at once, and is ready a second later."""
    return service(
        "web",
        f"--ready={ready}",
        "--ready-within=60s",
        image="python",
        command=python(program),
        create=[DIES_AT_ONCE, *create],
        idle="1h",
    )


@pytest.mark.every_runtime(users="soak")
def test_connect_asks_for_no_more_than_an_answer(service: AddService) -> None:
    """The counterpart of the tests below: without a sign of readiness the client comes too early."""
    assert ready_later(service, "connect", program=READY_IN_AN_HOUR).get().body == "too early"


@pytest.mark.every_runtime(users="soak")
@pytest.mark.parametrize("ready", ["http:/ready", "exec:test -e /tmp/ready"])
def test_first_client_comes_when_it_is_ready(service: AddService, ready: str) -> None:
    assert ready_later(service, ready).get().body == "ready"


def test_first_client_comes_when_it_is_healthy(service: AddService) -> None:
    assert ready_later(service, "health", *HEALTHCHECK).get().body == "ready"


@pytest.mark.every_runtime(users="soak")
def test_exec_leaves_the_first_connection_to_the_first_client(service: AddService, shape: str) -> None:
    """A server of one connection: asked by connecting, it would have spent itself on the question."""
    ready = "exec:test -e /tmp/ready"
    web = service(
        "web",
        f"--ready={ready}",
        shape=shape,
        image="python",
        command=python(SERVES_ONE),
        create=[DIES_AT_ONCE],
    )
    assert web.get().body == "the first"


@pytest.mark.every_runtime(users="soak")
def test_exec_needs_no_shell_and_keeps_quoted_words_together(service: AddService) -> None:
    web = ready_later(service, """exec:python3 -c 'import os; open("/tmp/ready"); os.mkdir("/tmp/$HOME")'""")
    assert web.get().body == "ready"
    made = web.containers.run_in("web", "ls", "/tmp")
    assert "$HOME" in made.split()


@pytest.mark.parametrize(
    ("ready", "missing"),
    [
        ("health", b"HEALTHCHECK to say healthy"),
        ("http:/nowhere/ready", b"/nowhere/ready to answer below 400"),
        ("exec:false", b'"false" to succeed'),
    ],
)
def test_deadline_says_what_was_still_missing(service: AddService, ready: str, missing: bytes) -> None:
    unhealthy = ["--health-cmd=false", "--health-interval=200ms"]
    program = READY_IN_AN_HOUR.replace('"/ready"', '"/nowhere/ready"')
    web = service(
        "web",
        f"--ready={ready}",
        "--ready-within=4s",
        image="python",
        command=python(program),
        create=[DIES_AT_ONCE, *unhealthy],
    )
    answer = web.get()
    assert answer.told_no
    assert b"not ready within 4 s" in answer.data
    assert missing in answer.data
    assert 4 <= answer.seconds < 4 + promised(8)
    web.falls_asleep()


def test_health_without_a_healthcheck_is_refused(lab: Lab) -> None:
    lab.create("web")
    refused = lab.run(["wakeport", "add", "web", "--listen=80", "--ready=health"], check=False)
    assert refused.returncode == 2
    assert "HEALTHCHECK" in refused.stderr
    assert not (lab.root / "etc/wakeport").exists()


def test_container_recreated_without_its_healthcheck(lab: Lab, service: AddService) -> None:
    web = ready_later(service, "health", *HEALTHCHECK)
    lab.docker("rm", "web")
    lab.create("web")
    answer = web.get()
    assert answer.told_no
    assert b"has no HEALTHCHECK" in answer.data
