"""Who may wake the container: a thousand who may not, what each of them gets, and those who may."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab import Lab
from lab.images import PAGE
from tests.lab.clients import ask, connect, get
from tests.lab.rounds import rounds
from tests.lab.services import Service
from tests.lab.settings import service_from
from tests.lab.waiting import eventually

STRANGERS = rounds(1000, 10_000)

SETTINGS = """
    idle = "8s"

    [[listener]]
    on = "80"
    to = 80

    [[listener.rule]]
    path = ["/healthz", "/status/*"]
    then = "200 asleep"

    [[listener.rule]]
    user_agent = "*prober*"
    then = "reset"

    [[listener]]
    on = "443"
    to = 443

    [[listener.rule]]
    server_name = ["shop.example.org", "*.shop.example.org"]
    then = "wake"

    [[listener.rule]]
    then = "close"
"""

NGINX = """
events {}
pid /run/nginx.pid;
http {
    server {
        listen 80;
        listen 443 ssl;
        ssl_certificate /tls/certificate.pem;
        ssl_certificate_key /tls/key.pem;
        root /usr/share/nginx/html;
        location = /healthz { return 200 "awake"; }
    }
}
"""

CERTIFICATE = """
mkdir -p /etc/test-tls && cd /etc/test-tls || exit
[ -e key.pem ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -subj /CN=shop.example.org -keyout key.pem -out certificate.pem 2>/dev/null
"""


@pytest.fixture
def web(lab: Lab) -> Iterator[Service]:
    """HTTP on port 80, TLS on port 443, and rules for both."""
    lab.run(["sh", "-c", CERTIFICATE])
    configuration = lab.root / "etc/test-nginx.conf"
    configuration.write_text(NGINX)
    volumes = ["--volume=/etc/test-nginx.conf:/etc/nginx/nginx.conf:ro", "--volume=/etc/test-tls:/tls:ro"]
    yield service_from(lab, SETTINGS, *volumes)
    configuration.unlink()


def has_never_woken(service: Service) -> bool:
    """Neither the container nor the supervisor was ever started."""
    started = service.lab.docker("inspect", "--format={{.State.StartedAt}}", service.container)
    return started.startswith("0001-") and not service.moments(service.units.supervisor, "")


def reply(service: Service, request: str, port: int = 80) -> bytes:
    """All that comes, up to the end."""
    with connect(service.lab, port) as client:
        client.sendall(request.encode())
        received = b""
        while data := client.recv(65536):
            received += data
        return received


def request(path: str, agent: str = "curl/8", method: str = "GET") -> str:
    return f"{method} {path} HTTP/1.1\r\nHost: lab\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n"


def handshake(service: Service, name: str | None) -> str:
    """The page over TLS; SSLError or OSError where there is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        connect(service.lab, 443, within=30) as plain,
        context.wrap_socket(plain, server_hostname=name) as client,
    ):
        return ask(client)


def is_closed(service: Service, name: str | None) -> bool:
    """Whether a TLS client hears the end, and neither a reset nor a byte."""
    try:
        handshake(service, name)
    except ssl.SSLEOFError:
        return True
    return False


def come_and_go(service: Service, number: int) -> None:
    """A bare connect: closed, reset, or left alone for a while."""
    client = connect(service.lab, 80 if number % 2 else 443)
    if number % 3 == 0:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_a_thousand_bare_connects_start_nothing(web: Service) -> None:
    silent = [connect(web.lab) for _ in range(100)]
    for number in range(STRANGERS):
        come_and_go(web, number)
    assert has_never_woken(web)
    for client in silent:
        client.close()
    eventually("the proxy gone", lambda: not web.processes)
    assert has_never_woken(web)
    assert web.get().served


def test_a_thousand_probes_are_each_told_that_it_sleeps(web: Service) -> None:
    def probe(number: int) -> bytes:
        path = "/healthz?at=1" if number % 2 else "/status/db"
        return reply(web, request(path, method="HEAD" if number % 5 == 0 else "GET"))

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(probe, range(STRANGERS)))
    for number, answer in enumerate(answers):
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n"), answer
        assert b"\r\nContent-Length: 6\r\n" in head
        assert body == (b"" if number % 5 == 0 else b"asleep")
    assert has_never_woken(web)
    with pytest.raises(ConnectionResetError):
        reply(web, request("/", agent="Uptime-Prober/3.1"))
    assert has_never_woken(web)
    assert PAGE.encode() in reply(web, request("/"))


def test_wrong_server_names_are_closed_and_the_right_one_is_served(web: Service) -> None:
    names = ["shop.example.com", "example.org", "shop.example.org.evil.example", None, "127.0.0.1"]
    with ThreadPoolExecutor(16) as pool:
        refused = list(pool.map(lambda number: is_closed(web, names[number % len(names)]), range(STRANGERS)))
    assert all(refused)
    assert has_never_woken(web)
    said = web.lab.run(
        ["openssl", "s_client", "-connect", "127.0.0.1:443", "-servername", "wrong.example"], check=False
    )
    assert said.returncode != 0
    assert has_never_woken(web)
    assert handshake(web, "Shop.Example.ORG") == PAGE
    assert handshake(web, "eu.shop.example.org") == PAGE
    assert handshake(web, "wrong.example") == PAGE, "while it is awake nobody is judged"


def test_while_it_is_awake_probes_pass_to_the_application(web: Service) -> None:
    assert reply(web, request("/healthz")).endswith(b"asleep")
    assert web.get().served
    assert reply(web, request("/healthz")).endswith(b"awake")
    # Also through a proxy that has just been started, which cannot know of it from a lease.
    eventually("the proxy gone", lambda: not web.pids(web.units.proxy))
    assert web.status["state"] == "awake"
    assert reply(web, request("/healthz")).endswith(b"awake")
    web.falls_asleep()
    woken = len(web.moments(web.units.supervisor, ""))
    assert reply(web, request("/healthz")).endswith(b"asleep")
    assert len(web.moments(web.units.supervisor, "")) == woken


def test_data_wakes_and_a_connection_does_not(lab: Lab) -> None:
    web = service_from(lab, '[[listener]]\non = "80"\nto = 80\nwake_on = "data"\n')
    silent = [connect(lab) for _ in range(50)]
    for number in range(STRANGERS):
        client = connect(lab)
        if number % 2:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    assert has_never_woken(web)
    assert ask(silent[0]) == PAGE
    for client in silent:
        client.close()


def test_networks_decide_before_a_byte(lab: Lab) -> None:
    settings = """
        [[listener]]
        on = "80"
        to = 80
        [[listener.rule]]
        from = ["127.0.0.0/30", "::1"]
        then = "wake"
        [[listener.rule]]
        then = "reset"
    """
    web = service_from(lab, settings)

    def come_from(source: str) -> bytes:
        with lab.network(), socket.create_connection(("127.0.0.1", 80), 30, (source, 0)) as client:
            return client.recv(1)

    for _ in range(20):
        with pytest.raises(ConnectionResetError):
            come_from("127.0.0.9")
    assert has_never_woken(web)
    assert get(lab).served
