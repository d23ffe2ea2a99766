"""A restart of the proxy: nobody is lost, whoever is connected, waits, or comes in that moment."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lab import Lab
from tests.lab.clients import connect
from tests.lab.programs import ECHOES, TWO_PORTS, python
from tests.lab.rounds import rounds
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.runtimes.docker import Docker
from tests.lab.services import AddService, Service
from tests.lab.waiting import eventually

RESTARTS = rounds(3, 10)
TRANSFERS = rounds(50, 200)
A_SECOND = rounds(30, 100)

NOBODY_WAITS = 10.0  # seconds; the row says 2, and on a busy machine a test may not

BLOCK = 16_384  # bytes that a transfer has under way at once
BULK = 1_048_576  # bytes; enough to be spliced
BULKS = 4  # of the transfers

# Begins its answer at once, and ends it when the client has said so.
IN_TWO_HALVES = """
import socketserver

class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"first half, ")
        self.request.recv(1)
        self.request.sendall(b"second half")

socketserver.ThreadingTCPServer(("", 80), Handler).serve_forever()
"""

NEVER_READY = "import time; time.sleep(3600)"


class Traffic:
    """Echoes of random bytes, some that go on and on, and new ones at a steady rate; each is compared."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.blocks = [0] * TRANSFERS
        self.waited: list[float] = []  # seconds, of each new connection from connect to its end
        self.failures: list[str] = []

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(TRANSFERS):
                group.create_task(self.noted(self.transfer(number)))
            due = time.monotonic()
            while not self.over.is_set():
                group.create_task(self.noted(self.come_and_go()))
                due += 1 / A_SECOND
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def noted(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (OSError, EOFError) as error:
            self.failures.append(repr(error))

    async def transfer(self, number: int) -> None:
        size = BULK if number < BULKS else BLOCK
        reader, writer = await asyncio.open_connection("127.0.0.1", 80)
        sent, received = hashlib.blake2b(), hashlib.blake2b()
        while not self.over.is_set():
            block = os.urandom(size)
            sent.update(block)
            writer.write(block)
            received.update(await reader.readexactly(size))
            self.blocks[number] += 1
            await asyncio.sleep(0.1)
        writer.write_eof()
        if await reader.read() or sent.digest() != received.digest():
            self.failures.append(f"transfer {number} is not what was sent")
        writer.close()

    async def come_and_go(self) -> None:
        began = time.monotonic()
        block = os.urandom(100)
        reader, writer = await asyncio.open_connection("127.0.0.1", 80)
        writer.write(block)
        writer.write_eof()
        if await reader.read() != block:
            self.failures.append("a new connection did not get its answer")
        writer.close()
        self.waited.append(time.monotonic() - began)


@contextmanager
def under(traffic: Traffic, lab: Lab) -> Iterator[None]:
    def run() -> None:
        with lab.network():
            asyncio.run(traffic.run())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        eventually("every transfer is under way", lambda: all(traffic.blocks))
        yield
    finally:
        traffic.over.set()
        thread.join()


def restart(service: Service) -> None:
    [before] = service.pids(service.units.proxy)
    service.systemctl("restart", service.units.proxy)
    assert service.pids(service.units.proxy) != [before]


@pytest.fixture
def echo(service: AddService) -> Service:
    return service(idle="1s", image="python", command=python(ECHOES), create=[DIES_AT_ONCE])


def test_nobody_is_lost_and_nobody_waits_long(echo: Service) -> None:
    traffic = Traffic()
    began = time.monotonic()
    with under(traffic, echo.lab):
        eventually("its lease is told", lambda: echo.status["leases"])
        leases = echo.status["leases"]
        for _ in range(RESTARTS):
            blocks = list(traffic.blocks)
            came = len(traffic.waited)
            restart(echo)
            eventually("every transfer goes on", lambda: all(map(int.__gt__, traffic.blocks, blocks)))  # noqa: B023
            eventually("new ones are served", lambda: len(traffic.waited) > came + A_SECOND / 2)  # noqa: B023
        assert [lease["since"] for lease in echo.status["leases"]] == [lease["since"] for lease in leases]
        lasted = time.monotonic() - began
    rate = len(traffic.waited) / lasted
    print(f"{RESTARTS} restarts, {TRANSFERS} transfers of {sum(traffic.blocks)} blocks")
    print(f"{rate:.0f} new connections a second, the longest of which took {max(traffic.waited):.3f} s")
    assert traffic.failures == []
    assert max(traffic.waited) < NOBODY_WAITS
    assert echo.restarts(echo.units.proxy) == 0
    echo.falls_asleep()


def test_each_listener_has_its_own_target_after_it_too(service: AddService) -> None:
    web = service("web", "--listen=8081=81", image="python", command=python(TWO_PORTS), create=[DIES_AT_ONCE])
    with connect(web.lab, 80) as first, connect(web.lab, 8081) as second:
        for client, answer in (first, b"80\n"), (second, b"81\n"):
            client.sendall(b"?")
            assert client.recv(10) == answer
        restart(web)
        with connect(web.lab, 80) as third, connect(web.lab, 8081) as fourth:
            for client, answer in (first, b"80\n"), (second, b"81\n"), (third, b"80\n"), (fourth, b"81\n"):
                client.sendall(b"?")
                assert client.recv(10) == answer


def test_who_is_held_is_served_when_it_is_awake(service: AddService) -> None:
    web = service(
        image="python", command=python("import time; time.sleep(2)\n" + ECHOES), create=[DIES_AT_ONCE]
    )
    with connect(web.lab, within=60.0) as client:
        client.sendall(b"before")
        web.reaches("waking")
        for _ in range(3):
            restart(web)
        assert client.recv(6) == b"before"


def restart_socket(service: Service) -> None:
    service.systemctl("restart", service.units.socket)


def restart_without_bus(service: Service) -> None:
    """Where nobody can say that it is a restart, it is taken for one."""
    service.systemctl("stop", "dbus.socket", "dbus.service")
    try:
        restart(service)
    finally:
        service.systemctl("start", "dbus.socket")


def stop_and_start(service: Service) -> None:
    service.lab.run(
        [
            "sh",
            "-c",
            f"systemctl stop --no-block {service.units.proxy}; systemctl start {service.units.proxy}",
        ]
    )


def restart_in_a_hurry(service: Service) -> None:
    """Each before the last one is over: also a proxy that has just been started is stopped again."""
    for pause in range(0, 200, 10):
        service.systemctl("restart", "--no-block", service.units.proxy)
        time.sleep(pause / 1000)
    service.systemctl("start", service.units.proxy)


@pytest.mark.parametrize("how", [restart_socket, restart_without_bus, stop_and_start, restart_in_a_hurry])
def test_a_connection_survives_every_kind_of_restart(echo: Service, how: Callable[[Service], None]) -> None:
    with connect(echo.lab) as client:
        for said in b"before", b"after it":
            client.sendall(said)
            assert client.recv(10) == said
            how(echo)
        client.sendall(b"and on")
        assert client.recv(10) == b"and on"


def test_a_stop_lets_those_finish_who_are_being_served(service: AddService) -> None:
    web = service(image="python", command=python(IN_TWO_HALVES), create=[DIES_AT_ONCE])
    with connect(web.lab) as client:
        assert client.recv(100) == b"first half, "
        web.systemctl("stop", "--no-block", web.units.proxy)
        eventually("it stops", lambda: web.active(web.units.proxy) == "deactivating")
        client.sendall(b".")
        assert client.recv(100) == b"second half"
        assert client.recv(100) == b""
        eventually("it has stopped", lambda: not web.pids(web.units.proxy))


def test_a_shutdown_is_no_restart(fresh_lab: Lab) -> None:
    """The bus that tells them apart had gone by then, and every client got a reset at once."""
    fresh_lab.create("web", DIES_AT_ONCE, image="python", command=python(NEVER_READY))
    fresh_lab.run(["wakeport", "add", "web", "--listen=80=80"])
    web = Service(Docker(fresh_lab), "web", "web", 80)
    with connect(fresh_lab) as client:
        web.reaches("waking")
        assert client.fileno() >= 0
        fresh_lab.reboot()
    log = ["journalctl", "--boot=-1", "--output=cat", "--unit", web.units.proxy]
    said = fresh_lab.run(log).stdout
    assert "Stopped" in said
    assert "taken for a restart" not in said
