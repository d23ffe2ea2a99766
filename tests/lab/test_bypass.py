"""Awake traffic past the proxy: who is sent on, who is not, and who counts."""

from __future__ import annotations

import socket
import time

import pytest

from lab import Lab
from lab.client import Client
from tests.lab.bypassing import Bypassed, is_open, rules_restored, wakes
from tests.lab.services import Service
from tests.lab.visits import Guest, datagram, visit, visitors
from tests.lab.waiting import eventually


@pytest.mark.parametrize("runtime", ["docker", "podman"], indirect=True)
def test_an_awake_container_sees_the_client_s_own_address(bypassed: Bypassed, outside: Client) -> None:
    web = bypassed()
    wakes(web, outside)
    past = visit(outside)
    assert past.seen_as == outside.own4, past
    eventually("the proxy has left", lambda: not web.pids(web.units.proxy))
    assert visit(outside).seen_as == outside.own4
    assert not web.pids(web.units.proxy)
    with web.lab.network(), socket.create_connection(("127.0.0.1", 80), timeout=60) as neighbour:
        assert neighbour.recv(100)  # loopback is relayed


def test_who_is_connected_keeps_it_awake_and_is_named(bypassed: Bypassed, outside: Client) -> None:
    web = bypassed(idle="3s")
    wakes(web, outside)
    with Guest(outside) as guest:
        assert guest.seen_as == outside.own4
        eventually("it is named", lambda: [guest.address] in [one["use"] for one in web.status["leases"]])
        web.stays_awake(6)
        told = web.lab.run(["wakeport", "status", "web"]).stdout
        assert f"1 connection from {guest.address}" in told
        refused = web.lab.run(["wakeport", "sleep", "web"], check=False)
        assert guest.address in refused.stderr
        assert refused.returncode
    web.falls_asleep()
    assert visit(outside).container == guest.container


def test_short_visits_keep_it_awake_too(bypassed: Bypassed, outside: Client) -> None:
    """None of them is connected when the kernel is asked who is."""
    web = bypassed(idle="6s")
    wakes(web, outside)
    until = time.monotonic() + 13
    while time.monotonic() < until:
        assert visit(outside).seen_as == outside.own4
        web.reaches("awake")
        time.sleep(1.3)
    left_at = time.time()
    web.falls_asleep()
    assert time.time() - left_at > 5


def test_who_is_silent_does_not_keep_it_awake_where_bytes_count(bypassed: Bypassed, outside: Client) -> None:
    web = bypassed('busy = { connections = "1K in 5s" }', idle="5s")
    wakes(web, outside)
    with Guest(outside) as silent, Guest(outside) as busy:
        assert silent.seen_as == busy.seen_as == outside.own4
        until = time.monotonic() + 11
        while time.monotonic() < until:
            assert busy.is_answered(b"x" * 800 + b"\n")
            assert web.status["state"] == "awake"
            time.sleep(0.5)
        eventually("it alone is named", lambda: _named(web) == [busy.address])
        web.falls_asleep()
        with pytest.raises(ConnectionError):
            silent.is_answered()


def _named(web: Service) -> list[str]:
    return [use for one in web.status["leases"] for use in one["use"]]


def test_a_live_connection_outlives_its_element(bypassed: Bypassed, outside: Client) -> None:
    web = bypassed()
    wakes(web, outside)
    with Guest(outside) as guest:
        assert guest.seen_as == outside.own4
        web.lab.run(["nft", "flush", "map", "inet", "wakeport", "awake4"])
        assert guest.is_answered()
        eventually("it is renewed", lambda: visit(outside).seen_as == outside.own4)
        assert guest.is_answered()


def test_flushed_rules_cost_no_client(bypassed: Bypassed, outside: Client) -> None:
    """Also Docker's go, so that nothing keeps anybody out."""
    web = bypassed()
    wakes(web, outside)
    assert visit(outside).seen_as == outside.own4
    with rules_restored(web.lab):
        with visitors(outside, every=0.05) as visits:
            time.sleep(0.5)
            web.lab.run(["nft", "flush", "ruleset"])
            eventually("the element is back", lambda: visit(outside).seen_as == outside.own4)
        assert [str(one) for one in visits if one.error] == []


def test_what_forward_drops_is_relayed(lab: Lab, bypassed: Bypassed) -> None:
    """The first who is sent on in vain comes to the listener by his second packet, a second later."""
    with Client(lab) as client:
        web = bypassed()
        wakes(web, client)
        first = visit(client)
        assert not first.error, first
        assert first.seen_as != client.own4
        second = visit(client)
        assert not second.error
        assert second.seen_as != client.own4
        noted = lab.run(["nft", "list", "set", "inet", "wakeport", "closed4"]).stdout
        assert f'"{client.cable}" . {client.host4} . tcp . 80 ' in noted


