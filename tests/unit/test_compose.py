"""A project becomes services that need each other as it says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeport import compose
from wakeport.errors import BadInput
from wakeport.runtimes.container import Container
from wakeport.runtimes.docker.project import depends_on
from wakeport.runtimes.project import COMPLETED, HEALTHY, STARTED, Member
from wakeport.service import build

LISTENS: dict[str, Any] = {"web": [{"on": "80", "to": 8080}]}


def member(service: str, **depends: str) -> Member:
    container = Container()
    container.name = f"shop-{service}-1"
    return Member(service, container, depends)


def made(*members: Member, listeners: Any = LISTENS, without: tuple[str, ...] = ()) -> compose.Made:
    return compose.services("shop", members, listeners, without, {"idle": "1h"})


def test_what_one_depends_on_is_made_first_and_needed() -> None:
    found = made(member("web", db=HEALTHY, cache=STARTED), member("db"), member("cache"))
    assert list(found.services) == ["shop-db", "shop-cache", "shop-web"]
    assert found.services["shop-web"] == {
        "container": "shop-web-1",
        "needs": ["shop-db", "shop-cache"],
        "listener": LISTENS["web"],
        "idle": "1h",
    }
    assert found.services["shop-db"] == {"container": "shop-db-1", "ready": "health", "idle": "10s"}
    assert found.services["shop-cache"] == {"container": "shop-cache-1", "idle": "10s"}


def test_who_is_reached_by_nobody_wakes_with_those_that_listen() -> None:
    found = made(member("web"), member("worker", db=STARTED), member("db"))
    assert found.services["shop-web"]["needs"] == ["shop-worker"]
    assert found.services["shop-worker"]["needs"] == ["shop-db"]


def test_who_depends_on_the_one_that_listens_is_left_to_others() -> None:
    found = made(member("web"), member("exporter", web=STARTED))
    assert "needs" not in found.services["shop-web"]
    assert found.remarks == ["exporter depends on web itself, so web does not wake it"]


def test_what_runs_to_its_end_is_no_company() -> None:
    found = made(member("web", migrate=COMPLETED), member("migrate"), without=("migrate",))
    assert list(found.services) == ["shop-web"]
    found = made(member("web", migrate=COMPLETED), member("migrate"))
    assert "migrate runs to its end before web" in found.remarks[0]


@pytest.mark.parametrize(
    ("members", "without", "said"),
    [
        ((), (), "no container belongs to a project shop"),
        ((member("db"),), (), "project shop has no service web"),
        ((member("web"),), ("db",), "project shop has no service db"),
        ((member("web"), member("web")), (), "web has several containers"),
        ((member("web", a=STARTED), member("a", b=STARTED), member("b", a=STARTED)), (), "each waits"),
    ],
)
def test_what_is_no_project_of_ours_is_refused(
    members: tuple[Member, ...], without: tuple[str, ...], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        made(*members, without=without)


@pytest.mark.parametrize(
    ("label", "found"),
    [
        ("", {}),
        ("db:service_healthy:false,cache:service_started:true", {"db": HEALTHY, "cache": STARTED}),
        ("db", {"db": STARTED}),
    ],
)
def test_the_label_of_what_it_depends_on(label: str, found: dict[str, str]) -> None:
    assert depends_on(label) == found


NAMES = st.sampled_from("abcdef")


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, st.sampled_from([STARTED, HEALTHY, COMPLETED]))), NAMES)
def test_any_project_is_services_without_a_circle_or_bad_input(
    depends: dict[str, dict[str, str]], listening: str
) -> None:
    members = [member(service, **needs) for service, needs in depends.items()]
    try:
        found = made(*members, listeners={listening: [{"on": "80", "to": 80}]})
    except BadInput:
        return
    there: list[str] = []
    for name, settings in found.services.items():
        assert set(build(name, settings).needs) <= set(there)
        there.append(name)
    assert len(there) == len(depends)
