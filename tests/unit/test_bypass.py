"""What the bypass puts into the kernel, and what it makes of what the kernel and /proc tell."""

from __future__ import annotations

import hashlib
import ipaddress
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeport.bypass import flows, surroundings
from wakeport.bypass.elements import Way, bridge, packed, sources
from wakeport.bypass.flows import Meter
from wakeport.bypass.table import VERSION, commands
from wakeport.errors import BadInput
from wakeport.loop import Loop
from wakeport.netlink import conntrack
from wakeport.netlink.messages import INET
from wakeport.netlink.nftables import Chain
from wakeport.service import build
from wakeport.supervisor.bypass import Bypass
from wakeport.supervisor.options import Options

FILTER = {"family": INET, "hook": 1, "priority": 0, "kind": "filter", "table": "filter", "name": "INPUT"}


def chain(**said: object) -> Chain:
    found = Chain.__new__(Chain)
    for key, value in {**FILTER, "rules": 1, "drops": False, **said}.items():
        setattr(found, key, value)
    return found


@pytest.mark.parametrize(
    ("said", "filters"),
    [
        ({}, True),
        ({"rules": 0}, False),
        ({"rules": 0, "drops": True}, True),
        ({"hook": 2}, False),
        ({"hook": 0, "priority": -300}, False),
        ({"hook": 0, "priority": 0}, True),
        ({"hook": 0, "priority": -100, "kind": "nat"}, False),
        ({"kind": "nat"}, True),
        ({"kind": "nat", "rules": 0}, False),
        ({"family": 7}, False),
        ({"table": "wakeport"}, False),
    ],
)
def test_what_filters_a_port_of_this_machine(said: dict[str, object], filters: bool) -> None:
    assert bool(surroundings.filtered_by([chain(**said)], [])) is filters


def test_a_filter_of_input_is_named_before_one_in_front_of_it() -> None:
    """firewalld has both, and it is the zones in INPUT that its user has set."""
    first = chain(hook=0, table="firewalld", name="filter_PREROUTING")
    assert surroundings.filtered_by([first, chain(name="filter_INPUT")], []) == "filter filter_INPUT"
    assert surroundings.filtered_by([first], []) == "firewalld filter_PREROUTING"


def test_the_older_iptables_filters_too() -> None:
    assert surroundings.filtered_by([chain(hook=2)], ["nat", "filter"]) == "iptables-legacy filter"
    assert not surroundings.filtered_by([], ["nat", "raw"])


@given(st.lists(st.ip_addresses(v=4).flatmap(lambda one: st.integers(0, 32).map(lambda bits: (one, bits)))))
def test_networks_become_ranges_that_do_not_overlap(some: list[tuple[ipaddress.IPv4Address, int]]) -> None:
    networks = [ipaddress.ip_network(f"{address}/{bits}", strict=False) for address, bits in some]
    ranges = sources([str(network) for network in networks], 4)
    if not networks:
        assert ranges == [(bytes(4), b"\xff" * 4)]
        return
    for number, (first, last) in enumerate(ranges):
        assert first <= last
        assert not any(one[0] <= last and first <= one[1] for one in ranges[number + 1 :])
    for network in networks:
        first, last = network[0].packed, network[-1].packed
        assert any(one[0] <= first and last <= one[1] for one in ranges)
    kept = {(network[0].packed, network[-1].packed) for network in networks}
    assert set(ranges) <= kept


def test_who_may_come_by_one_family_comes_by_no_other() -> None:
    assert sources(["10.0.0.0/8"], 16) == []
    assert len(Way("80=80/tcp=60").elements(("fd00::2", 80), ["10.0.0.0/8"])) == 0


@pytest.mark.parametrize(
    ("on", "target", "found"),
    [
        ("80", "172.17.0.2", 1),
        ("80", "fd00::2", 1),
        ("0.0.0.0:80", "fd00::2", 0),
        ("[::]:80", "172.17.0.2", 0),
        ("10.0.0.1:80", "172.17.0.2", 1),
        ("10.0.0.1:80", "fd00::2", 0),
        ("127.0.0.1:80", "172.17.0.2", 0),
        ("[::1]:80", "fd00::2", 0),
    ],
)
def test_a_listener_leads_where_it_hears_of(on: str, target: str, found: int) -> None:
    assert len(Way(f"{on}=8080/tcp=60").elements((target, 8080), [])) == found


def test_an_element_is_laid_out_as_the_table_has_it() -> None:
    [element] = Way("10.0.0.1:53/udp=5353/udp=60").elements(("172.17.0.2", 5353), ["192.0.2.0/24"])
    start = struct.pack(">H2xB3x", 53, socket.IPPROTO_UDP) + packed("10.0.0.1")
    assert element.key == start + packed("192.0.2.0")
    assert element.end == start + packed("192.0.2.255")
    assert element.data == packed("172.17.0.2") + struct.pack(">H2x", 5353)
    assert element.timeout <= 5


ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
br\xfc\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


