"""Awake traffic past the proxy in the moments in which that way is opened, closed, or left behind."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from lab.client import Client
from tests.lab.bypassing import Bypassed, is_open, wakes
from tests.lab.fleet import run
from tests.lab.programs import python
from tests.lab.rounds import rounds
from tests.lab.services import Service
from tests.lab.visits import TELLS, Guest, Visit, visit, visitors, visits_at
from tests.lab.waiting import eventually
from wakeport.supervisor.bypass import RENEW_EVERY_LEAST

# Seconds from a client's end to the decision: it is known at one of the next two looks, and then they begin.
SLEEPS_AFTER = 0.5 + 1.5 * RENEW_EVERY_LEAST
SIZE = 8  # services at once; most of a round is waiting
AROUND = (-0.3, 0.6)  # seconds; a stop takes about 0.3
APART = 0.02  # seconds from the first client of a round to the second


def lost(visits: list[Visit]) -> list[str]:
    return [str(one) for one in visits if one.error]


@pytest.mark.parametrize("due", ["sleeps_at", "dozes_at"])
def test_no_client_around_a_sleep_is_lost(bypassed: Bypassed, outside: Client, due: str) -> None:
    """As with the proxy (test_race_sleep.py), with clients past it."""
    settings, idle = ((), "500ms") if due == "sleeps_at" else (('doze = "500ms"',), "1h")
    services = [
        bypassed(*settings, name=f"web{number}", listen=80 + number, idle=idle) for number in range(SIZE)
    ]
    met: list[bool] = []
    past: list[bool] = []

    def one(web: Service, moments: random.Random) -> str:
        first = visit(outside, port=web.port)
        since = web.status["since"]
        at = SLEEPS_AFTER + moments.uniform(*AROUND)
        found = [first, *visits_at(outside, [at, at + APART], port=web.port)]
        met.append(web.status["since"] > since)
        past.extend(each.seen_as == outside.own4 for each in found)
        return "; ".join(lost(found))

    for web in services:
        wakes(web, outside)
    assert run(services, rounds(200, full=2000), one) == []
    assert any(past)
    assert sum(met) > len(met) / 10, f"only {sum(met)} of {len(met)} rounds met a sleep"


def _restarted(web: Service, before: int) -> bool:
    return web.restarts(web.units.supervisor) > before and bool(web.pids(web.units.supervisor))


def test_a_killed_supervisor_loses_nobody(bypassed: Bypassed, outside: Client) -> None:
    web = bypassed()
    name = wakes(web, outside)
    with Guest(outside) as guest:
        assert guest.seen_as == outside.own4
        with visitors(outside, every=0.05) as visits:
            for turn in range(rounds(2, full=10)):
                # It counts as started anew before it is there.
                eventually("it is killed", lambda: web.kill(web.units.supervisor))
                eventually("it is back", partial(_restarted, web, turn))
                web.reaches("awake")
                assert visit(outside).container == name
        assert lost(visits) == []
        assert {one.container for one in visits} == {name}
        assert guest.is_answered()


def test_without_a_supervisor_the_listener_has_the_port_again(bypassed: Bypassed, outside: Client) -> None:
    """The element ends by itself, within five seconds."""
    web = bypassed()
    wakes(web, outside)
    web.drop_in(web.units.supervisor, "[Service]\nRestart=no\n")
    web.drop_in(web.units.proxy, "[Unit]\nWants=\n")
    try:
        assert visit(outside).seen_as == outside.own4
        web.kill(web.units.supervisor)
        died = time.monotonic()
        eventually("it is relayed", lambda: visit(outside).seen_as != outside.own4)
        assert time.monotonic() - died < 30
    finally:
        web.drop_in(web.units.supervisor, "")
        web.drop_in(web.units.proxy, "")


def test_who_left_while_a_person_had_it_frozen_keeps_it_awake_no_more(
    bypassed: Bypassed, outside: Client
) -> None:
    """Nobody looked at who was connected past the proxy any more, once that was closed."""
    web = bypassed(idle="5s")
    wakes(web, outside)
    with Guest(outside) as guest:
        assert guest.seen_as == outside.own4
        eventually("it is named", lambda: guest.address in str(web.status["leases"]))
        web.frozen_by_a_person()
        # A reset: what is frozen cannot end its half.
        guest.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    web.falls_asleep()


def test_a_newer_self_with_other_networks_opens_at_once(bypassed: Bypassed, outside: Client) -> None:
    """What its older self had put in was in its way until it ended."""
    web = bypassed()
    wakes(web, outside)
    since = time.time()
    path = web.home.configuration / "web.toml"
    path.write_text('allow = ["10.99.0.0/24"]\n' + path.read_text())
    web.lab.run(["wakeport", "apply", "web"])
    eventually("it goes past the proxy", lambda: visit(outside).seen_as == outside.own4)
    told = web.lab.run(["journalctl", "--output=cat", f"--since=@{since:.0f}", "-u", web.units.supervisor])
    assert "the kernel refuses" not in told.stdout


def leads_to(web: Service, address: str) -> bool:
    return f": {address} . " in web.lab.run(["nft", "list", "map", "inet", "wakeport", "awake4"]).stdout


@contextmanager
def stranger(web: Service) -> Iterator[str]:
    """A container that takes the first address that is free, and answers on the same port; its name."""
    web.containers.create("stranger", image="python", command=python(TELLS))
    try:
        yield web.lab.docker("inspect", "--format={{.Config.Hostname}}", "stranger").strip()
    finally:
        web.containers.remove("stranger")


@pytest.mark.parametrize("with_supervisor", [True, False])
def test_nobody_comes_to_the_next_container_with_that_address(
    bypassed: Bypassed, outside: Client, with_supervisor: bool
) -> None:
    web = bypassed()
    with stranger(web) as other:
        name = wakes(web, outside)
        address = web.status["targets"]["80/tcp"][0]
        with visitors(outside, every=0.02) as visits:
            for _ in range(rounds(3, full=20)):
                is_open(web)
                if not with_supervisor:
                    web.kill(web.units.supervisor)
                web.containers.kill("web")
                # Until a successor has taken it out, it leads there: for five seconds, if none comes.
                eventually("the element is gone", lambda: not leads_to(web, address))
                web.containers.start("stranger")
                eventually("it is woken again", lambda: visit(outside).container == name)
                web.containers.stop("stranger")
        strangers = [str(one) for one in visits if one.container == other]
        assert strangers == [], f"at {address}"


def test_when_docker_is_killed_the_listener_has_the_port(bypassed: Bypassed, outside: Client) -> None:
    """Its containers die with it; systemd starts both again at the next client."""
    web = bypassed()
    name = wakes(web, outside)
    assert visit(outside).seen_as == outside.own4
    web.kill("docker.service")
    again = visit(outside)
    assert not again.error, again
    assert again.container == name


def test_a_table_of_an_older_version_is_made_anew(bypassed: Bypassed, outside: Client) -> None:
    web = bypassed()
    older = "add table inet wakeport; add set inet wakeport let_in4 { type ipv4_addr; }"
    web.lab.run(["nft", older])
    wakes(web, outside)
    assert visit(outside).seen_as == outside.own4
