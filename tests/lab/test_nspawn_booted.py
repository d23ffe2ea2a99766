"""A machine of systemd-nspawn that boots: a whole systemd inside, with its own order of coming and going."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import Lab
from tests.lab.runtimes.booted import Booted
from tests.lab.services import Service
from tests.lab.waiting import eventually


@pytest.fixture
def machines(lab: Lab) -> Iterator[Booted]:
    made = Booted(lab)
    yield made
    lab.run(["sh", "-c", "systemctl stop 'wakeport-*'"])
    made.clean_up()


def add(machines: Booted, *options: str, to: int = 80) -> Service:
    machines.lab.run(["wakeport", "add", "web", "--runtime=nspawn", f"--listen=80={to}", *options])
    return Service(machines, "web", "web", 80)


def test_it_wakes_dozes_and_is_shut_down(machines: Booted) -> None:
    """Its clients are held while it boots; frozen and thawed it is the same boot; its services end well."""
    machines.boot("web")
    web = add(machines, "--doze=1s", "--idle=6s")
    assert all(answer.served for answer in web.crowd(20))
    web.reaches("awake")
    assert web.status["targets"] == {"80/tcp": [machines.addresses["web"], 80]}
    started, inside = web.started_at, machines.first_process("web")
    assert "multi-user.target" in machines.lab.run(["wakeport", "logs", "web"]).stdout
    web.freezes()
    assert web.get().served
    assert (web.started_at, machines.first_process("web")) == (started, inside)
    web.falls_asleep()
    assert machines.stopped("web") == ["success"]
    assert machines.show("web", "Result") == "success"
    assert web.get().served
    assert web.started_at != started


def test_with_the_network_of_the_host(machines: Booted) -> None:
    machines.boot("web", "VirtualEthernet=no", 8080)
    web = add(machines, "--idle=1h", to=8080)
    assert web.get().served
    web.reaches("awake")
    assert web.status["targets"] == {"8080/tcp": ["127.0.0.1", 8080]}


def test_its_own_reboot_is_no_failure(machines: Booted) -> None:
    """Its unit starts it again, and it is still put to sleep, though no client came since."""
    machines.boot("web")
    web = add(machines, "--idle=6s")
    assert web.get().served
    started = web.started_at
    machines.lab.run(["machinectl", "reboot", "web"])
    # systemd counts its restarts, and forgets the count when wakeport asks for another start.
    eventually("it has rebooted", lambda: web.started_at not in ("", "0", started))
    web.falls_asleep()
    # Of this test's own: the lab has had others of that name.
    told = machines.lab.run(["wakeport", "history", "web", f"--since=@{web.added_at:.6f}"]).stdout
    assert "woke in" in told
    assert "failed" not in told
    assert web.get().served


def test_one_whose_first_process_is_killed_is_woken_by_the_next_client(machines: Booted) -> None:
    machines.boot("web")
    web = add(machines, "--idle=1h")
    assert web.get().served
    machines.lab.run(["kill", "-KILL", str(machines.first_process("web"))])
    eventually("it is down", lambda: not web.container_runs)
    eventually("it is served again", lambda: web.get().served)


def test_one_that_cannot_boot_and_is_mended(machines: Booted) -> None:
    machines.boot("web")
    hidden = f"{machines.root('web')}/usr/lib/systemd/systemd"
    machines.lab.run(["mv", hidden, f"{hidden}.away"])
    web = add(machines, "--idle=1h", "--ready-within=20s")
    answer = web.get()
    assert answer.status == 503, answer
    web.reaches("failed")
    machines.lab.run(["mv", f"{hidden}.away", hidden])
    eventually("it is served", lambda: web.get().served)
