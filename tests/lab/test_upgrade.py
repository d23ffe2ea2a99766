"""A newer version takes over while clients are being served, and none of them notices."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import wakeport
from lab import Lab
from tests.lab.clients import ask, connect
from tests.lab.programs import POURS, TWO_PORTS, python
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.services import AddService, Service
from tests.lab.waiting import eventually

NEWER = "99.0.0"

# Logs a line every 10 ms, each with its number, and long enough that 40 of them are not read at once.
TICKS = """
import itertools, socketserver, threading, time
server = socketserver.TCPServer(("", 80), socketserver.BaseRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
for number in itertools.count():
    print("tick", number, "." * 4000)
    time.sleep(0.01)
"""


@pytest.fixture
def newer(lab: Lab) -> Iterator[str]:
    """The directory, as the lab sees it, of a newer version of wakeport."""
    source = lab.root / "var/tmp/newer"
    shutil.copytree(Path(wakeport.__file__).parent, source / "wakeport")
    init = source / "wakeport/__init__.py"
    init.write_text(init.read_text().replace(wakeport.__version__, NEWER))
    yield "/var/tmp/newer"
    shutil.rmtree(source)


def upgrade(service: Service, newer: str) -> None:
    """What a person does who has installed a newer version."""
    service.lab.run(["wakeport", "apply"], env={"PYTHONPATH": newer})


def runs(service: Service, version: str) -> bool:
    """Whether the supervisor that runs is of that version."""
    return of_version(service, service.units.supervisor, version)


def of_version(service: Service, unit: str, version: str) -> bool:
    commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in service.pids(unit)]
    return any(f"/usr/local/lib/wakeport/{version}-" in command for command in commands)


def test_a_transfer_goes_on_across_an_upgrade(service: AddService, newer: str) -> None:
    web = service(idle="1s", image="python", command=python(POURS), create=[DIES_AT_ONCE])
    received = hashlib.blake2b()
    with connect(web.lab) as client:
        client.sendall(b"64\n")
        received.update(client.recv(1 << 16))
        supervisor, proxy = web.pids(web.units.supervisor), web.pids(web.units.proxy)
        upgrade(web, newer)
        eventually("the newer supervisor", lambda: runs(web, NEWER))
        assert web.pids(web.units.supervisor) == supervisor
        assert web.pids(web.units.proxy) != proxy
        assert of_version(web, web.units.proxy, NEWER)
        while piece := client.recv(1 << 20):
            received.update(piece)
    whole = b"".join(number.to_bytes(8, "big") + bytes(range(256)) * 4096 for number in range(64))
    assert received.hexdigest() == hashlib.blake2b(whole).hexdigest()
    web.falls_asleep()


def test_the_lease_is_kept_and_so_is_the_container(service: AddService, newer: str) -> None:
    web = service(idle="1s")
    with connect(web.lab) as client:
        ask(client)
        web.reaches("awake")
        woken = web.status
        started = web.lab.docker("inspect", "--format={{.State.StartedAt}}", "web")
        upgrade(web, newer)
        eventually("the newer supervisor", lambda: runs(web, NEWER))
        time.sleep(3)  # that nothing happens has no event to wait for: three times its idle time
        assert ask(client).startswith("<!doctype html>")
        assert web.lab.docker("inspect", "--format={{.State.StartedAt}}", "web") == started
        for fact in ("state", "since", "container_id", "owned", "targets", "last_wake"):
            assert web.status[fact] == woken[fact], fact
        assert [lease["who"] for lease in web.status["leases"]] == ["proxy"]
    web.falls_asleep()


def test_the_log_goes_on_with_no_line_lost_or_twice(service: AddService) -> None:
    web = service(idle="1h", image="python", command=python(TICKS), create=[DIES_AT_ONCE])
    web.lab.run(["wakeport", "wake", "web"])
    for count in (50, 100, 150):
        web.systemctl("kill", "--signal=HUP", "--kill-who=main", web.units.supervisor)
        eventually(f"{count} lines of its log", partial(has_ticked, web, count))
    said = ticks(web)
    assert said == [f"tick {number}" for number in range(len(said))]


def test_what_a_supervisor_had_not_read_yet_is_read_by_the_newer_one(service: AddService) -> None:
    """It got no processor for a while, and the first that it heard then was that it is to be replaced."""
    web = service(idle="1h", image="python", command=python(TICKS), create=[DIES_AT_ONCE])
    web.lab.run(["wakeport", "wake", "web"])
    for count in (20, 120, 220):
        eventually(f"{count} lines of its log", partial(has_ticked, web, count))
        [pid] = web.pids(web.units.supervisor)
        os.kill(pid, signal.SIGSTOP)
        try:
            eventually("it has written more", lambda: len(written(web)) > len(ticks(web)) + 40)
            os.kill(pid, signal.SIGHUP)
        finally:
            os.kill(pid, signal.SIGCONT)
    eventually("300 lines of its log", partial(has_ticked, web, 300))
    said = ticks(web)
    assert said == [f"tick {number}" for number in range(len(said))]


def written(service: Service) -> list[str]:
    """As the Engine has it."""
    return service.lab.docker("logs", "web").splitlines()


def ticks(service: Service) -> list[str]:
    since = f"--since=@{service.added_at:.6f}"
    log = ["journalctl", "--quiet", "--output=cat", since, "--unit", service.units.supervisor]
    return [
        line.rstrip(" .") for line in service.lab.run(log).stdout.splitlines() if line.startswith("tick ")
    ]


def has_ticked(service: Service, count: int) -> bool:
    return len(ticks(service)) >= count


def test_asleep_it_wakes_as_the_newer_version(service: AddService, newer: str) -> None:
    web = service(idle="1h")
    upgrade(web, newer)
    assert web.is_asleep
    assert web.get().served
    assert runs(web, NEWER)
    copies = [path.name for path in (web.lab.root / "usr/local/lib/wakeport").iterdir()]
    assert [name.partition("-")[0] for name in copies] == [NEWER]


def test_the_older_copy_goes_when_nothing_runs_from_it_though_clients_are_served(
    service: AddService, newer: str
) -> None:
    web = service(idle="1s")
    copies = web.lab.root / "usr/local/lib/wakeport"
    with connect(web.lab) as client:
        ask(client)
        upgrade(web, newer)
        eventually("the newer supervisor", lambda: runs(web, NEWER))
        upgrade(web, newer)
        assert [path.name.partition("-")[0] for path in copies.iterdir()] == [NEWER]
        assert ask(client).startswith("<!doctype html>")
    web.falls_asleep()


def test_clients_go_on_and_new_ones_follow_to_another_target(service: AddService) -> None:
    web = service(image="python", command=python(TWO_PORTS), create=[DIES_AT_ONCE])
    settings = web.lab.root / "etc/wakeport/web.toml"
    with connect(web.lab) as before:
        before.sendall(b"?")
        assert before.recv(10) == b"80\n"
        settings.write_text(settings.read_text().replace("to = 80", "to = 81"))
        web.lab.run(["wakeport", "apply", "web"])
        with connect(web.lab) as after:
            after.sendall(b"?")
            assert after.recv(10) == b"81\n"
            before.sendall(b"?")
            assert before.recv(10) == b"80\n"


def test_a_version_that_cannot_be_executed_is_not_changed_to(service: AddService) -> None:
    web = service(idle="1s")
    with connect(web.lab) as client:
        ask(client)
        (web.lab.root / "run/wakeport/web/next").write_text('["/nowhere/python3", "supervisor.py"]')
        web.systemctl("kill", "--signal=HUP", "--kill-who=main", web.units.supervisor)
        log = ["journalctl", "--quiet", "--unit", web.units.supervisor, "--grep", "newer version cannot be"]
        eventually("it says so", lambda: web.lab.run(log, check=False).stdout)
        assert ask(client).startswith("<!doctype html>")
        assert web.status["state"] == "awake"
    web.falls_asleep()


def test_a_stop_in_the_middle_of_an_upgrade_stops_the_container(service: AddService) -> None:
    """In its first milliseconds the newer supervisor hears no signal yet; none may kill it there."""
    web = service(idle="1h")
    for pause in range(0, 40, 5):
        assert web.get().served
        [pid] = web.pids(web.units.supervisor)
        os.kill(pid, signal.SIGHUP)
        time.sleep(pause / 1000)
        os.kill(pid, signal.SIGTERM)
        web.falls_asleep()


def test_an_upgrade_does_not_put_the_sleep_off(service: AddService) -> None:
    """The idle time began anew, so that daily upgrades could keep a service awake."""
    web = service(idle="1min")
    assert web.get().served
    eventually("it is idle", lambda: web.status["sleeps_at"])
    sleeps_at = web.status["sleeps_at"]
    eventually("some of that time has passed", lambda: time.time() > sleeps_at - 58)
    published = status_file(web).stat().st_ino
    web.lab.run(["systemctl", "kill", "--signal=HUP", "--kill-who=main", web.units.supervisor])
    eventually("the newer one has published", lambda: status_file(web).stat().st_ino != published)
    eventually("and what it knows of the leases too", lambda: web.status["sleeps_at"])
    assert abs(web.status["sleeps_at"] - sleeps_at) < 1


def status_file(service: Service) -> Path:
    return service.lab.root / service.units.state[1:] / "status.json"
