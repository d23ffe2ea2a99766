"""Moments as a person writes and reads them."""

from __future__ import annotations

import calendar
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.zone import zone
from wakeport.moment import parse, spelled

NOON = float(calendar.timegm((2026, 11, 26, 12, 0, 0)))
HOUR, DAY = 3600.0, 86400.0


@pytest.mark.parametrize(
    ("text", "ahead"),
    [
        ("18:00", 6 * HOUR),
        (" 18:00:30 ", 6 * HOUR + 30),
        ("12:00:01", 1),
        ("12:00", DAY),
        ("9:30", DAY - 2.5 * HOUR),
        ("2026-11-26 12:01", 60),
        ("2026-11-27T00:00:00", 12 * HOUR),
        ("2026-12-26 12:00", 30 * DAY),
    ],
)
def test_a_moment_is_the_next_such_one(text: str, ahead: float) -> None:
    with zone("UTC"):
        assert parse(text, NOON) == NOON + ahead


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not a moment"),
        ("6pm", "is not a moment"),
        ("18:00 Europe/Berlin", "is not a moment"),
        ("18", "is not a moment"),
        ("24:00", "hour must be in"),
        ("18:60", "minute must be in"),
        ("2026-02-30 18:00", "day"),
        ("0000-01-01 18:00", "year"),
        ("2026-11-26 12:00", "has passed"),
        ("2001-01-01 00:00", "has passed"),
    ],
)
def test_what_is_no_moment_is_refused_with_the_reason(text: str, why: str) -> None:
    with zone("UTC"), pytest.raises(ValueError, match=why):
        parse(text, NOON)


def test_a_time_that_the_clocks_show_twice_is_the_next_of_both() -> None:
    first, second = (float(calendar.timegm((2026, 10, 25, hour, 30, 0))) for hour in (0, 1))
    with zone("Europe/Berlin"):
        assert parse("02:30", first - 1) == first
        assert parse("02:30", first) == second


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse(text, NOON)


@given(st.integers(0, 10**8))
def test_what_is_spelled_is_read_back(ahead: int) -> None:
    with zone("Europe/Berlin"):
        moment = NOON + 1 + ahead
        assert parse(spelled(moment, NOON), NOON) in (moment, moment - HOUR)  # of two that look the same


def test_a_moment_of_today_has_no_date() -> None:
    with zone("UTC"):
        assert spelled(NOON + 6 * HOUR, NOON) == "18:00"
        assert spelled(NOON + 6 * HOUR + 30.4, NOON) == "18:00:30"
        assert spelled(NOON + DAY, NOON) == "2026-11-27 12:00"
