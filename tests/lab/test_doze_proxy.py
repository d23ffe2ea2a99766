"""A dozing container and its proxy: who may thaw it, who is kept in the meantime, what a person does then."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from lab import Lab
from tests.lab import clients
from tests.lab import test_udp as udp
from tests.lab.programs import ECHOES, SAYS_DATAGRAMS_BACK, python
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.services import AddService, Service
from tests.lab.settings import service_from
from tests.lab.waiting import PATIENCE, eventually

SILENT = '[busy]\nconnections = "1K in 1s"\nsilent = "doze"'


def echo(client: socket.socket, text: bytes) -> bytes:
    client.sendall(text)
    return client.recv(len(text))


def pool(service: AddService, idle: str = "1s") -> Service:
    """A service whose silent connections are never cut."""
    one = service("pool", "--doze=300ms", command=python(ECHOES), create=[DIES_AT_ONCE], idle=idle)
    one.settings(SILENT)
    return one


def test_a_probe_does_not_thaw_and_a_visitor_does(lab: Lab) -> None:
    web = service_from(
        lab,
        """
        doze = "300ms"
        idle = "1h"

        [[listener]]
        on = "80"

        [[listener.rule]]
        path = "/"
        then = "wake"

        [[listener.rule]]
        then = "200 asleep"
        """,
    )

    def probe() -> bytes:
        with clients.connect(lab) as client:
            client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            return client.recv(1024)

    assert web.get().served
    web.freezes()
    for _ in range(5):
        assert probe().endswith(b"asleep")
        assert web.is_frozen
    assert web.get().served
    web.freezes()
    web.kill(web.units.proxy)
    assert probe().endswith(b"asleep")  # by a proxy that holds no lease
    assert web.is_frozen
    assert web.get().served


def test_a_first_byte_wakes_from_a_doze_and_a_bare_connection_does_not(lab: Lab) -> None:
    web = service_from(lab, 'doze = "300ms"\nidle = "1h"\n[[listener]]\non = "80"\nwake_on = "data"')
    assert web.get().served
    web.freezes()
    with clients.connect(lab) as scan:
        scan.settimeout(1)
        with pytest.raises(TimeoutError):
            scan.recv(1)
        assert web.is_frozen
        scan.settimeout(PATIENCE)
        assert clients.ask(scan)


def test_a_restart_of_the_proxy_in_a_doze_keeps_the_silent(service: AddService) -> None:
    web = pool(service)
    with clients.connect(web.lab) as silent:
        assert echo(silent, b"one") == b"one"
        web.reaches("dozing")
        web.freezes()
        web.systemctl("restart", web.units.proxy)
        web.reaches("dozing")
        eventually("it rests", lambda: [lease["rests"] for lease in web.status["leases"]] == [True])
        assert echo(silent, b"two") == b"two"
    web.falls_asleep()


def test_a_proxy_that_stays_can_be_restarted_stopped_and_killed(service: AddService) -> None:
    web = service("web", "--doze=300ms", idle="1h")
    for what in ("restart", "stop", "kill"):
        assert web.get().served
        web.freezes()
        if what == "kill":
            web.kill(web.units.proxy)
        else:
            web.systemctl(what, web.units.proxy)
        assert web.is_frozen
        answer = web.get()
        assert answer.served, (what, answer)
    web.reaches("dozing")
    web.systemctl("stop", web.units.supervisor)
    web.falls_asleep()
    assert web.get().served
    web.reaches("dozing")
    web.systemctl("stop", web.units.lease)
    eventually("it has ended", lambda: not web.processes and not web.container_runs)
    web.systemctl("start", web.units.lease)
    assert web.get().served


def test_the_proxy_of_a_dozing_container_costs_nothing(service: AddService) -> None:
    web = service("web", "--doze=300ms", idle="1h")
    assert web.get().served
    web.reaches("dozing")
    time.sleep(1.5)
    [proxy] = web.pids(web.units.proxy)

    def wakes() -> int:
        text = Path(f"/proc/{proxy}/status").read_text()
        return sum(int(line.split()[1]) for line in text.splitlines() if "ctxt_switches" in line)

    before = wakes()
    time.sleep(5)
    # One sweep may be due, and be interrupted; what wakes every second would have woken five times.
    assert wakes() - before <= 3


def test_the_classic_shape_dozes_too(service: AddService) -> None:
    web = service("web", "--doze=300ms", idle="8s", shape="systemd-socket-proxyd")
    for _ in range(3):
        assert web.get().served
        web.reaches("dozing")
        web.freezes()
    web.falls_asleep()


@pytest.mark.parametrize("verb", [["sleep", "web"], ["remove", "web"]])
def test_what_dozes_can_be_put_to_sleep_and_removed(service: AddService, verb: list[str]) -> None:
    web = service("web", "--doze=300ms", idle="1h")
    assert web.get().served
    web.reaches("dozing")
    web.lab.run(["wakeport", *verb])
    assert not web.container_runs


def test_what_dozes_can_be_looked_at_and_woken(service: AddService) -> None:
    web = service("web", "--doze=300ms", idle="1h")
    assert web.get().served
    web.freezes()
    for verb in ("status", "doctor", "diff", "apply"):
        web.lab.run(["wakeport", verb, "web"])
        assert web.is_frozen
    web.lab.run(["wakeport", "wake", "web"])
    eventually("it was thawed", lambda: len(web.moments(web.units.supervisor, "web is awake")) == 2)
    web.reaches("dozing")


def test_sleep_names_who_is_silent_and_is_not_to_be_cut(service: AddService) -> None:
    web = pool(service)
    with clients.connect(web.lab) as silent:
        assert echo(silent, b"one") == b"one"
        web.reaches("dozing")
        client = f"127.0.0.1:{silent.getsockname()[1]}"
        told = web.lab.run(["wakeport", "status", "pool"]).stdout
        assert f"not stopped under 1 connection from {client}" in told
        refused = web.lab.run(["wakeport", "sleep", "pool"], check=False)
        assert refused.returncode == 5
        assert client in refused.stderr
        assert echo(silent, b"two") == b"two"
        web.lab.run(["wakeport", "sleep", "--force", "pool"])
        assert silent.recv(1) == b""
    web.falls_asleep()


def test_sleep_tells_of_a_container_that_a_person_started_and_froze(service: AddService) -> None:
    web = service("web", idle="1h")
    web.lab.docker("start", "web")
    assert web.get().served
    web.frozen_by_a_person()
    refused = web.lab.run(["wakeport", "sleep", "web"], check=False)
    assert refused.returncode == 5, refused
    assert "started by hand" in refused.stderr
    web.lab.docker("unpause", "web")


def test_who_comes_during_a_freeze_and_an_upgrade_is_not_forgotten(service: AddService) -> None:
    """The older self had heard of it, and the newer one did not: the client waited for ever."""
    web = service("web", "--doze=1s", idle="1h")
    assert web.get().served
    engine = min(web.pids("docker.service"))  # any other is a command that it runs
    [supervisor] = web.pids(web.units.supervisor)
    os.kill(engine, signal.SIGSTOP)
    try:
        web.reaches("dozing")  # which is said before the call that gets no answer yet
        with clients.connect(web.lab) as client:
            client.sendall(clients.REQUEST)
            eventually("it is asked for", lambda: [lease["busy"] for lease in web.status["leases"]] == [True])
            os.kill(supervisor, signal.SIGHUP)
            os.kill(engine, signal.SIGCONT)
            client.settimeout(PATIENCE)
            assert client.recv(4) == b"HTTP"
    finally:
        os.kill(engine, signal.SIGCONT)


@pytest.mark.parametrize("silent", ["stop", "doze"])
def test_a_crash_of_the_supervisor_in_a_doze_loses_no_silent_client(service: AddService, silent: str) -> None:
    """Its successor dozes again, and somebody has to hear when."""
    web = service("pool", "--doze=300ms", command=python(ECHOES), create=[DIES_AT_ONCE], idle="30s")
    web.settings(f'[busy]\nconnections = "1K in 1s"\nsilent = "{silent}"')
    with clients.connect(web.lab) as client:
        assert echo(client, b"one") == b"one"
        web.reaches("dozing")
        before = web.pids(web.units.supervisor)
        web.kill(web.units.supervisor)
        eventually("a successor", lambda: web.pids(web.units.supervisor) not in ([], before))
        eventually("is awake", lambda: len(web.moments(web.units.supervisor, "pool is awake")) == 2)
        web.reaches("dozing")
        for _ in range(2):
            began = time.time()
            assert echo(client, b"two") == b"two"
            web.reaches("dozing", after=began)


def test_datagrams_thaw(lab: Lab) -> None:
    lab.create("echo", DIES_AT_ONCE, image="python", command=python(SAYS_DATAGRAMS_BACK))
    echoes = udp.configured(
        lab,
        "echo",
        'doze = "300ms"',
        'idle = "1h"',
        "[[listener]]",
        f'on = "{udp.ECHO}/udp"',
        "to = 80",
        'flow_idle = "500ms"',
    )
    with udp.client(lab) as client:
        for _ in range(3):
            began = time.time()
            client.send(b"hello")
            assert client.recv(100) == b"HELLO"
            echoes.reaches("dozing", after=began)
            echoes.freezes()
