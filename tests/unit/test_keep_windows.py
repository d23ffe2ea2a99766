"""Windows by the clock: what they say, when they are open, and that systemd reads the same in them."""

from __future__ import annotations

import calendar
import contextlib
import os
import re
import subprocess
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.zone import zone
from wakeport.keep.windows import DAYS, Window, kept_until

MONDAY = calendar.timegm((2026, 11, 23, 0, 0, 0))
DAY, HOUR, MINUTE = 86400, 3600, 60
WEEK = 7 * DAY


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> float:
    return float(calendar.timegm((year, month, day, hour, minute, 0)))


def windows(*written: str) -> list[Window]:
    return [Window.parse(one) for one in written]


weekdays = st.frozensets(st.integers(0, 6), min_size=1)
clocks = st.integers(0, DAY - 1)
some_window = st.builds(Window, weekdays, clocks, st.integers(0, DAY)).filter(
    lambda one: one.start != one.end
)
on_the_minute = st.builds(
    lambda days, start, end: Window(days, start * MINUTE, end * MINUTE),
    weekdays,
    st.integers(0, 1439),
    st.integers(0, 1440),
).filter(lambda one: one.start != one.end)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("Mon..Fri 08:00-18:00", "Mon..Fri 08:00-18:00"),
        ("  mon..FRI  8:00 - 18:00:00 ", "Mon..Fri 08:00-18:00"),
        ("Sat,Sun 10:00-12:00", "Sat,Sun 10:00-12:00"),
        ("Monday,Wednesday..Friday 00:00-24:00", "Mon,Wed..Fri 00:00-24:00"),
        ("Fri..Mon 10:00:30-12:00", "Mon,Fri..Sun 10:00:30-12:00"),
        ("Mon..Sun 22:00-06:00", "22:00-06:00"),
        ("22:00-00:00", "22:00-00:00"),
    ],
)
def test_a_window_is_read_and_has_one_plain_spelling(written: str, plain: str) -> None:
    assert str(Window.parse(written)) == plain


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "is not a window"),
        ("Mon..Fri", "is not a window"),
        ("08:00", "is not a window"),
        ("Mon..Fri 08:00-18:00 Europe/Berlin", "is not a window"),
        ("2026-12-24 08:00-18:00", "is not a window"),
        ("٠٨:00-18:00", "is not a window"),
        ("08:00-18:00\n", "is not a window"),
        ("08:00-24:01", "from 00:00 to 24:00"),
        ("08:60-18:00", "from 00:00 to 24:00"),
        ("24:00-06:00", "write that as 00:00"),
        ("08:00-08:00", "the whole day"),
        ("Mo 08:00-18:00", "'mo' is no weekday"),
        ("Mon..Fri..Sun 08:00-18:00", "no weekday"),
        ("Mon, 08:00-18:00", "no weekday"),
    ],
)
def test_what_is_no_window_is_refused_with_the_reason(written: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Window.parse(written)


@given(some_window)
def test_a_window_comes_back_as_it_was_written(window: Window) -> None:
    assert Window.parse(str(window)) == window
    assert (Window.parse(str(window)).start, Window.parse(str(window)).end) == (window.start, window.end)


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(ValueError):
        Window.parse(text)


@given(st.lists(on_the_minute, min_size=1, max_size=4), st.integers(0, 7 * 1440 - 1))
@settings(deadline=None)
def test_a_keep_lasts_as_long_as_any_window_is_open(several: list[Window], minute: int) -> None:
    """Against a week of minutes, painted one by one."""
    painted = [False] * (7 * 1440)
    for window in several:
        length = (window.end - window.start) % DAY or DAY
        for day in window.days:
            begin = day * 1440 + window.start // MINUTE
            for ahead in range(length // MINUTE):
                painted[(begin + ahead) % len(painted)] = True
    ends = next((one for one in range(len(painted)) if not painted[(minute + one) % len(painted)]), None)
    moment = MONDAY + minute * MINUTE
    with zone("UTC"):
        found = kept_until(several, moment)
    assert found == (float("inf") if ends is None else moment + ends * MINUTE if ends else None)


def test_the_edges_of_a_window() -> None:
    with zone("UTC"):
        several = windows("Mon 08:00-18:00", "Mon 18:00:00-19:00:01")
        assert kept_until(several, MONDAY + 8 * HOUR - 0.001) is None
        assert kept_until(several, MONDAY + 8 * HOUR) == MONDAY + 19 * HOUR + 1
        assert kept_until(several, MONDAY + 19 * HOUR + 0.999) == MONDAY + 19 * HOUR + 1
        assert kept_until(several, MONDAY + 19 * HOUR + 1) is None
        assert kept_until([], MONDAY) is None


def test_a_window_over_midnight_is_of_the_day_on_which_it_begins() -> None:
    with zone("UTC"):
        night = windows("Sun 22:00-06:00")
        assert kept_until(night, MONDAY + 5 * HOUR) == MONDAY + 6 * HOUR
        assert kept_until(night, MONDAY + 23 * HOUR) is None


def test_a_night_in_which_the_clocks_change_is_shorter_or_longer() -> None:
    with zone("Europe/Berlin"):
        night = windows("22:00-06:00")
        assert kept_until(night, utc(2026, 3, 28, 21)) == utc(2026, 3, 29, 4)  # 7 hours
        assert kept_until(night, utc(2026, 10, 24, 20)) == utc(2026, 10, 25, 5)  # 9 hours


def test_a_time_that_the_clocks_leave_out_comes_an_hour_later() -> None:
    with zone("Europe/Berlin"):
        several = windows("02:30-05:00")
        assert kept_until(several, utc(2026, 3, 29, 1, 29)) is None
        assert kept_until(several, utc(2026, 3, 29, 1, 30)) == utc(2026, 3, 29, 3)
        assert kept_until(windows("22:00-02:30"), utc(2026, 3, 28, 22)) == utc(2026, 3, 29, 1, 30)
    assert {"*-*-* 02:30:00", "*-*-* 03:30:00"} == set(several[0].calendar)


def test_of_a_time_that_the_clocks_show_twice_a_window_has_both() -> None:
    with zone("Europe/Berlin"):
        assert kept_until(windows("02:30-04:00"), utc(2026, 10, 25, 0, 30)) == utc(2026, 10, 25, 3)
        assert kept_until(windows("22:00-02:30"), utc(2026, 10, 25, 0, 45)) == utc(2026, 10, 25, 1, 30)


# --- what systemd makes of it; works without PID 1 ---


def elapses(expressions: Sequence[str], timezone: str, base: str, times: int) -> list[float]:
    """When timers with these OnCalendar= would elapse, after `base` (local time)."""
    command = ["systemd-analyze", "calendar", f"--iterations={times}", f"--base-time={base}", *expressions]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "TZ": timezone, "LANG": "C"}
    )
    line = r"\(in UTC\): ... (\S+ \S+) UTC" if timezone != "UTC" else r"(?:elapse|#\d+): ... (\S+ \S+) UTC"
    return [
        float(calendar.timegm(time.strptime(found, "%Y-%m-%d %H:%M:%S")))
        for found in re.findall(line, done.stdout)
    ]


