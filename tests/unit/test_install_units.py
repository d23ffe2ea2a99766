"""Units of a service that come and go while others stay: those of its listeners, those of its windows."""

from __future__ import annotations

import pytest

from tests.unit.hosts import TestHost, bring, tree, web
from tests.unit.test_install import UNITS
from wakeport import service as services
from wakeport.errors import InTheWay, Problem
from wakeport.install.plan import removal
from wakeport.install.remove import remove

BARE = services.build("web", {})


def test_the_first_listener_brings_its_units_and_the_last_takes_them_along(host: TestHost) -> None:
    bring(host, BARE)
    assert sorted(path.name for path in host.layout.units.iterdir()) == UNITS[:2]
    assert host.systemd.asked == [
        "daemon-reload",
        "enable wakeport-web-container.socket",
        "start wakeport-web-container.socket",
    ]
    before = tree(host.layout.units)
    bring(host, web())
    assert sorted(path.name for path in host.layout.units.iterdir()) == UNITS
    host.systemd.asked.clear()
    bring(host, BARE)
    assert tree(host.layout.units) == before
    assert host.systemd.asked == [
        "stop wakeport-web.socket wakeport-web.service",
        "disable wakeport-web.socket",
        "daemon-reload",
        "reset-failed wakeport-web.socket",
        "reset-failed wakeport-web.service",
        "enable wakeport-web-container.socket",
        "start wakeport-web-container.socket",
    ]
    assert not bring(host, BARE).changes


def test_a_last_listener_that_cannot_go_listens_as_before(host: TestHost) -> None:
    bring(host, web())
    before = tree(host.layout.units)
    host.systemd.asked.clear()
    once = iter([True])
    host.systemd.fails = lambda asked: asked == "daemon-reload" and next(once, False)
    with pytest.raises(Problem, match="daemon-reload"):
        bring(host, BARE)
    assert tree(host.layout.units) == before
    assert host.systemd.asked[-3:] == [
        "daemon-reload",
        "enable wakeport-web.socket",
        "start wakeport-web-container.socket wakeport-web.socket",
    ]


def test_a_first_listener_that_cannot_come_leaves_the_lease_alone(host: TestHost) -> None:
    bring(host, BARE)
    before = tree(host.layout.units)
    host.systemd.asked.clear()
    host.silent = True
    with pytest.raises(Problem, match="nothing listens on 80"):
        bring(host, web())
    assert tree(host.layout.units) == before
    assert not any(asked.startswith("stop") and "container" in asked for asked in host.systemd.asked)


def test_a_unit_of_a_person_s_is_none_of_a_service_s_without_listeners(host: TestHost) -> None:
    host.layout.unit("wakeport-web.socket").write_text("[Socket]\n")
    bring(host, BARE)
    assert host.layout.unit("wakeport-web.socket").read_text() == "[Socket]\n"


KEPT = ["wakeport-web-keep.timer", "wakeport-web-keep.service"]
WINDOW = "Mon..Fri 08:00-18:00"


def test_windows_are_two_units_more_and_one_look_at_the_clock(host: TestHost) -> None:
    bring(host, web())
    host.systemd.asked.clear()
    bring(host, web(keep=WINDOW))
    assert host.systemd.asked == [
        "daemon-reload",
        f"enable wakeport-web-container.socket wakeport-web.socket {' '.join(KEPT)}",
        "start wakeport-web-container.socket wakeport-web.socket",
        f"start {KEPT[0]}",
        f"start --no-block {KEPT[1]}",
    ]
    host.systemd.asked.clear()
    bring(host, web(keep=WINDOW))
    assert host.systemd.asked[2:] == [f"start {KEPT[0]}"]


def test_a_supervisor_that_is_stopped_is_told_of_the_window_again(host: TestHost) -> None:
    bring(host, web(keep=WINDOW))
    host.systemd.asked.clear()
    bring(host, web(keep=WINDOW, container="web2"))
    assert host.systemd.asked[-1] == f"start --no-block {KEPT[1]}"


def test_windows_that_go_take_their_units_along(host: TestHost) -> None:
    bring(host, web())
    before = tree(host.layout.root)
    bring(host, web(keep=WINDOW))
    host.systemd.asked.clear()
    bring(host, web())
    assert host.systemd.asked[:3] == [
        f"stop {' '.join(KEPT)}",
        f"disable {' '.join(KEPT)}",
        "daemon-reload",
    ]
    assert tree(host.layout.root) == before


def test_a_service_with_windows_is_removed_whole(host: TestHost) -> None:
    before = tree(host.layout.root)
    bring(host, web(keep=WINDOW))
    host.systemd.asked.clear()
    remove(host, removal(host.layout, "web"))
    assert tree(host.layout.root) == before
    stopped, disabled, *_ = (asked.split()[1:] for asked in host.systemd.asked)
    assert [unit.rpartition(".")[2] for unit in stopped] == ["socket", "socket", "timer"] + ["service"] * 3
    assert set(KEPT) < set(disabled)


@pytest.mark.parametrize("verb", ["daemon-reload", "enable", "start"])
def test_windows_that_cannot_go_are_put_back(host: TestHost, verb: str) -> None:
    bring(host, web(keep=WINDOW))
    units = {path: text for path, text in tree(host.layout.root).items() if path.startswith("etc/systemd")}
    host.systemd.asked.clear()
    once = iter([True])
    host.systemd.fails = lambda asked: asked.startswith(verb) and next(once, False)
    with pytest.raises(Problem, match=verb):
        bring(host, web())
    after = tree(host.layout.root)
    assert {path: text for path, text in after.items() if path.startswith("etc/systemd")} == units
    assert host.systemd.asked[-2:] == [f"enable {' '.join(KEPT)}", f"start {KEPT[0]}"]


@pytest.mark.parametrize("verb", ["daemon-reload", "enable", "start"])
def test_windows_that_cannot_come_leave_nothing(host: TestHost, verb: str) -> None:
    bring(host, web())
    units = {path: text for path, text in tree(host.layout.root).items() if path.startswith("etc/systemd")}
    once = iter([True])
    host.systemd.fails = lambda asked: asked.startswith(verb) and next(once, False)
    with pytest.raises(Problem, match=verb):
        bring(host, web(keep=WINDOW))
    after = tree(host.layout.root)
    assert {path: text for path, text in after.items() if path.startswith("etc/systemd")} == units


@pytest.mark.parametrize("unit", KEPT)
def test_another_s_timer_is_in_the_way_of_windows_alone(host: TestHost, unit: str) -> None:
    host.layout.unit(unit).write_text("[Unit]\nDescription=mine\n")
    bring(host, web())
    with pytest.raises(InTheWay, match=unit):
        bring(host, web(keep=WINDOW))
    remove(host, removal(host.layout, "web"))
    assert host.layout.unit(unit).read_text() == "[Unit]\nDescription=mine\n"
