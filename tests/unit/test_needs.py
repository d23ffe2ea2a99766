"""Which services need which: circles are found by name, and every chain has its order and its length."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeport import needs
from wakeport.service import Service, build

NAMES = "abcdef"


def one(name: str, *needed: str, within: int = 90) -> Service:
    return build(name, {"container": "x1", "needs": list(needed), "ready_within": within})


@st.composite
def some_services(draw: st.DrawFn, forwards: bool = False) -> list[Service]:
    """Any needs at all; with `forwards` only of later names, so that there can be no circle."""
    found = []
    for index, name in enumerate(NAMES):
        choices = NAMES[index + 1 :] if forwards else NAMES + "xy"
        needed = draw(st.lists(st.sampled_from(choices), unique=True)) if choices else []
        found.append(one(name, *needed, within=draw(st.integers(1, 1000))))
    return found


@pytest.mark.parametrize(
    ("services", "said"),
    [
        ([one("web", "web")], "web needs web"),
        ([one("web", "db"), one("db", "web")], "web needs db, db needs web"),
        (
            [one("web", "db"), one("db", "cache"), one("cache", "web")],
            "web needs db, db needs cache, cache needs web",
        ),
        ([one("web", "db"), one("db", "cache"), one("cache", "db")], "db needs cache, cache needs db"),
        ([one("web", "db"), one("db", "gone")], ""),
        ([one("web"), one("db", "cache"), one("cache", "db")], ""),
        ([one("web", "a", "b"), one("a", "db"), one("b", "db"), one("db")], ""),
    ],
)
def test_a_circle_is_named(services: list[Service], said: str) -> None:
    found = needs.circle(services[0], services)
    assert sorted(found.split(", ")) == sorted(said.split(", "))
    if "web needs" in said:
        assert found == said


@given(some_services())
def test_a_circle_is_one_and_none_is_overlooked(services: list[Service]) -> None:
    first, *_ = services
    needed = {service.name: set(service.needs) for service in services}
    found = needs.circle(first, services)
    if found:
        steps = [re.fullmatch(r"(\w) needs (\w)", step) for step in found.split(", ")]
        pairs = [step.groups() for step in steps if step is not None]
        assert len(pairs) == len(steps)
        assert all(other in needed[name] for name, other in pairs)
        assert all(before[1] == after[0] for before, after in pairwise([*pairs, pairs[0]]))
        assert {name for name, _ in pairs} <= _below(first.name, needed) | {first.name}
    else:
        for name in _below(first.name, needed) | {first.name}:
            assert name not in _below(name, needed)


def _below(name: str, needed: dict[str, set[str]]) -> set[str]:
    """All that a service needs, directly and behind that."""
    found: set[str] = set()
    ahead = set(needed.get(name, ()))
    while ahead:
        found |= ahead
        ahead = {other for one in ahead for other in needed.get(one, ())} - found
    return found


@given(some_services(forwards=True))
def test_the_longest_chain_counts(services: list[Service]) -> None:
    known = {service.name: service for service in services}

    def longest(name: str) -> float:
        own = known[name]
        return own.ready_within.seconds + max((longest(other) for other in own.needs), default=0.0)

    for service in services:
        before = needs.seconds_before(service, services)
        assert before == pytest.approx(longest(service.name) - service.ready_within.seconds)


@given(some_services())
def test_any_needs_have_a_length(services: list[Service]) -> None:
    for service in services:
        assert 0 <= needs.seconds_before(service, services) <= 1000 * len(NAMES)


@given(some_services(forwards=True), st.lists(st.sampled_from(NAMES + "x"), unique=True))
def test_what_is_needed_comes_first(services: list[Service], names: list[str]) -> None:
    order = needs.in_order(names, services)
    assert sorted(order) == sorted(names)
    for service in services:
        for other in service.needs:
            if service.name in order and other in order:
                assert order.index(other) < order.index(service.name)


def test_in_a_circle_the_order_is_the_given_one() -> None:
    assert needs.in_order(["b", "a"], [one("a", "b"), one("b", "a")]) == ["b", "a"]


def test_a_long_chain_is_no_trouble() -> None:
    services = [one(f"s{number}", f"s{number + 1}", within=1) for number in range(3000)]
    assert needs.circle(services[0], services) == ""
    assert needs.seconds_before(services[0], services) == 2999


def test_what_is_applied_now_counts_and_not_what_stood_there() -> None:
    assert needs.circle(one("a", "b"), [one("a"), one("b", "a")]) == "a needs b, b needs a"
    assert needs.circle(one("a"), [one("a", "b"), one("b", "a")]) == ""


def test_who_needs_it() -> None:
    assert needs.needed_by("db", [one("web", "db"), one("api", "db"), one("db")]) == ["api", "web"]
