"""Services whose awake traffic goes past the proxy, and a client from outside whom FORWARD lets through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from lab import Lab
from lab.client import Client
from tests.lab.services import Service
from tests.lab.visits import visit
from tests.lab.waiting import eventually

# What a person adds whose FORWARD chain lets through published ports alone, as Docker's does.
LET_THROUGH: Final = """
iptables -I DOCKER-USER -p tcp -m conntrack --ctstate DNAT --ctorigdstport 80:99 -j ACCEPT
iptables -I DOCKER-USER -p udp -m conntrack --ctstate DNAT --ctorigdstport 80:99 -j ACCEPT
"""
AS_BEFORE: Final = """
iptables -F DOCKER-USER
iptables -A DOCKER-USER -j RETURN
"""

Bypassed = Callable[..., Service]


@contextmanager
def rules_restored(lab: Lab) -> Iterator[None]:
    """Docker's are as before, whoever flushes them: in iptables' own words, of which it takes no others."""
    saved = {program: lab.run([f"{program}-save"]).stdout for program in ("iptables", "ip6tables")}
    try:
        yield
    finally:
        lab.run(["nft", "flush", "ruleset"])
        for program, rules in saved.items():
            lab.run([f"{program}-restore"], input=rules)


@contextmanager
def client_from_outside(lab: Lab) -> Iterator[Client]:
    lab.run(["sh", "-ec", LET_THROUGH])
    try:
        with Client(lab) as client:
            yield client
    finally:
        lab.run(["sh", "-ec", AS_BEFORE])


def wakes(web: Service, client: Client) -> str:
    """Wake it, and wait until the way past the proxy is open; the container's host name."""
    first = visit(client, port=web.port)
    assert not first.error, first
    assert first.seen_as != client.own4
    is_open(web)
    return first.container


def is_open(web: Service) -> None:
    eventually("the way past the proxy is open", lambda: (web.status["bypass"] or {}).get("open"))
