"""When wakeport's table of nftables goes: with the last service that sends traffic past its proxy."""

from __future__ import annotations

import threading

import pytest

from tests.unit.hosts import TestHost, bring, web
from wakeport import service as services
from wakeport.install import bypass_table
from wakeport.install.plan import removal
from wakeport.install.remove import remove

DROPPED = ["delete table inet wakeport"]


def test_it_goes_with_the_setting_and_with_the_service(host: TestHost) -> None:
    bring(host, web(bypass=True))
    assert host.nftables.done == []
    bring(host, web(bypass=True, idle="1h"))
    assert host.nftables.done == []
    bring(host, web())
    assert host.nftables.done == DROPPED
    bring(host, web(bypass=True))
    remove(host, removal(host.layout, "web"))
    assert host.nftables.done == DROPPED * 2


def test_it_stays_while_another_service_needs_it(host: TestHost) -> None:
    other = services.build("other", {"listener": [{"on": "81", "to": 80}], "bypass": True})
    bring(host, web(bypass=True))
    bring(host, other)
    bring(host, web())
    remove(host, removal(host.layout, "web"))
    assert host.nftables.done == []
    remove(host, removal(host.layout, "other"))
    assert host.nftables.done == DROPPED


def test_without_such_a_service_nft_is_not_run(host: TestHost) -> None:
    bring(host, web())
    bring(host, web(idle="1h"))
    remove(host, removal(host.layout, "web"))
    assert host.nftables.done == []


def test_a_removal_that_was_interrupted_goes_on_to_it(host: TestHost) -> None:
    bring(host, web(bypass=True))
    for unit in host.layout.units.iterdir():
        unit.unlink()
    remove(host, removal(host.layout, "web"))
    assert host.nftables.done == DROPPED


def test_a_supervisor_that_would_make_it_anew_goes_first(
    host: TestHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bypass_table, "CHANGED_WITHIN", 60.0)
    bring(host, web(bypass=True))
    host.systemd.main_pid = "4711"
    word = host.layout.state("web") / "next"
    seen: list[bool] = []
    monkeypatch.setattr(host.nftables, "do", lambda _commands: seen.append(word.exists()))
    supervisor = threading.Timer(0.2, word.unlink)
    monkeypatch.setattr(host.systemd, "hang_up", lambda _unit: supervisor.start())
    bring(host, web())
    supervisor.join()
    assert seen == [False]
