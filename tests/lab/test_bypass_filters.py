"""Awake traffic past the proxy, and what the filters of a machine say to it: nothing opens that they close,
and nobody is lost whom they let in.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import Lab
from lab.client import Client
from tests.lab.bypassing import Bypassed, rules_restored, wakes
from tests.lab.visits import Guest, visit, visitors
from tests.lab.waiting import eventually
from wakeport.supervisor.bypass import NOWHERE

AGAIN = 2.5  # seconds in which a client sends its first packet twice


@contextmanager
def rule(lab: Lab, chain: str, words: str) -> Iterator[None]:
    """One of a chain like "filter hook input priority 0", in the words of nft(8)."""
    table = f"table inet test {{\nchain test {{ type {chain};\n{words}\n}}\n}}"
    lab.run(["nft", "-f", "-"], input=table)
    try:
        yield
    finally:
        lab.run(["nft", "delete", "table", "inet", "test"])


@pytest.mark.parametrize("word", ["reject with icmpx admin-prohibited", "reject with tcp reset"])
def test_what_forward_rejects_is_relayed(lab: Lab, bypassed: Bypassed, word: str) -> None:
    """Who is told so at once never sends that packet again."""
    rejects = f'iifname "to-visitor" tcp dport 80 ct state new {word}'
    with Client(lab) as client, rule(lab, "filter hook forward priority -10", rejects):
        wakes(bypassed(), client)
        for _ in range(2):
            one = visit(client)
            assert not one.error, one
            assert one.seen_as != client.own4


def test_who_is_let_in_at_one_address_is_not_at_another(bypassed: Bypassed, outside: Client) -> None:
    with Client(outside.lab, "second", 98) as second:
        closed = f"ip daddr {second.host4} tcp dport 80 drop"
        with rule(outside.lab, "filter hook input priority 0", closed):
            wakes(bypassed(), outside)
            eventually("it goes past the proxy", lambda: visit(outside).seen_as == outside.own4)
            assert visit(outside, AGAIN, second.host4).error == "timed out"


def test_what_passes_at_one_address_may_be_dropped_at_another(bypassed: Bypassed, outside: Client) -> None:
    """As of two services with one port, in networks of which FORWARD lets one be reached alone."""
    with Client(outside.lab, "second", 98) as second:
        dropped = f"ct original ip daddr {second.host4} drop"
        with rule(outside.lab, "filter hook forward priority -10", dropped):
            wakes(bypassed(), outside)
            with visitors(outside, every=0.5) as passing:
                there = visit(outside, 20, second.host4)
            assert not there.error, there
            assert there.seen_as != outside.own4
            assert {one.error for one in passing} == {""}
            assert visit(outside).seen_as == outside.own4


@pytest.mark.parametrize("chain", ["filter hook input priority 200", "nat hook input priority 50"])
def test_a_filter_behind_all_others_keeps_out_too(bypassed: Bypassed, outside: Client, chain: str) -> None:
    closed = "ip saddr 10.98.0.2 tcp dport 80 drop"
    with Client(outside.lab, "banned", 98) as banned, rule(outside.lab, chain, closed):
        wakes(bypassed(), outside)
        assert visit(banned, AGAIN).error == "timed out"


def test_a_packet_with_no_hop_left_arrives(bypassed: Bypassed, outside: Client) -> None:
    """A router would send it no further; nor does it close the way past the proxy to others."""
    wakes(bypassed(), outside)
    for _ in range(2):
        with outside.network():
            near = socket.socket()
        with near:
            near.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
            near.settimeout(60)
            near.connect((outside.host4, 80))
            assert near.recv(100)
    assert visit(outside).seen_as == outside.own4


def test_a_forged_sender_closes_nothing(bypassed: Bypassed, outside: Client) -> None:
    """Nobody is answered at the machine's own address, so the same first packet may come time and again."""
    wakes(bypassed(), outside)
    addresses = socket.inet_aton(outside.host4) * 2
    with outside.network():
        forger = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with forger:
        for _ in range(3):
            head = struct.pack(">BBHHHBBH", 0x45, 0, 40, 1, 0, 64, socket.IPPROTO_TCP, 0) + addresses
            syn = struct.pack(">HHIIBBHHH", 4000, 80, 1, 0, 5 << 4, 2, 1024, 0, 0)
            checked = addresses + struct.pack(">HH", socket.IPPROTO_TCP, len(syn)) + syn
            total = sum(struct.unpack(f">{len(checked) // 2}H", checked))
            total = (total & 0xFFFF) + (total >> 16)
            syn = syn[:16] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + syn[18:]
            forger.sendto(head + syn, (outside.host4, 0))
    assert visit(outside).seen_as == outside.own4


def test_a_container_that_answers_by_another_network_is_relayed_to(
    bypassed: Bypassed, outside: Client
) -> None:
    """It is reached by its last network, and its default route is by the first."""
    for network in ("last", "first"):
        outside.lab.docker("network", "create", network)
    web = bypassed(create=["--network=last"])
    outside.lab.docker("network", "connect", "first", "web")
    outside.lab.run(["sysctl", "-q", "net.ipv4.conf.all.rp_filter=1"])
    try:
        assert not visit(outside).error
        eventually("the status says why", lambda: NOWHERE in str(web.status["bypass"]))
        assert not web.status["bypass"]["open"]
        one = visit(outside)
        assert not one.error, one
        assert one.seen_as != outside.own4
    finally:
        outside.lab.run(["sysctl", "-q", "net.ipv4.conf.all.rp_filter=0"])


def relayed_after_a_flush(client: Client) -> Guest:
    """One who came before the table was made anew, which takes up to two seconds, or nearly none."""
    for _ in range(20):
        client.lab.run(["nft", "flush", "ruleset"])
        guest = Guest(client)
        if guest.seen_as != client.own4:
            return guest
        guest.leave()
    raise AssertionError("the table was always there at once")


def test_who_came_while_all_rules_were_flushed_stays_where_they_are(
    bypassed: Bypassed, outside: Client
) -> None:
    """The kernel tracks nothing then, and takes what they say next for a new connection."""
    web = bypassed()
    wakes(web, outside)
    with rules_restored(outside.lab), relayed_after_a_flush(outside) as relayed:
        eventually("it goes past the proxy", lambda: visit(outside).seen_as == outside.own4)
        assert relayed.is_answered()
