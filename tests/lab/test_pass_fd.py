"""`pass_fd`: the program accepts its clients itself, from the socket that systemd holds."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from lab import Lab
from lab.images import PAGE
from tests.lab import clients
from tests.lab.fleet import run
from tests.lab.rounds import rounds
from tests.lab.runtimes.unit import Unit
from tests.lab.services import Service
from tests.lab.test_udp import ECHO
from tests.lab.test_udp import client as udp_client
from tests.lab.waiting import eventually
from wakeport.proxy.watch.watcher import LOOK_EVERY

# Accepts from whatever it was given, and lets go of nothing when it is told to end. Answers HTTP with the
# page, all else with what came, a datagram too.
TAKES_SOCKETS: Final = f"""
import os, socket, threading

assert os.environ["LISTEN_PID"] == str(os.getpid()), "passed to another"

def talk(client):
    while data := client.recv(65536):
        if data.startswith(b"GET /blocks"):
            client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + str(os.get_blocking(3)).encode())
            break
        if data.startswith(b"GET "):
            client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + {PAGE.encode()!r})
            break
        if data.startswith(b"name"):
            data = os.environ["LISTEN_FDNAMES"].encode()
        client.sendall(data)
    client.close()

def serve(listener):
    while listener.type == socket.SOCK_DGRAM:
        data, address = listener.recvfrom(65536)
        listener.sendto(data, address)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=talk, args=(client,), daemon=True).start()

sockets = [socket.socket(fileno=3 + number) for number in range(int(os.environ["LISTEN_FDS"]))]
threads = [threading.Thread(target=serve, args=(one,)) for one in sockets]
[one.start() for one in threads]
"""

# As asyncio and others do, it accepts until there is nobody more: it needs a socket that does not block.
ACCEPTS_ALL: Final = TAKES_SOCKETS.replace(
    "def serve(listener):",
    """
import select
def serve(listener):
    listener.setblocking(False)
    while select.select([listener], [], []):
        try:
            while True:
                client, _ = listener.accept()
                client.setblocking(True)
                threading.Thread(target=talk, args=(client,), daemon=True).start()
        except BlockingIOError:
            pass

def unused(listener):""",
)

Add = Callable[..., Service]


@pytest.fixture
def add(lab: Lab) -> Iterator[Add]:
    """Makes a unit of a program, and a service that passes its sockets to it."""
    units = Unit(lab)
    made: list[str] = []

    def one(
        name: str = "web", *options: str, program: str = TAKES_SOCKETS, listen: int = 80, idle: str = "1s"
    ) -> Service:
        made.append(name)
        write_unit(lab, name, program)
        settings = ["--runtime=unit", "--pass-fd", f"--listen={listen}", f"--idle={idle}"]
        lab.run(["wakeport", "add", name, *settings, *options])
        units.made[name] = ""
        return Service(units, name, name, listen)

    yield one
    lab.run(["sh", "-c", "systemctl stop 'wakeport-*'"])
    for name in made:
        lab.run(["systemctl", "stop", f"{name}.service"], check=False)
        lab.run(["rm", "-f", f"/etc/systemd/system/{name}.service", f"/srv/{name}.py"])
    lab.run(["sh", "-c", "rm -f /etc/systemd/system/*.d/wakeport-*; systemctl daemon-reload"])


def write_unit(lab: Lab, name: str, program: str, *settings: str) -> None:
    (lab.root / f"srv/{name}.py").write_text(program)
    lines = ["[Service]", f"ExecStart=/usr/bin/python3 /srv/{name}.py", *settings]
    (lab.root / f"etc/systemd/system/{name}.service").write_text("\n".join(lines) + "\n")
    lab.run(["systemctl", "daemon-reload"])


def echo(client: socket.socket, text: bytes) -> bytes:
    client.sendall(text)
    return client.recv(len(text))


def used_by(web: Service) -> list[str]:
    """Who is connected, as its supervisor has been told."""
    return [client for lease in web.status.get("leases", []) for client in lease["use"]]


def runs_as(lab: Lab, name: str = "web") -> str:
    return lab.run(["systemctl", "show", "--value", "--property=MainPID", f"{name}.service"]).stdout.strip()


def test_a_client_wakes_it_is_served_by_it_alone_and_it_sleeps(add: Add) -> None:
    web = add()
    assert web.is_asleep
    for _ in range(2):
        with clients.connect(web.lab) as client:
            assert echo(client, b"hello") == b"hello"
            assert echo(client, b"name") == b"web"
            address = f"127.0.0.1:{client.getsockname()[1]}"
            eventually("status names it", lambda: address in used_by(web))  # noqa: B023
            web.stays_awake(1 + 3 * LOOK_EVERY)
            assert echo(client, b"again") == b"again"
        assert web.get().served
        web.falls_asleep()


def test_a_quick_client_now_and_then_keeps_it_awake(add: Add) -> None:
    """None of them lives long enough to be found by a look."""
    web = add(idle="2s")
    assert web.get().served
    process = runs_as(web.lab)
    for _ in range(6):
        time.sleep(1)
        assert web.get().served
        assert runs_as(web.lab) == process
    web.falls_asleep()


def test_a_thousand_first_clients(add: Add) -> None:
    web = add()
    answers = web.crowd(1000)
    assert [str(answer) for answer in answers if not answer.served] == []
    web.falls_asleep()


def test_dozing_and_woken_by_the_next_client(add: Add) -> None:
    web = add("web", "--doze=300ms", idle="1h")
    assert web.get().served
    for _ in range(3):
        web.reaches("dozing")
        web.freezes()
        answer = web.get()
        assert answer.served, answer
    with clients.connect(web.lab) as client:
        assert echo(client, b"open") == b"open"
        web.stays_awake(1)
    web.reaches("dozing")
    web.systemctl("stop", web.units.supervisor)
    web.falls_asleep()


@pytest.mark.parametrize("unit", ["proxy", "supervisor"])
def test_killed_under_a_client(add: Add, unit: str) -> None:
    """It goes on, and counts for the successor; the program's sockets block as it wants them to."""
    web = add(program=ACCEPTS_ALL)
    with clients.connect(web.lab) as client:
        assert echo(client, b"before") == b"before"
        killed = getattr(web.units, unit)
        time.sleep(2 * LOOK_EVERY)
        before = web.pids(killed)
        killed_at = time.time()
        assert web.kill(killed)
        eventually("a successor", lambda: web.pids(killed) not in ([], before))
        if unit == "supervisor":
            web.reaches("awake", after=killed_at)  # until then the older one's word stands
        eventually("it says who is there", lambda: used_by(web))
        web.stays_awake(2)
        assert echo(client, b"after") == b"after"
        with clients.connect(web.lab) as asks:
            asks.sendall(b"GET /blocks")
            assert asks.recv(100).endswith(b"False")
        assert web.get().served
    web.falls_asleep()


