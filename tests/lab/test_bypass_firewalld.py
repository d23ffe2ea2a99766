"""Awake traffic past the proxy beside firewalld: its zones decide who comes in, asleep and awake."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from lab import Lab
from lab.client import Client
from tests.lab.bypassing import Bypassed, wakes
from tests.lab.visits import visit, visitors
from tests.lab.waiting import eventually

PUBLISHED = ["--publish=127.0.0.1::80"]  # Docker itself lets through to it then, also after a reload
REJECTED = f"[Errno {errno.EHOSTUNREACH}]"
SETTINGS = "/etc/firewalld/zones"


@pytest.fixture
def firewalld(lab: Lab) -> Iterator[Lab]:
    """Docker, which looks for it when it starts, knows of it too."""
    lab.run(["systemctl", "start", "firewalld.service"])
    try:
        lab.run(["systemctl", "restart", "docker.service"])
        yield lab
    finally:
        lab.run(["systemctl", "stop", "firewalld.service"])
        lab.run(["rm", "-rf", SETTINGS])
        lab.run(["systemctl", "restart", "docker.service"])


def permit(lab: Lab, verb: str) -> None:
    """For good, and so with a reload: all rules are made anew, and what is added by iptables is gone."""
    lab.run(["firewall-cmd", "--permanent", "--zone=public", f"--{verb}-port=80/tcp"])
    lab.run(["firewall-cmd", "--reload"])


def test_its_zones_count_asleep_and_awake_and_a_reload_loses_nobody(
    firewalld: Lab, outside: Client, bypassed: Bypassed
) -> None:
    web = bypassed(idle="1h", create=PUBLISHED)
    assert REJECTED in visit(outside).error
    assert web.status.get("state", "asleep") == "asleep"
    permit(firewalld, "add")
    wakes(web, outside)
    eventually("it goes past the proxy", lambda: visit(outside).seen_as == outside.own4)
    assert web.status["bypass"]["gated_by"] == "firewalld filter_INPUT"
    with visitors(outside, every=0.05) as visits:
        firewalld.run(["firewall-cmd", "--reload"])
        eventually("it goes past the proxy again", lambda: visit(outside).seen_as == outside.own4)
    assert {one.error for one in visits} == {""}
    permit(firewalld, "remove")
    eventually("it is kept out", lambda: REJECTED in visit(outside).error)
    assert web.status["state"] == "awake"
    assert REJECTED in visit(outside).error
    said = firewalld.run(["wakeport", "doctor", "web"], check=False).stdout
    assert 'INPUT is filtered ("firewalld filter_INPUT")' in said


def test_doctor_says_that_a_rule_added_by_hand_does_not_last(firewalld: Lab, bypassed: Bypassed) -> None:
    bypassed()
    said = firewalld.run(["wakeport", "doctor", "web"], check=False).stdout
    assert "let it through until firewalld is reloaded: iptables -I DOCKER-USER" in said
    assert "127.0.0.1::80" in said
