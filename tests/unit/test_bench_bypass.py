"""What the bypass's benchmark makes of its rounds, and what it says to nft."""

from __future__ import annotations

import pytest

from bench import bypass_map, bypass_tables
from bench.relay_figures import Outcome, summaries
from tests.unit.test_bench_tables import rows


def test_every_measure_is_told_beside_dockers_own_port() -> None:
    rounds: list[dict[str, dict[str, Outcome]]] = [
        {
            "connections": {"published": {"rate": 10_000.0}, "bypass": {"rate": 9_000.0, "errors": 3}},
            "bulk": {"published": {"rate": float(2 << 30)}, "bypass": {"rate": float(1 << 30)}},
        },
        {
            "connections": {"published": {"rate": 20_000.0}, "bypass": {"rate": 20_000.0, "errors": 3}},
            "bulk": {"published": {"rate": float(2 << 30)}, "bypass": {"failed": "reset", "others": 0.0}},
        },
    ]
    found = summaries(rounds, [bypass_tables.YARDSTICK])
    assert rows(bypass_tables.contenders(found)) == [
        ["Docker's published port", "15,000", "1.00", "2.00", "1.00", "0 of 4"],
        ["wakeport, `bypass = true`", "14,500", "0.95", "1.00", "0.50", "1 of 4, 3 errors"],
    ]


def test_a_full_map_is_told_beside_one_with_a_single_element() -> None:
    pairs = [(10_000.0, 5_000.0), (20_000.0, 15_000.0)]
    rounds: list[dict[str, dict[str, Outcome]]] = [
        {"alone": {"bypass": {"rate": alone}}, "crowded": {"bypass": {"rate": crowded}}}
        for alone, crowded in pairs
    ]
    table = bypass_tables.elements(rounds, 1000)
    assert [column.header for column in table.columns][1:3] == ["1 in the map", "1,000 in the map"]
    (row,) = rows(table)
    # The middle of 0.5 and 0.75, not of the medians 10,000 and 15,000.
    assert row == ["wakeport, `bypass = true`", "15,000", "10,000", "0.62", "0 of 4"]


def test_the_foot_says_how_busy_the_neighbours_were() -> None:
    rounds = [{"bulk": {"published": {"others": 0.1}, "bypass": {"others": 0.5}}}] * 2
    assert "others on this machine used 0.30" in bypass_tables.foot(rounds)


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        (
            "add",
            "add element inet wakeport awake4 { "
            "20000 . tcp . 0.0.0.0/0 . 0.0.0.0/0 timeout 1h : 10.255.0.1 . 80, "
            "20001 . tcp . 0.0.0.0/0 . 0.0.0.0/0 timeout 1h : 10.255.0.1 . 80 }\n",
        ),
        (
            "delete",
            "delete element inet wakeport awake4 { "
            "20000 . tcp . 0.0.0.0/0 . 0.0.0.0/0, 20001 . tcp . 0.0.0.0/0 . 0.0.0.0/0 }\n",
        ),
    ],
)
def test_all_others_come_and_go_in_one_command(verb: str, expected: str) -> None:
    assert bypass_map.command(verb, 2) == expected
