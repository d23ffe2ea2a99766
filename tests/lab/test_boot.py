"""Boot and shutdown: the sockets stand before anything else, and nothing starts on the way down."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import Lab
from tests.lab.clients import accepts, ask, connect, get
from tests.lab.programs import python
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.runtimes.docker import Docker
from tests.lab.services import SHAPES, AddService, Service
from tests.lab.waiting import eventually

# Seconds: the lab's own shutdown takes 2 to 3. systemd kills what hangs only after 90.
DOWN_WITHIN = 30

# Connects to another service before it listens itself, as an application does that needs its database.
NEEDS = """
import http.server, socket
socket.create_connection(("{host}", {port}), timeout=60).close()
http.server.ThreadingHTTPServer(("", 80), http.server.SimpleHTTPRequestHandler).serve_forever()
"""

NEVER_LISTENS = ["sleep", "infinity"]


def add(lab: Lab, shape: str = "wakeport", image: str = "nginx", command: list[str] | None = None) -> Service:
    lab.create("web", DIES_AT_ONCE, image=image, command=command or [])
    lab.run(["wakeport", "add", "web", "--listen=80=80", "--idle=2s", f"--proxy={shape}"])
    return Service(Docker(lab), "web", "web", 80)


def started_at(lab: Lab) -> str:
    return lab.docker("inspect", "--format={{.State.StartedAt}}", "web")


@contextmanager
def knocking(lab: Lab) -> Iterator[None]:
    """Clients that come all the time, as long as anybody answers the door."""
    over = threading.Event()

    def knock() -> None:
        with lab.network():
            while not over.wait(0.02):
                accepts(lab)

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("shape", SHAPES)
def test_asleep_after_a_reboot_and_wakes(fresh_lab: Lab, shape: str) -> None:
    web = add(fresh_lab, shape)
    assert get(fresh_lab).served
    fresh_lab.reboot()
    assert web.is_asleep
    assert get(fresh_lab).served
    web.falls_asleep()
    fresh_lab.reboot()
    assert web.is_asleep
    assert get(fresh_lab).served


def test_asleep_after_a_power_cut_and_wakes(fresh_lab: Lab) -> None:
    web = add(fresh_lab)
    assert get(fresh_lab).served
    fresh_lab.kill()
    fresh_lab.boot()
    assert web.is_asleep
    assert get(fresh_lab).served
    web.falls_asleep()


@pytest.mark.parametrize("shape", SHAPES)
def test_shutdown_under_live_clients(fresh_lab: Lab, shape: str) -> None:
    add(fresh_lab, shape)
    clients = [connect(fresh_lab) for _ in range(20)]
    for client in clients:
        ask(client)
    started = started_at(fresh_lab)
    with knocking(fresh_lab):
        assert fresh_lab.shutdown() < DOWN_WITHIN
    for client in clients:
        client.close()
    fresh_lab.boot()
    assert started_at(fresh_lab) == started
    assert get(fresh_lab).served


@pytest.mark.parametrize("shape", SHAPES)
def test_shutdown_under_held_clients(fresh_lab: Lab, shape: str) -> None:
    web = add(fresh_lab, shape, image="python", command=NEVER_LISTENS)
    clients = [connect(fresh_lab) for _ in range(20)]
    eventually("the container runs", lambda: web.container_runs)
    started = started_at(fresh_lab)
    with knocking(fresh_lab):
        assert fresh_lab.shutdown() < DOWN_WITHIN
    for client in clients:
        client.close()
    fresh_lab.boot()
    assert web.is_asleep
    assert started_at(fresh_lab) == started


def test_two_services_that_need_each_others_port_to_start(lab: Lab, service: AddService) -> None:
    # docker0  UP  172.17.0.1/16
    host = lab.run(["ip", "-4", "-brief", "address", "show", "docker0"]).stdout.split()[2].partition("/")[0]
    ports = {"front": 8001, "back": 8002}
    made = {}
    for name, other in (("front", "back"), ("back", "front")):
        program = NEEDS.format(host=host, port=ports[other])
        options = {"image": "python", "command": python(program), "create": [DIES_AT_ONCE]}
        made[name] = service(name, listen=ports[name], **options)
    assert get(lab, ports["front"]).status == 200
    assert get(lab, ports["back"]).status == 200
    for one in made.values():
        one.falls_asleep()
