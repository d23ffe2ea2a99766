"""One service with listeners of every kind: each reaches its own target, also after restarts."""

from __future__ import annotations

import socket

import pytest

from lab import Lab
from tests.lab.programs import python
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.services import SHAPES, Service
from tests.lab.settings import service_from

# Each place says its own name. The socket's directory is the host's.
FIVE_PLACES = """
import os, socket, socketserver, threading

class Stream(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.server.called)

class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        self.request[1].sendto(self.server.called, self.client_address)

os.umask(0)
for kind, place, called in (
    (socketserver.ThreadingTCPServer, ("", 80), b"tcp 80"),
    (socketserver.ThreadingTCPServer, ("", 81), b"tcp 81"),
    (socketserver.ThreadingUDPServer, ("", 53), b"udp 53"),
    (socketserver.ThreadingUDPServer, ("", 80), b"udp 80"),
    (socketserver.ThreadingUnixStreamServer, "/run/app/app.sock", b"a path"),
):
    if called == b"a path" and os.path.exists(place):
        os.unlink(place)
    server = kind(place, Datagram if b"udp" in called else Stream)
    server.called = called
    threading.Thread(target=server.serve_forever).start()
"""

SETTINGS = """
    idle = "2s"

    [[listener]]
    on = "53/udp"
    to = 53
    flow_idle = "1s"

    [[listener]]
    on = "80"
    to = 80

    [[listener]]
    on = "/run/web.sock"
    to = 81
    mode = "0600"

    [[listener]]
    on = "[::1]:8080"
    to = "/run/app/app.sock"

    [[listener]]
    on = "80/udp"
    to = 80
    flow_idle = "1s"

    [[listener]]
    on = "/run/through.sock"
    to = "/run/app/app.sock"
    mode = "0600"
"""

LEADS_TO = {
    "53/udp": b"udp 53",
    "80": b"tcp 80",
    "/run/web.sock": b"tcp 81",
    "[::1]:8080": b"a path",
    "80/udp": b"udp 80",
    "/run/through.sock": b"a path",
}


@pytest.fixture
def web(lab: Lab) -> Service:
    volume = "--volume=/run/app:/run/app"
    return service_from(lab, SETTINGS, DIES_AT_ONCE, volume, image="python", command=python(FIVE_PLACES))


def said_on(web: Service, on: str) -> bytes:
    """What the listener `on` leads to, by its own word."""
    place, _, protocol = on.partition("/")
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    if on.startswith("/"):
        client, address = socket.socket(socket.AF_UNIX), f"{web.lab.root}{on}"
        client.settimeout(30)
        client.connect(address)
    else:
        with web.lab.network():
            six = place.startswith("[")
            client = socket.socket(socket.AF_INET6 if six else socket.AF_INET, kind)
        client.settimeout(30)
        client.connect(("::1" if six else "127.0.0.1", int(place.rpartition(":")[2])))
    with client:
        if protocol == "udp":
            client.send(b"?")
        return client.recv(100)


def test_each_leads_to_its_own_target_also_after_a_restart(web: Service) -> None:
    assert {on: said_on(web, on) for on in LEADS_TO} == LEADS_TO
    while not web.kill(web.units.proxy):  # it may have left meanwhile
        assert said_on(web, "80") == LEADS_TO["80"]
    assert {on: said_on(web, on) for on in LEADS_TO} == LEADS_TO
    web.systemctl("restart", web.units.proxy)
    assert {on: said_on(web, on) for on in LEADS_TO} == LEADS_TO
    web.systemctl("restart", web.units.socket)
    assert {on: said_on(web, on) for on in LEADS_TO} == LEADS_TO
    web.falls_asleep()


@pytest.mark.parametrize("on", LEADS_TO)
def test_each_of_them_wakes_the_container(web: Service, on: str) -> None:
    assert web.is_asleep
    assert said_on(web, on) == LEADS_TO[on]
    web.falls_asleep()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_container_without_a_network_is_reached_by_its_path(lab: Lab, shape: str) -> None:
    settings = f'proxy = "{shape}"\n[[listener]]\non = "8080"\nto = "/run/app/app.sock"\n'
    create = (DIES_AT_ONCE, "--volume=/run/app:/run/app", "--network=none")
    web = service_from(lab, settings, *create, image="python", command=python(FIVE_PLACES), port=8080)
    assert said_on(web, "8080") == b"a path"
