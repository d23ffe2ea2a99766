"""What is put into the kernel for the bypass, and taken out again, without a service around it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from lab.client import Client
from wakeport.bypass.elements import Way
from wakeport.bypass.passage import Passage
from wakeport.bypass.table import TABLE, commands
from wakeport.netlink.connection import Netfilter
from wakeport.netlink.nftables import Element, change

TARGET = ("172.17.0.2", 80)


@pytest.fixture
def client(visitor: Client) -> Client:
    visitor.run(["nft", commands()])
    return visitor


@contextmanager
def passage(client: Client, networks: int = 0) -> Iterator[Passage]:
    """In the client's network, where there is no bridge: what leads somewhere is said by hand."""
    with client.network():
        made = Passage(["80=80/tcp=60"], [f"10.{n >> 8}.{n & 255}.0/24" for n in range(networks)], 0, 0.0)
    [way] = made.ways
    made.targets, made.bridges = {way: [TARGET]}, {"bridge"}
    made.elements = way.elements(TARGET, made.allowed)
    with closing(made.kernel):
        yield made


def put_in(client: Client, set_: str, kind: str = "set") -> list[Any]:
    [found] = [
        one[kind]
        for one in json.loads(client.run(["nft", "--json", "list", kind, "inet", TABLE, set_]).stdout)[
            "nftables"
        ]
        if kind in one
    ]
    return list(found.get("elem", []))


def test_many_networks_fit_into_the_kernel_s_answers(client: Client) -> None:
    """Of 250, each acknowledged when it is taken out and put in again, they were lost."""
    with passage(client, networks=300) as many:
        many.renew()
        many.renew()
        assert len(put_in(client, "awake4", "map")) == 300
        assert many.came() == 0
        many.close()
    assert put_in(client, "awake4", "map") == []


def test_a_service_that_opens_takes_nothing_from_another(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What guards them both was taken out for a moment, and traffic was sent on unguarded."""
    missing = []

    def watched(kernel: Netfilter, table: str, delete: list[Element], put: list[Element]) -> None:
        change(kernel, table, delete, put)
        missing.append({one.set for one in delete} - {one.set for one in put})

    with passage(client) as one, passage(client) as other:
        one.renew()
        one.close()
        monkeypatch.setattr("wakeport.bypass.passage.change", watched)
        other.elements = Way("10.0.0.1:80=80/tcp=60").elements(TARGET, ["192.0.2.0/24"])
        other.renew()
        assert len(put_in(client, "awake4", "map")) == 1
    assert missing
    assert not any(missing)
