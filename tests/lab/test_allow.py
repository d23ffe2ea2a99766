"""From where clients may come at all: a visitor from elsewhere, whatever the container does."""

from __future__ import annotations

from subprocess import CompletedProcess

import pytest

from lab import Lab
from lab.images import PAGE
from tests.lab.clients import ask, connect
from tests.lab.settings import service_from
from tests.lab.test_proxy_header import ASK
from tests.lab.waiting import eventually

# The visitor has an address of either kind, and may come from one of them.
SETTINGS = """
    idle = "2s"
    allow = ["127.0.0.0/8", "fd99::/64"]

    [[listener]]
    on = "80"
    to = 80
"""


def comes(lab: Lab, host: str) -> CompletedProcess[str]:
    argv = ["ip", "netns", "exec", "visitor", "/usr/bin/python3", "-c", ASK, host, "80", ""]
    return lab.run(argv, check=False)


def is_turned_away(lab: Lab) -> bool:
    return "ConnectionResetError" in comes(lab, "10.99.0.1").stderr


@pytest.mark.usefixtures("visitor")
def test_who_comes_from_elsewhere_wakes_nothing_and_keeps_nothing_awake(lab: Lab) -> None:
    web = service_from(lab, SETTINGS)
    for _ in range(3):
        assert is_turned_away(lab)
    eventually("the proxy gone", lambda: not web.processes)
    assert not web.container_runs
    assert not web.moments(web.units.supervisor, "")
    assert PAGE in comes(lab, "fd99::1").stdout
    with connect(lab) as client:
        assert ask(client) == PAGE
        assert is_turned_away(lab)
    eventually("asleep, however often they come", lambda: is_turned_away(lab) and not web.container_runs)
    web.falls_asleep()
