"""What doctor says of a way past the proxy, as far as it takes no kernel; the trial itself is tests/lab's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.containers import NEVER_STARTED
from wakeport import doctor_bypass, facts, preflight
from wakeport.doctor_bypass import Tried
from wakeport.forward_trial import ENDS, NAME, Way, commands
from wakeport.layout import Layout
from wakeport.runtimes.docker.container import Inspected
from wakeport.service import Service, build

HERE = Layout()
SUBNET = "172.17.0.0/16"
WEB = Inspected(NEVER_STARTED)
TRIED = Tried("80", "80/tcp", Way("tcp", 80, "172.17.0.2", 8080), awake=True)


def web(*listeners: dict[str, Any], **settings: Any) -> Service:
    listening = listeners or ({"on": "80", "to": 80},)
    return build("web", {"listener": list(listening), "bypass": True, **settings})


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address on the container's network."""
    monkeypatch.setattr("wakeport.runtimes.docker.host._subnets", lambda _found: [(SUBNET, "172.17.255.254")])
    return "172.17.255.253"


def test_an_address_that_nobody_has_is_the_last_but_never_the_gateway_s(asleep: str) -> None:
    assert facts.spare_address(HERE, web(), WEB) == asleep


def test_each_listener_that_another_machine_reaches_is_tried(asleep: str) -> None:
    one = web(
        {"on": "80", "to": 8080},
        {"on": "127.0.0.1:81", "to": 80},
        {"on": "[::1]:82", "to": 80},
        {"on": "[::]:83", "to": 80},
        {"on": "10.0.0.1:84/udp", "to": 53},
        {"on": "/run/web.sock", "to": 80},
        {"on": "85", "to": "/run/app.sock"},
    )
    known = {"state": "awake", "targets": {"8080/tcp": ["172.17.0.2", 8080]}}
    found = doctor_bypass.ways(HERE, one, WEB, known)
    assert [tried.way for tried in found] == [
        Way("tcp", 80, "172.17.0.2", 8080),
        Way("udp", 84, asleep, 53),
    ]
    assert found[0].awake
    [first, _] = doctor_bypass.ways(HERE, one, WEB, {**known, "state": "asleep"})
    assert first.way.address == asleep, "what it said last may be another's by now"
    assert not first.awake


def test_what_to_do_names_the_port_that_clients_ask_for() -> None:
    found = doctor_bypass.dropped(web(), TRIED, [], "DOCKER-USER", "publish 127.0.0.1::{port}")
    assert found.hint.splitlines() == [
        "let it through: iptables -I DOCKER-USER -p tcp "
        "-m conntrack --ctstate DNAT --ctorigdstport 80 -j ACCEPT",
        "or publish 127.0.0.1::80",
    ]
    udp = Tried("10.0.0.1:54/udp", "53/udp", Way("udp", 54, "fd77::5", 53), awake=True)
    found = doctor_bypass.dropped(web(), udp, [], "FORWARD", "publish 127.0.0.1::{port}")
    assert "ip6tables -I FORWARD -p udp " in found.hint
    assert "--ctorigdstport 54 " in found.hint
    assert "::53/udp" in found.hint
    assert "\n" not in doctor_bypass.dropped(web(), udp, [], "FORWARD", "").hint


def test_a_port_that_is_still_closed_opens_by_itself() -> None:
    of_others = [("udp", 80, 600.0), ("tcp", 81, 600.0)]
    closed = [doctor_bypass.Closed("eth0", "192.0.2.1", *one) for one in [("tcp", 80, 290.0), *of_others]]
    [found] = doctor_bypass.closed_yet(web(), TRIED, closed)
    assert "by eth0 to 192.0.2.1 is relayed for 5 min more" in found.fact
    assert not found.wrong


def test_a_machine_that_forwards_nothing(tmp_path: Path) -> None:
    setting = tmp_path / "ip_forward"
    before = doctor_bypass.lacking(setting)
    setting.write_text("1\n")
    assert doctor_bypass.lacking(setting) == before
    setting.write_text("0\n")
    [*others, found] = doctor_bypass.lacking(setting)
    assert others == before
    assert "net.ipv4.ip_forward=1" in found.hint


def test_a_machine_without_nft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    [found] = doctor_bypass.lacking(tmp_path / "ip_forward")
    assert found.hint == "install it: apt install nftables"
    assert doctor_bypass.way(HERE, web(), WEB) == [], "there is nothing to try"


def test_without_root_nothing_is_tried(asleep: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asleep
    monkeypatch.setattr(doctor_bypass, "lacking", lambda _setting: [])
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    [found] = doctor_bypass.way(HERE, web(), WEB)
    assert found.hint == "sudo wakeport doctor web"
    assert not found.wrong


def test_the_supervisor_s_own_word_counts_while_it_is_there() -> None:
    why: dict[str, Any] = {"bypass": {"open": False, "why": "the kernel refuses: Operation not permitted"}}
    [found] = doctor_bypass.supervisors_word(web(), {**why, "state": "awake"})
    assert found.fact == "nothing goes past the proxy: the kernel refuses: Operation not permitted"
    assert doctor_bypass.supervisors_word(web(), {**why, "state": "asleep"}) == []
    assert (
        doctor_bypass.supervisors_word(web(), {"state": "awake", "bypass": {"open": True, "why": ""}}) == []
    )
    [found] = doctor_bypass.supervisors_word(web(), {"state": "awake", "bypass": None})
    assert "it was awake before it had bypass" in found.fact


def test_filters_that_do_not_see_what_goes_past() -> None:
    shown = {"IPAddressAllow": "", "IPAddressDeny": "192.0.2.0/24"}
    [found] = doctor_bypass.addresses_unseen(web(), "wakeport-web.socket", shown)
    assert "wakeport-web.socket has IPAddressDeny=192.0.2.0/24" in found.fact
    [found] = doctor_bypass.input_unseen("filter INPUT")
    assert not found.wrong
    assert doctor_bypass.input_unseen("") == []


def test_a_container_on_the_host_s_network_has_nothing_to_pass_by() -> None:
    host = {**NEVER_STARTED["HostConfig"], "NetworkMode": "host"}
    hosted = Inspected({**NEVER_STARTED, "HostConfig": host})
    assert preflight.bypass_mistake(web(), hosted)
    assert preflight.bypass_mistake(web(bypass=False), hosted) is None
    assert preflight.bypass_mistake(web(), WEB) is None


def test_a_trial_is_about_its_own_cable_alone() -> None:
    for way in (TRIED.way, Way("udp", 53, "fd77::5", 53)):
        here, there, _ = ENDS[way.family]
        rules = [line for line in commands(way).splitlines() if line.startswith("add rule")]
        assert len(rules) == 3
        assert all((f'iifname "{NAME}"' in rule and here in rule) or there in rule for rule in rules)
    assert len(NAME) < 16
