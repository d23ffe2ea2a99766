"""The benchmark runs, part by part; its figures are for people and mean nothing in a test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.__main__ import main


def test_a_small_run_prints_its_tables_and_writes_every_round(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bench.json"
    main(["--rounds", "1", "--crowds", "20", "--json", str(file)])

    told = capsys.readouterr().out
    for label in ("bare start, Engine API", "original recipe", "wakeport", "wakeport, systemd-socket-proxyd"):
        assert f"| {label} " in told

    result = json.loads(file.read_text())
    assert {"date", "kernel", "processors", "systemd", "docker", "python"} <= result["machine"].keys()
    (only_round,) = result["cold"]["rounds"]
    assert only_round.keys() == {"bare", "recipe", "web", "classic"}
    for ours in ("web", "classic"):
        stages = only_round[ours]["stages"]
        in_order = [stages[name] for name in ("process", "called", "running", "ready", "first byte")]
        assert in_order == sorted(in_order)
        assert result["memory"][ours]["asleep"] == []
        awake = {process["name"] for process in result["memory"][ours]["awake"]}
        assert awake >= {"supervisor", "proxy" if ours == "web" else "systemd-socket-proxyd"}
    served = {each["contender"]: each["served"] for each in result["crowd"]}
    assert served == {"recipe": 20, "web": 20, "classic": 20}
