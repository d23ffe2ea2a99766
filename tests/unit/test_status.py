from __future__ import annotations

from typing import Any

import pytest

from tests.unit.zone import zone
from wakeport.cli.status import cells
from wakeport.service import build
from wakeport.status import clients, report

WEB = build("web", {"listener": [{"on": "80", "to": 8080}, {"on": "/run/web.sock", "to": 8080}]})
NOW = 1_000_000.0

AWAKE = {
    "state": "awake",
    "since": NOW - 1.2,
    "container": "web",
    "container_id": "abc",
    "owned": True,
    "waits_for": None,
    "targets": {"8080/tcp": ["172.17.0.2", 8080]},
    "last_wake": {
        "at": NOW - 1.4,
        "seconds": 0.231,
        "stages": {"called": 0.01, "running": 0.2, "ready": 0.231},
    },
    "leases": [],
    "kept": [],
    "sleeps_at": NOW + 598,
    "failure": None,
}
BROKEN = {
    **AWAKE,
    "state": "failed",
    "failure": {"reason": "it exited with 1", "attempts": 3, "retry_at": NOW + 4},
}


def states(supervisor: str = "active", socket: str = "active") -> dict[str, dict[str, str]]:
    return {
        "wakeport-web.socket": {"ActiveState": socket},
        "wakeport-web-container.socket": {"ActiveState": "active"},
        "wakeport-web-container.service": {"ActiveState": supervisor},
    }


def row(known: dict[str, Any], supervisor: str = "active", socket: str = "active") -> str:
    found = report(WEB, states(supervisor, socket), known, NOW)
    name, listeners, *rest = cells(found, NOW)
    return "  ".join(text for text in (name, listeners, found["state"], *rest) if text)


def test_a_report_has_what_scripts_rely_on() -> None:
    assert report(WEB, states(), AWAKE, NOW) == {
        "name": "web",
        "mode": "shared",
        "state": "awake",
        "since": NOW - 1.2,
        "idle": "10min",
        "listeners": [{"on": "80", "to": 8080}, {"on": "/run/web.sock", "to": 8080}],
        "needs": [],
        "image": None,
        "connections": None,
        "container": "web",
        "container_id": "abc",
        "owned": True,
        "waits_for": None,
        "memory": None,
        "last_wake": AWAKE["last_wake"],
        "leases": [],
        "bypass": None,
        "kept_awake_by": [],
        "kept": [],
        "dozes_in": None,
        "sleeps_in": 598,
        "failure": None,
    }


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (AWAKE, "awake  1.2 s ago  woke in 231 ms  sleeps in 9 min 58 s"),
        ({**AWAKE, "owned": False}, "awake  1.2 s ago  woke in 231 ms  started by hand, stays up"),
        ({**AWAKE, "sleeps_at": None}, "awake  1.2 s ago  woke in 231 ms"),
        (
            {**AWAKE, "sleeps_at": None, "leases": [{"who": "proxy", "busy": True, "use": ["a", "b"]}]},
            "awake  1.2 s ago  woke in 231 ms  2 connections from a, b",
        ),
        (
            {
                **AWAKE,
                "at_work": "37% of a processor",
                "leases": [
                    {"who": "proxy", "busy": True, "use": ["10.0.0.7:51234"], "last": [NOW - 180]},
                    {"who": "service app", "busy": True, "use": []},
                    {"who": "proxy", "busy": False, "use": []},
                ],
            },
            "awake  1.2 s ago  woke in 231 ms  1 connection from 10.0.0.7:51234, 3 min silent; service app; "
            "at work: 37% of a processor",
        ),
        (
            {**AWAKE, "dozes_at": NOW + 28},
            "awake  1.2 s ago  woke in 231 ms  dozes in 28 s, sleeps in 9 min 58 s",
        ),
        ({**AWAKE, "state": "dozing"}, "dozing  1.2 s ago  woke in 231 ms  sleeps in 9 min 58 s"),
        ({**AWAKE, "state": "waking", "waits_for": "health"}, "waking  1.2 s ago  waits for health"),
        (BROKEN, "failed  1.2 s ago  it exited with 1; next attempt in 4.0 s"),
    ],
)
def test_a_row_of_the_table(known: dict[str, Any], said: str) -> None:
    assert row(known) == f"web  :80 /run/web.sock  {said}"


