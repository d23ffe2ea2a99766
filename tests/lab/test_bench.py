"""The benchmark runs, part by part; its figures are for people and mean nothing in a test."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.relay import LOADS
from bench.relay_contenders import NAMES


def test_a_small_run_prints_its_tables_and_writes_every_round(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bench.json"
    main(["cold", "crowd", "memory", "--rounds", "1", "--crowds", "20", "--json", str(file)])

    told = capsys.readouterr().out
    for label in ("bare start, Engine API", "original recipe", "wakeport", "wakeport, systemd-socket-proxyd"):
        assert f"| {label} " in told

    result = json.loads(file.read_text())
    assert {"date", "kernel", "processors", "systemd", "docker", "python"} <= result["machine"].keys()
    (only_round,) = result["cold"]["rounds"]
    assert only_round.keys() == {"bare", "recipe", "web", "classic", "dozing"}
    for ours in ("web", "classic"):
        stages = only_round[ours]["stages"]
        in_order = [stages[name] for name in ("process", "called", "running", "ready", "first byte")]
        assert in_order == sorted(in_order)
        assert result["memory"][ours]["asleep"] == []
        awake = {process["name"] for process in result["memory"][ours]["awake"]}
        assert awake >= {"supervisor", "proxy" if ours == "web" else "systemd-socket-proxyd"}
    served = {each["contender"]: each["served"] for each in result["crowd"]}
    assert served == {"recipe": 20, "web": 20, "classic": 20, "dozing": 20}


def test_runtimes_are_measured_beside_their_own_bare_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bench.json"
    main(["runtimes", "--rounds", "1", "--only", "nspawn", "lxc", "unit", "--json", str(file)])
    told = capsys.readouterr().out
    (only_round,) = json.loads(file.read_text())["runtimes"]["rounds"]
    for runtime in ("nspawn", "lxc", "unit"):
        assert f"| wakeport, {runtime} " in told
        assert only_round[f"{runtime}-bare"]["seconds"] > 0
        stages = only_round[runtime]["stages"]
        order = ("supervisor forked", "called", "running", "ready", "first byte")
        assert [stages[name] for name in order] == sorted(stages[name] for name in order)
        assert 0 < stages["proxy forked"] < stages["first byte"]


def test_every_relay_is_measured_in_every_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, picture = tmp_path / "bench.json", tmp_path / "relay.svg"
    few = ["--rounds", "1", "--seconds", "1", "--idle", "0", "50"]
    main(["relay", *few, "--only", *NAMES, "--json", str(file), "--picture", str(picture)])

    told = capsys.readouterr().out
    assert "wakeport, by round" in told
    assert "Medians of 1 rounds" in told
    result = json.loads(file.read_text())["relay"]
    for done in result["rounds"]:
        assert done.keys() == LOADS.keys()
        for measure, outcomes in done.items():
            assert outcomes.keys() == set(NAMES)
            assert not {name for name, found in outcomes.items() if "failed" in found}, outcomes
            assert not {name for name, found in outcomes.items() if found.get("errors")}, outcomes
            assert all(found["rate"] > 0 for found in outcomes.values())
            # What it is that carries: nobody, or the kernel, has no process whose time could be counted.
            busy = {name for name, found in outcomes.items() if found["cpu"] > 0}
            assert busy >= set(NAMES) - {"direct", "published"}, measure
            assert "direct" not in busy
    for name, steps in result["idle"].items():
        assert [step["held"] for step in steps] == [0, 50], name
        assert all(step["rss"] > 1_000_000 for step in steps)
    assert result["idle"].keys() == set(NAMES) - {"direct"}
    assert picture.read_text().count('class="ours"') == 7


def test_a_relay_has_a_processor_of_its_own_where_one_asks(tmp_path: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("there is one processor here")
    file = tmp_path / "bench.json"
    before = os.sched_getaffinity(0)
    main(["relay", "--pin", "--rounds", "1", "--measures", "bulk", "--only", "wakeport", "--json", str(file)])
    assert os.sched_getaffinity(0) == before
    ((measured,),) = (done["bulk"].values() for done in json.loads(file.read_text())["relay"]["rounds"])
    assert measured["rate"] > 0