@given(some_window)
@settings(max_examples=40, deadline=None)
def test_systemd_begins_a_window_when_it_is_open_and_not_before(window: Window) -> None:
    found = elapses(window.calendar[:1], "UTC", "2026-11-23 00:00:00", times=7)
    with zone("UTC"):
        begins = {start for day in range(8 * 7) for start, _ in window.around(MONDAY + day * DAY)}
        assert found == sorted(start for start in begins if start > MONDAY)[:7]
        assert all(kept_until([window], moment) is not None for moment in found)


def test_systemd_begins_a_window_in_the_nights_when_the_clocks_change() -> None:
    window = Window.parse("02:30-05:00")
    spring = elapses(window.calendar, "Europe/Berlin", "2026-03-28 12:00:00", times=1)
    autumn = elapses(window.calendar, "Europe/Berlin", "2026-10-24 12:00:00", times=1)
    assert min(spring) == utc(2026, 3, 29, 1, 30)
    assert min(autumn) == utc(2026, 10, 25, 0, 30)


@pytest.mark.parametrize("day", DAYS)
def test_the_days_are_systemd_s(day: str) -> None:
    [found] = elapses(Window.parse(f"{day} 05:00-06:00").calendar, "UTC", "2026-11-23 00:00:00", times=1)
    assert found == MONDAY + DAYS.index(day) * DAY + 5 * HOUR