@pytest.mark.parametrize(
    ("supervisor", "known", "state"),
    [
        ("inactive", {}, "asleep"),
        ("inactive", {**AWAKE, "state": "asleep"}, "asleep"),
        ("inactive", AWAKE, "asleep"),
        ("failed", AWAKE, "asleep"),
        ("inactive", BROKEN, "failed"),
        ("activating", {}, "waking"),
        ("activating", AWAKE, "waking"),
        ("activating", {**AWAKE, "state": "asleep"}, "waking"),
        ("activating", BROKEN, "failed"),
        ("deactivating", AWAKE, "stopping"),
        ("active", AWAKE, "awake"),
    ],
)
def test_a_stale_word_is_not_believed(supervisor: str, known: dict[str, Any], state: str) -> None:
    found = report(WEB, states(supervisor), known, NOW)
    assert found["state"] == state
    if state != known.get("state"):
        assert (found["since"], found["sleeps_in"], found["leases"], found["owned"]) == (
            None,
            None,
            [],
            False,
        )


def test_a_port_that_nobody_holds_is_a_failure() -> None:
    assert (
        row({}, "inactive", "failed") == "web  :80 /run/web.sock  failed  wakeport-web.socket does not listen"
    )


def test_a_port_that_was_closed_under_a_container_that_is_awake() -> None:
    assert row(AWAKE, "active", "inactive").endswith(
        "awake  1.2 s ago  woke in 231 ms  wakeport-web.socket does not listen"
    )


def test_without_listeners_there_is_no_port_to_be_closed() -> None:
    found = report(build("web", {}), states("inactive", "inactive"), {}, NOW)
    assert (found["state"], found["failure"], found["listeners"]) == ("asleep", None, [])


def test_one_that_never_sleeps() -> None:
    forever = report(
        build("web", {"idle": "infinity", "listener": [{"on": "80"}]}),
        states(),
        {**AWAKE, "sleeps_at": None},
        NOW,
    )
    assert cells(forever, NOW)[-1] == "never sleeps"


def test_who_is_silent_but_open_is_told_as_what_it_is_not_stopped_under() -> None:
    silent = {"who": "proxy", "busy": False, "rests": True, "use": ["10.0.0.7:5"], "last": [NOW - 7200]}
    dozing = {**AWAKE, "state": "dozing", "leases": [silent], "sleeps_at": None}
    assert row(dozing).endswith("not stopped under 1 connection from 10.0.0.7:5, 2 h silent")
    assert clients([silent, {"who": "service app", "busy": False}]) == ["10.0.0.7:5"]


def test_the_table_tells_udp_from_tcp() -> None:
    several = build("web", {"listener": [{"on": on, "to": 53} for on in ("53/udp", "53", "[::1]:54/udp")]})
    _, listeners, *_ = cells(report(several, states(), {}, NOW), NOW)
    assert listeners == ":53/udp :53 [::1]:54/udp"


SIX = 1_000_000.0 - 1_000_000 % 86400 + 18 * 3600  # on the evening of NOW's day


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ([{"by": "hand", "until": SIX}], "kept by hand until 18:00"),
        ([{"by": "calendar", "until": SIX + 30}], "kept by calendar until 18:00:30"),
        ([{"by": "hand", "until": SIX + 86400}], "kept by hand until 1970-01-13 18:00"),
        ([{"by": "hand", "until": None}, {"by": "calendar", "until": SIX}], "kept by hand"),
        (
            [{"by": "hand", "until": NOW - 1}, {"by": "calendar", "until": SIX}],
            "kept by calendar until 18:00",
        ),
    ],
)
def test_a_row_of_one_that_is_kept(kept: list[dict[str, Any]], said: str) -> None:
    with zone("UTC"):
        known = {**AWAKE, "sleeps_at": None, "kept": kept}
        assert row(known).endswith(f"woke in 231 ms  {said}")
        known["leases"] = [{"who": "proxy", "busy": True, "use": ["a"]}]
        assert row(known).endswith(f"1 connection from a; {said}")


def test_what_a_supervisor_that_is_gone_has_said_of_a_keep() -> None:
    stale = {**AWAKE, "kept": [{"by": "hand", "until": None}]}
    assert report(WEB, states("inactive"), stale, NOW)["kept"] == []
    assert report(WEB, states("activating"), stale, NOW)["kept"] == stale["kept"]
    assert report(WEB, states(), {"state": "awake"}, NOW)["kept"] == []  # an older version's


def test_who_keeps_it_awake() -> None:
    leases: list[dict[str, Any]] = [
        {"who": "proxy", "busy": True, "use": ["10.0.0.7:51234", "10.0.0.8:1"]},
        {"who": "api", "busy": False, "use": []},
        {"who": "wakeport keep", "busy": True},
        {"who": None, "busy": True, "use": []},
    ]
    assert clients(leases) == ["10.0.0.7:51234", "10.0.0.8:1", "wakeport keep", "somebody"]
