"""docs/protocols.md promises what tests hold, and the settings in it are the ones that were tried."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.lab import test_clients_iperf3, test_clients_postgres, test_clients_redis

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/protocols.md").read_text()


@pytest.mark.parametrize(
    "ready", [test_clients_iperf3.READY, test_clients_postgres.READY, test_clients_redis.READY]
)
def test_the_commands_are_those_of_the_tests(ready: str) -> None:
    assert f'\nready = "{ready}"\n' in PAGE


def test_the_tests_on_the_page_are_there_and_every_family_of_clients_is_on_it() -> None:
    named = set(re.findall(r"\btest_\w+\.py\b", PAGE))
    there = {path.name for path in (ROOT / "tests/lab").glob("test_*.py")}
    assert named <= there
    assert {name for name in there if name.startswith("test_clients_")} <= named