def test_who_is_kept_out_of_input_stays_out(bypassed: Bypassed, outside: Client) -> None:
    """Asleep and awake; and whom the filter lets in goes past the proxy, from the second time on."""
    web = bypassed()
    rules = """
        add table inet test
        add chain inet test input { type filter hook input priority 0; }
        add rule inet test input ip saddr 10.98.0.2 tcp dport 80 drop
    """
    web.lab.run(["nft", "-f", "-"], input=rules)
    try:
        with Client(web.lab, "banned", 98) as banned:
            assert visit(banned, within=2.5).error == "timed out"
            assert web.status.get("state", "asleep") == "asleep"
            wakes(web, outside)
            assert web.status["bypass"]["gated_by"] == "test input"
            eventually("it goes past the proxy", lambda: visit(outside).seen_as == outside.own4)
            assert visit(banned, within=2.5).error == "timed out"
            web.lab.run(["nft", "delete", "table", "inet", "test"])
            eventually("nobody is kept out", lambda: not web.status["bypass"]["gated_by"])
            eventually("the ban is over", lambda: visit(banned).seen_as == banned.own4)
            web.lab.run(["nft", "-f", "-"], input=rules)
            eventually("the ban counts again", lambda: visit(banned, within=2.5).error == "timed out")
    finally:
        web.lab.run(["nft", "delete", "table", "inet", "test"], check=False)


def test_datagrams_too(lab: Lab, bypassed: Bypassed, outside: Client) -> None:
    """A flow that was relayed stays so; the next one is sent on, counts until it is idle, and is then
    brought back to the listener.
    """
    lab.run(["sh", "-c", "echo 0 > /proc/sys/net/netfilter/nf_conntrack_acct"])
    web = bypassed(idle="5s", options=["--listen=80/udp=80"])
    path = web.home.configuration / "web.toml"
    path.write_text(path.read_text().replace('on = "80/udp"', 'on = "80/udp"\nflow_idle = "4s"'))
    lab.run(["wakeport", "apply", "web"])
    with outside.network():
        first, second = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with first, second:
        relayed, name = datagram(outside, first)
        assert relayed != outside.own4
        is_open(web)
        assert datagram(outside, second) == (outside.own4, name)
        eventually("it is named", lambda: any(one["who"] == "bypass" for one in web.status["leases"]))
        began = time.time()
        web.falls_asleep()
        assert time.time() - began > 2
        assert datagram(outside, second)[1] == name  # over the same flow, and it woke again
        web.reaches("awake")


def test_by_ipv6_where_the_container_has_that(lab: Lab, bypassed: Bypassed, outside: Client) -> None:
    lab.docker("network", "create", "--ipv6", "--subnet=fd77::/64", "six")
    lab.run(["sysctl", "-q", "net.ipv6.conf.all.forwarding=1"])
    web = bypassed(create=["--network=six"])
    name = wakes(web, outside)
    assert visit(outside).seen_as == outside.own4
    eventually("it goes past the proxy", lambda: visit(outside, host=outside.host6).seen_as == outside.own6)
    assert visit(outside, host=outside.host6).container == name
    with Guest(outside, outside.host6):
        eventually("it is named", lambda: any(outside.own6 in str(one) for one in web.status["leases"]))


def test_by_ipv6_where_the_container_has_none(bypassed: Bypassed, outside: Client) -> None:
    name = wakes(bypassed(), outside)
    by_six = visit(outside, host=outside.host6)
    assert by_six.seen_as != outside.own6
    assert by_six.container == name


def test_whom_the_service_does_not_allow_stays_out(bypassed: Bypassed, outside: Client) -> None:
    """Asleep and awake: the networks are part of the rule, and of the listener."""
    web = bypassed('allow = ["10.99.0.0/24", "10.99.0.2", "fd00::/8"]')  # one lies in another
    with Client(web.lab, "banned", 98) as banned:
        assert "reset" in visit(banned).error.lower()
        assert not web.container_runs
        wakes(web, outside)
        assert visit(outside).seen_as == outside.own4
        assert "reset" in visit(banned).error.lower()


def test_who_is_past_the_proxy_counts_when_that_is_switched_off(bypassed: Bypassed, outside: Client) -> None:
    web = bypassed(idle="3s")
    wakes(web, outside)
    with Guest(outside) as guest:
        assert guest.seen_as == outside.own4
        path = web.home.configuration / "web.toml"
        path.write_text(path.read_text().replace("bypass = true", ""))
        web.lab.run(["wakeport", "apply", "web"])
        eventually("it is relayed", lambda: visit(outside).seen_as != outside.own4)
        web.stays_awake(7)
        assert guest.is_answered()
    web.falls_asleep()
