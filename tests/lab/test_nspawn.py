"""What is a machine of systemd-nspawn's own: its watchdog, its address, its settings."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lab import Lab
from tests.lab.runtimes.nspawn import Nspawn
from tests.lab.services import Service
from tests.lab.waiting import eventually

LATE = "/run/test-late-address"


@pytest.fixture
def machines(lab: Lab) -> Iterator[Nspawn]:
    made = Nspawn(lab)
    yield made
    lab.run(["sh", "-c", "systemctl stop 'wakeport-*'"])
    made.clean_up()


def add(machines: Nspawn, *options: str) -> Service:
    machines.lab.run(["wakeport", "add", "web", "--runtime=nspawn", "--listen=80=80", *options])
    return Service(machines, "web", "web", 80)


def test_one_that_dozes_outlives_the_watchdog_of_its_unit(machines: Nspawn) -> None:
    """Frozen with it, systemd-nspawn could not answer, and systemd killed both."""
    machines.create("web")
    machines.set("web", "[Service]\nWatchdogSec=3s")
    web = add(machines, "--doze=200ms", "--idle=1h")
    assert web.get().served
    started = web.started_at
    web.freezes()
    time.sleep(7)  # twice the watchdog's patience
    assert web.is_frozen
    assert web.get().served
    assert web.started_at == started


def test_an_address_that_comes_late_is_waited_for(machines: Nspawn) -> None:
    machines.create("web")
    machines.write(LATE, f"sleep 1; read -r MAINPID </run/test-main; {machines.give_address}")
    machines.set(
        "web",
        "[Service]\nExecStartPost=\nExecStartPost=/bin/sh -c 'echo $MAINPID >/run/test-main'\n"
        f"ExecStartPost=systemd-run --quiet --collect /bin/sh {LATE} {machines.addresses['web']}",
    )
    web = add(machines, "--idle=1h")
    answer = web.get()
    assert answer.served, answer
    assert answer.seconds > 1
    web.reaches("awake")
    assert web.status["targets"] == {"80/tcp": [machines.addresses["web"], 80]}


def test_add_says_why_nothing_reaches_it(machines: Nspawn) -> None:
    machines.create("web")
    settings = machines.lab.root / "etc/systemd/nspawn/web.nspawn"
    settings.write_text(settings.read_text().replace("Bridge=test0", "Private=yes"))
    refused = machines.lab.run(["wakeport", "add", "web", "--runtime=nspawn", "--listen=80=80"], check=False)
    assert refused.returncode == 2
    assert "a network of its own without a link to this host" in refused.stderr


def test_add_knows_a_machine_from_the_unit_that_every_name_has(machines: Nspawn) -> None:
    refused = machines.lab.run(
        ["wakeport", "add", "nobody", "--runtime=nspawn", "--listen=80=80"], check=False
    )
    assert refused.returncode == 3
    assert "there is no machine nobody in /var/lib/machines" in refused.stderr


def test_one_that_a_person_ends_while_it_dozes_hears_of_it_at_once(machines: Nspawn) -> None:
    """Frozen below its unit it did not, and systemd waited for its TimeoutStopSec=."""
    machines.create("web")
    web = add(machines, "--doze=200ms", "--idle=1h")
    assert web.get().served
    web.freezes()
    machines.stop("web")
    eventually("it is down", lambda: not web.container_runs, within=30)