@pytest.mark.parametrize(
    ("address", "interface"), [("172.17.0.2", "docker0"), ("172.18.0.2", "br\xfc"), ("192.0.2.1", "")]
)
def test_the_bridge_is_that_of_the_narrowest_route(address: str, interface: str) -> None:
    assert surroundings.interface_four(ROUTES, packed(address)) == interface


def test_what_is_reached_by_another_interface_is_the_rest() -> None:
    assert surroundings.default_four(ROUTES) == "eth0"
    assert surroundings.default_four(ROUTES.replace("eth0\t00000000", "eth0\t0000010A")) == ""


def test_an_interface_may_be_called_anything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its name is bytes, and ends no supervisor."""
    routes = tmp_path / "route"
    routes.write_bytes(ROUTES.encode("latin-1"))
    real = open

    def elsewhere(_path: str, **said: str) -> object:
        return real(routes, **said)  # type: ignore[call-overload]

    monkeypatch.setattr(surroundings, "open", elsewhere, raising=False)
    found = surroundings.interface_to(packed("172.18.0.2"))
    assert bridge(found).key == b"br\xfc".ljust(16, b"\0")


class Told:
    """A connection as the kernel tells of it, as far as it is looked at."""

    def __init__(self, key: bytes, port: int, state: int = 3) -> None:
        self.key, self.port, self.state = key, port, state
        self.client = ("192.0.2.1", 4000)
        self.passed = None
        self.left = 431_990


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Told]:
    some: list[Told] = []
    monkeypatch.setattr(conntrack, "flows", lambda *_asked: some)
    monkeypatch.setattr(flows, "_seconds", lambda _setting: 432_000.0)
    return some


def test_a_client_is_named_once_whichever_of_two_addresses_it_asked(told: list[Told]) -> None:
    told += [Told(b"1", 80), Told(b"2", 81), Told(b"3", 80, state=7)]
    ways = {Way(f"10.0.0.{last}:80=80/tcp=60"): [("172.17.0.2", 80)] for last in (1, 2)}
    found = flows.Flows(0, 0.0)
    found.look(None, ways)  # type: ignore[arg-type]
    assert found.clients == ["192.0.2.1:4000"]
    assert found.quiet == [10.0]


@given(st.lists(st.integers(0, 500), min_size=1, max_size=200), st.integers(1, 2000))
def test_what_passes_in_a_window_is_never_counted_too_low(steps: list[int], least: int) -> None:
    """A look each second, for a window of 16: what is used may be seen so for one piece longer."""
    window, meter, total, history = 16.0, Meter(0.0), 0, [(0.0, 0)]
    meter.is_used(0, 0.0, least, window)
    for at, step in enumerate(steps, 1):
        total += step
        history.append((float(at), total))
        used = meter.is_used(total, float(at), least, window)
        in_window = total - next(passed for when, passed in history if when >= at - window)
        in_more = total - next(passed for when, passed in history if when >= at - window - 2)
        if at < window or in_window >= least:
            assert used
        elif in_more < least:
            assert not used


def test_where_nobody_counts_a_connection_is_used() -> None:
    assert Meter(0.0).is_used(None, 1e6, 1, 10.0)


@pytest.mark.parametrize(("ports", "networks", "fits"), [(1, 100, True), (1, 101, False), (2, 51, False)])
def test_no_more_networks_than_the_kernel_is_quickly_told(ports: int, networks: int, fits: bool) -> None:
    settings = {
        "bypass": True,
        "allow": [f"10.0.{number}.0/24" for number in range(networks)],
        "listener": [{"on": str(80 + number)} for number in range(ports)],
    }
    if fits:
        assert build("web", settings).bypass
    else:
        with pytest.raises(BadInput, match="100 networks"):
            build("web", settings)


def test_another_table_has_another_version() -> None:
    """Else a supervisor of a newer wakeport would find the older one, and leave it as it is."""
    digest = hashlib.sha256(commands().encode()).hexdigest()[:8]
    assert (VERSION, digest) == ("version1", "18388cdc"), "count VERSION up, and write both here"


def test_it_is_not_called_open_while_the_table_is_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who went by that was relayed, and stayed so, as UDP does."""
    words = ["name=web", "runtime=docker", "container=web", "state=/", "ready=connect", "ready_within=1"]
    options = Options([*words, "idle=60", "adopt=no", "bypass=80=80/tcp=60"])
    bypass = Bypass(Loop(), options, lambda: None)
    monkeypatch.setattr(bypass.loop, "spawn", lambda making: making.close())
    bypass.passage = Missing()  # type: ignore[assignment]
    bypass.open()
    assert bypass.facts() == {"open": False, "why": "", "gated_by": ""}


class Missing:
    """A table that is not there yet."""

    is_in = True
    gated_by = ""
    elements = ("one",)
    flows = flows.Flows(0, 0.0)

    def came(self) -> int:
        return 0

    def renew(self) -> None:
        raise FileNotFoundError

    def look(self) -> None:
        """Nobody is there."""
