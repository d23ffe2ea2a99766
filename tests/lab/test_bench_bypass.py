"""The benchmark of the bypass measures those whom it names; its figures mean nothing in a test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bench.bypass import MEASURES, main
from bench.bypass_contenders import Contender, NotAsNamed, set_up
from bench.bypass_map import drain, fill
from bench.bypass_tables import LABELS
from bench.ground import Ground
from lab import Lab
from lab.client import Client
from wakeport.bypass.table import commands


@pytest.fixture
def ground(fresh_lab: Lab) -> Iterator[Ground]:
    with closing(Ground(fresh_lab)) as made:
        yield made


def test_a_small_run_prints_its_table_and_writes_every_round(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bench.json"
    names = list(LABELS)
    main(["--rounds", "1", "--seconds", "1", "--json", str(file)])
    told = capsys.readouterr().out
    for name in names:
        assert f"| {LABELS[name]} " in told
    (only_round,) = json.loads(file.read_text())["rounds"]
    assert only_round.keys() == MEASURES.keys()
    for outcomes in only_round.values():
        assert outcomes.keys() == set(names)
        assert all(found.get("rate", 0) > 0 for found in outcomes.values()), outcomes


def test_traffic_that_goes_through_the_proxy_is_not_taken_for_the_bypass(ground: Ground) -> None:
    with Client(ground.lab) as client:
        (relay,) = set_up(ground, client, ["relay"])
        relay.prove()
        with pytest.raises(NotAsNamed, match=r"nginx was asked by .*, and the client is 10\.99\.0\.2"):
            Contender(ground, client, "bypass", relay.address).prove()
        with pytest.raises(NotAsNamed, match="asked by nobody"):
            Contender(ground, client, "bypass", (client.host4, 9)).prove()


def test_the_map_is_filled_and_left_as_it_was(lab: Lab) -> None:
    lab.run(["nft", commands()])
    kept = "{ 80 . tcp . 0.0.0.0/0 . 0.0.0.0/0 timeout 1h : 10.255.0.2 . 80 }"
    lab.run(["nft", f"add element inet wakeport awake4 {kept}"])
    fill(lab, 999)
    assert len(ports(lab)) == 1000
    drain(lab, 999)
    assert ports(lab) == [80]


def ports(lab: Lab) -> list[int]:
    said = json.loads(lab.run(["nft", "--json", "list", "map", "inet", "wakeport", "awake4"]).stdout)
    (found,) = (each["map"] for each in said["nftables"] if "map" in each)
    return [int(key["elem"]["val"]["concat"][0]) for key, _ in found["elem"]]