def test_woken_by_hand_it_is_watched_too(add: Add) -> None:
    """systemd starts nobody for a client of a socket whose program runs."""
    web = add()
    web.lab.run(["wakeport", "wake", "web"])
    with clients.connect(web.lab) as client:
        assert echo(client, b"hello") == b"hello"
        web.stays_awake(3)
    web.falls_asleep()


def test_without_its_watcher_it_is_not_stopped_under_its_clients(add: Add) -> None:
    """systemd starts none for a client of a program that runs, and nobody would tell of that client."""
    web = add()
    assert web.get().served
    web.systemctl("stop", web.units.proxy)
    with clients.connect(web.lab) as client:
        assert echo(client, b"unseen") == b"unseen"
        eventually("a watcher is back", lambda: used_by(web))
        web.stays_awake(2)
        assert echo(client, b"seen") == b"seen"
    web.falls_asleep()


def test_started_by_hand_it_gets_the_socket_and_stays(add: Add) -> None:
    web = add(idle="300ms")
    web.systemctl("start", "web.service")
    assert web.get().served
    time.sleep(1)
    assert runs_as(web.lab) != "0"
    web.systemctl("stop", "web.service")
    assert web.get().served
    web.falls_asleep()


def test_the_port_outlives_a_program_that_ends_at_once(add: Add) -> None:
    """Also one that systemd starts again and again by itself: its limit of starts would close the port."""
    web = add(program="raise SystemExit(3)")
    for settings in [], ["Restart=always"], ["Restart=always", "Type=notify"]:
        write_unit(web.lab, "web", "raise SystemExit(3)", "RestartSec=10ms", *settings)
        for _ in range(3):
            answer = web.get(within=60)
            assert answer.told_no, answer
            time.sleep(1)
    assert web.active(web.units.socket) == "active"
    write_unit(web.lab, "web", TAKES_SOCKETS)
    eventually("it is mended", lambda: web.get().served)
    web.falls_asleep()


def test_a_client_at_any_moment_around_the_stop_is_served(add: Add) -> None:
    """The program ends at once with SIGTERM, whoever it has accepted."""
    idle = 0.3
    services = [add(f"web{n}", listen=80 + n, idle=f"{idle}") for n in range(3)]
    decision = LOOK_EVERY + 0.1 + idle

    def one(web: Service, moments: random.Random) -> str:
        time.sleep(max(0.0, decision + moments.uniform(-0.2, 0.4)))
        answer = web.get()
        return "" if answer.served else str(answer)

    for web in services:
        assert web.get().served
    assert run(services, rounds(45, full=2000), one) == []
    for web in services:
        web.falls_asleep()


def test_several_sockets_of_every_kind(lab: Lab, add: Add) -> None:
    web = add("web", f"--listen={ECHO}/udp", "--listen=/run/web.sock", idle="1s")
    with udp_client(lab) as asks:
        asks.sendall(b"over udp")
        assert asks.recv(100) == b"over udp"
    with lab.network():  # of a client elsewhere the kernel does not tell
        client = socket.socket(socket.AF_UNIX)
    with client:
        client.connect(str(lab.root / "run/web.sock"))
        assert echo(client, b"by path") == b"by path"
        eventually("it is seen", lambda: "unix" in used_by(web))
        web.stays_awake(2)
    assert web.get().served


def test_nothing_is_left_behind(lab: Lab, add: Add) -> None:
    web = add()
    drop_in = lab.root / "etc/systemd/system/web.service.d/wakeport-web.conf"
    assert "Sockets=wakeport-web.socket" in drop_in.read_text()
    unit = (lab.root / "etc/systemd/system/web.service").read_bytes()
    settings = lab.root / "etc/wakeport/web.toml"
    settings.write_text(
        settings.read_text().replace("pass_fd = true\n", "").replace('on = "80"', 'on = "80"\nto = 81')
    )
    lab.run(["wakeport", "apply", "web"])
    assert not drop_in.parent.exists()
    settings.write_text(
        settings.read_text().replace("to = 81\n", "").replace("idle", "pass_fd = true\nidle", 1)
    )
    lab.run(["wakeport", "apply", "web"])
    assert drop_in.exists()
    assert web.get().served
    lab.run(["wakeport", "remove", "web"])
    assert not drop_in.parent.exists()
    assert (lab.root / "etc/systemd/system/web.service").read_bytes() == unit
