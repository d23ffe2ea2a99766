"""Whose container it is, and when it may be tried again: what a supervisor tells its successor."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeport.supervisor import record as module
from wakeport.supervisor.record import Record

BEFORE = "2001-01-01T00:00:00.5"


def later(seconds: float = 0.0) -> str:
    """A time as the Engine writes it."""
    whole, fraction = divmod(time.time() + seconds, 1)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f"{fraction:.9f}"[1:]


@pytest.fixture
def directory(tmp_path: Path) -> str:
    return str(tmp_path)


def test_nobody_owns_what_was_never_asked_for(directory: str) -> None:
    assert not Record(directory).claims("id", later())


def test_a_start_after_the_intent_is_ours_though_its_answer_was_never_seen(directory: str) -> None:
    Record(directory).intend()
    successor = Record(directory)
    successor.intend()
    assert successor.claims("id", later())
    assert not successor.claims("id", BEFORE)


def test_what_we_own_is_known_by_id_and_start_time(directory: str) -> None:
    Record(directory).own("id", BEFORE)
    successor = Record(directory)
    successor.intend()
    assert successor.claims("id", BEFORE)
    assert not successor.claims("other", BEFORE)


def test_a_crash_between_a_second_start_and_its_answer_leaves_it_ours(directory: str) -> None:
    """The record said awake with the old start time; the new start is covered by the intent."""
    Record(directory).own("id", BEFORE)
    Record(directory).intend()
    assert Record(directory).claims("id", later())


def test_what_a_person_starts_while_it_sleeps_is_theirs(directory: str) -> None:
    record = Record(directory)
    record.own("id", BEFORE)
    record.asleep()
    assert not Record(directory).claims("id", later())


def test_what_comes_back_moments_after_its_end_is_the_same_wake(directory: str) -> None:
    record = Record(directory)
    record.own("id", BEFORE)
    record.ended()
    assert Record(directory).claims("id", later(1))
    assert not Record(directory).claims("id", later(60))


def test_a_stop_that_was_cut_short_is_seen_and_still_ours(directory: str) -> None:
    record = Record(directory)
    record.own("id", BEFORE)
    record.stopping()
    successor = Record(directory)
    assert successor.phase == module.STOPPING
    assert successor.claims("id", BEFORE)


def test_failures_back_off_to_a_minute_and_are_forgiven(directory: str) -> None:
    record = Record(directory)
    assert [record.fail("no") for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    successor = Record(directory)
    assert 0 < successor.wait_left() <= 60
    assert (successor.attempts, successor.reason) == (9, "no")
    successor.forgive()
    assert Record(directory).wait_left() <= 0


@given(reason=st.text())
def test_any_reason_survives_as_one_line(tmp_path_factory: pytest.TempPathFactory, reason: str) -> None:
    directory = str(tmp_path_factory.mktemp("record"))
    Record(directory).fail(reason.encode("utf-8", "replace").decode())
    read = Record(directory)
    assert read.attempts == 1
    assert "\n" not in read.reason


@given(garbage=st.binary(max_size=300))
def test_a_damaged_record_is_no_reason_to_die(
    tmp_path_factory: pytest.TempPathFactory, garbage: bytes
) -> None:
    directory = tmp_path_factory.mktemp("record")
    (directory / "record").write_bytes(garbage)
    Record(str(directory)).intend()


def test_the_record_is_for_nobody_else(tmp_path: Path) -> None:
    Record(str(tmp_path)).intend()
    assert (tmp_path / "record").stat().st_mode & 0o777 == 0o600
