"""What the relay's benchmark makes of its rounds: medians, ratios, tables, and wrk's own report."""

from __future__ import annotations

import pytest

from bench import relay_tables
from bench.relay_figures import Outcome, summaries, summary
from bench.relay_load import answers
from bench.visit import Unserved
from tests.unit.test_bench_tables import rows

KEPT = {"rate": 30_000.0, "p50": 0.001, "p99": 0.004, "p999": 0.006, "errors": 0, "cpu": 15e-6, "others": 0.1}
LABELS = {"socket-proxyd": "systemd-socket-proxyd", "wakeport": "wakeport"}


def test_ratios_are_of_each_round_and_not_of_the_medians() -> None:
    turns = {
        "haproxy": [{"rate": 100.0}, {"rate": 50.0}, {"rate": 200.0}],
        "wakeport": [{"rate": 110.0}, {"rate": 60.0}, {"rate": 150.0}],
    }
    found = summary(turns, ["haproxy", "direct"])["wakeport"]
    assert found.medians == {"rate": 110.0}
    assert found.ratios == {"haproxy": {"rate": pytest.approx(1.1)}}


def test_a_round_that_failed_counts_as_failed_and_has_no_ratio() -> None:
    turns: dict[str, list[Outcome]] = {
        "haproxy": [{"rate": 100.0}, {"failed": "reset", "others": 0.0}],
        "wakeport": [{"rate": 90.0}, {"rate": 10.0}],
    }
    found = summary(turns, ["haproxy"])
    assert (found["haproxy"].failed, found["haproxy"].rounds) == (1, 2)
    assert found["wakeport"].ratios["haproxy"] == {"rate": 0.9}


def test_who_has_no_time_of_its_own_is_no_yardstick_for_it() -> None:
    turns = {"direct": [{"cpu": 0.0}], "wakeport": [{"cpu": 1e-5}]}
    assert summary(turns, ["direct"])["wakeport"].ratios == {"direct": {}}


def test_summaries_are_by_measure_and_relay() -> None:
    rounds = [{"bulk": {"direct": {"rate": 1.0}}}, {"bulk": {"direct": {"rate": 3.0}}}]
    assert summaries(rounds, ["direct"])["bulk"]["direct"].medians == {"rate": 2.0}
    assert summaries([], ["direct"]) == {}


def test_answers_are_told_with_their_percentiles_and_ratios() -> None:
    slow = {**KEPT, "rate": 15_000.0, "p99": 0.04, "errors": 3}
    found = summary({"socket-proxyd": [slow], "wakeport": [KEPT]}, [*relay_tables.YARDSTICKS])
    first, second = rows(relay_tables.answers("keep-alive", found, LABELS))
    assert first[-1] == "0 of 1, 3 errors"
    assert second == [
        *("wakeport", "30,000", "1.00 ms", "4.00 ms", "6.00 ms", "15.0 µs"),
        *("2.00", "0.10", "0 of 1"),
    ]


def test_memory_says_how_many_connections_were_held() -> None:
    steps: list[Outcome] = [
        {"connections": 0, "held": 0, "rss": 7_000_000, "descriptors": 12},
        {"connections": 8000, "held": 3331, "rss": 9_800_000, "descriptors": 19_995},
    ]
    ended: list[Outcome] = [steps[0], {"connections": 8000, "held": 3332, "rss": None, "descriptors": 7}]
    table = relay_tables.idle({"socket-proxyd": steps, "wakeport": ended}, LABELS)
    assert rows(table) == [
        ["systemd-socket-proxyd", "7.0 MB", "9.8 MB (3,331 held)", "19,995"],
        ["wakeport", "7.0 MB", "ended at 3,332", "7"],
    ]


def test_the_foot_says_how_busy_the_neighbours_were() -> None:
    rounds = [{"bulk": {"direct": {"others": 0.1}, "wakeport": {"others": 0.5}}}] * 2
    told = relay_tables.foot(rounds, 2, pinned=True)
    assert "others on this machine used 0.30" in told
    assert "the relay has one" in told


REPORT = """\
Running 1s test @ http://127.0.0.1:1084/
  1 threads and 32 connections

RESULT {"requests": 2000, "microseconds": 500000, "latency": [900, 4000, 6500], "errors": 2}
"""


def test_the_report_of_wrk_is_read_in_seconds() -> None:
    assert answers(REPORT) == (2000, 4000.0, 0.0009, 0.004, 0.0065, 2)


def test_a_report_without_answers_is_no_figure() -> None:
    with pytest.raises(Unserved, match="2 errors"):
        answers(REPORT.replace("2000", "0"))
