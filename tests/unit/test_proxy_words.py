"""What the unit says to the proxy is what the proxy understands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from tests.unit.command_line import systemd_reads
from tests.unit.test_units import FACTS, values
from tests.unit.test_written import listeners
from wakeport import units
from wakeport.errors import BadInput
from wakeport.proxy.options import Options
from wakeport.service import Service, build

KNOWN = FACTS._replace(exposed=("80/tcp", "53/udp"))


def words(service: Service) -> list[str]:
    """As the proxy gets them through systemd."""
    unit = units.units(service, KNOWN)["wakeport-web.service"]
    return systemd_reads(values(unit, "ExecStart")[0])[3:]


def web(*listeners: dict[str, Any], **settings: Any) -> Service:
    return build("web", {**settings, "listener": list(listeners)})


BARE = ["name=web", "lease=/run/wakeport/web.lease", "ready_within=90", "answer_within=15", "hold_max=16384"]


def test_only_what_is_no_default_is_said() -> None:
    assert words(web({"on": "80"}, {"on": "53/udp"})) == [*BARE, "target=80/tcp", "target=53/udp"]


ALLOW = ["10.0.0.0/8", "fd00::/8"]


def test_everything_is_said_after_its_target() -> None:
    stream = {
        "on": "80",
        "to": "/run/a b.sock",
        "send_proxy": "v2",
        "accept_proxy": ["10.0.0.1", "fd00::/8"],
        "page": "3s",
        "page_file": "/srv/50 %.html",
        "wake_on": "data",
        "rule": [{"path": "/$x", "then": '200 "asleep"'}, {"then": "close"}],
    }
    said = words(
        web(stream, {"on": "53/udp", "flow_idle": "1500ms"}, hold_max=5, hold_for="2min", allow=ALLOW)
    )
    assert said == [
        *BARE[:4],
        "hold_max=5",
        "hold_for=120",
        "allow=10.0.0.0/8",
        "allow=fd00::/8",
        "status=/run/wakeport/web/status.json",
        "target=/run/a b.sock",
        "send_proxy=v2",
        "accept_proxy=10.0.0.1",
        "accept_proxy=fd00::/8",
        "page=3",
        "page_file=/srv/50 %.html",
        "wake_on=data",
        'rule={"path": ["/$x"], "then": "200 \\"asleep\\""}',
        'rule={"then": "close"}',
        "target=53/udp",
        "flow_idle=1.5",
    ]
    assert Options(said).allow == ALLOW
    first, second = Options(said).listeners
    assert (first.page, first.wake_on, first.page_file) == (3, "data", "/srv/50 %.html")
    assert first.rules == [{"path": ["/$x"], "then": '200 "asleep"'}, {"then": "close"}]
    assert (second.target, second.flow_idle) == ("53/udp", 1.5)


@given(listeners)
def test_the_proxy_understands_whatever_makes_sense(listener: dict[str, Any]) -> None:
    try:
        service = web(listener)
    except BadInput:
        return
    options = Options(words(service))
    [said], [meant] = options.listeners, service.listener
    assert said.judges == meant.judges
    assert said.page == meant.page.seconds
    assert said.flow_idle == meant.flow_idle.seconds
    assert [sorted(rule) for rule in said.rules] == [sorted([*r.conditions, "then"]) for r in meant.rule]
    assert said.rules == [json.loads(r.word) for r in meant.rule]


def test_who_judges_is_told_where_to_look_whether_the_container_is_awake() -> None:
    assert "status=/run/wakeport/web/status.json" in words(web({"on": "80", "wake_on": "data"}))
    assert "status=/run/wakeport/web/status.json" in words(web({"on": "80", "rule": [{"then": "close"}]}))
    assert not [word for word in words(web({"on": "80"})) if word.startswith("status=")]


def test_where_a_client_is_judged_first_nothing_but_a_lease_wakes() -> None:
    for judging in ({"wake_on": "data"}, {"rule": [{"then": "close"}]}, {"accept_proxy": ["10.0.0.1"]}):
        unit = units.units(web({"on": "81"}, {"on": "80", **judging}), KNOWN)["wakeport-web.service"]
        assert values(unit, "Wants") == ["wakeport-web-container.socket"]
        [after] = values(unit, "After")
        assert {"wakeport-web.socket", "wakeport-web-container.socket"} <= set(after.split())
        assert "wakeport-web-container.service" not in after


def test_where_not_everybody_may_come_nothing_but_a_lease_wakes() -> None:
    unit = units.units(web({"on": "80"}, {"on": "53/udp"}, allow=ALLOW), KNOWN)["wakeport-web.service"]
    assert values(unit, "Wants") == ["wakeport-web-container.socket"]
    assert "wakeport-web-container.service" not in values(unit, "After")[0]


def test_the_supervisor_hears_each_target_once() -> None:
    service = web(
        {"on": "80"},
        {"on": "53", "to": 53},
        {"on": "53/udp"},
        {"on": "/run/web.sock"},
        {"on": "81", "to": "/run/a b.sock"},
    )
    said = units.supervisor_command(service, KNOWN)
    assert [word for word in said if word.startswith("target=")] == [
        "target=80/tcp",
        "target=53/tcp",
        "target=53/udp",
        "target=/run/a b.sock",
    ]


def test_more_rules_than_a_command_line_holds() -> None:
    rules = [{"path": f"/{number:04}", "then": f"200 {'x' * 900}"} for number in range(600)]
    with pytest.raises(BadInput, match="more rules and networks than fit"):
        words(web({"on": "80", "rule": rules}))
