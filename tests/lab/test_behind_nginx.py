"""A reverse proxy in front, configured as the documentation says: the first request through it wakes."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab
from tests.lab.clients import connect, get
from tests.lab.programs import python
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.services import AddService
from tests.lab.waiting import listens

DOCUMENT = Path(__file__).parents[2] / "docs/behind-a-reverse-proxy.md"

FRONT = 80  # where nginx is published; the service listens on 8080, as in the document

# Listens only after 3 s; then says what it was asked with.
SLOW = """
import http.server, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(self.headers).encode())

time.sleep(3)
http.server.ThreadingHTTPServer(("", 80), Handler).serve_forever()
"""


@pytest.fixture
def front(lab: Lab) -> Iterator[None]:
    """nginx in a container, with the server block of the document."""
    [server] = re.findall(r"```nginx\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    configuration = lab.root / "etc/test-nginx.conf"
    configuration.write_text(f"events {{}}\npid /run/nginx.pid;\nhttp {{\n{server}}}\n")
    lab.create(
        "front",
        f"--publish={FRONT}:80",
        "--add-host=host.docker.internal:host-gateway",
        "--volume=/etc/test-nginx.conf:/etc/nginx/nginx.conf:ro",
    )
    lab.docker("start", "front")
    listens(lab, "front")
    yield
    configuration.unlink()


@pytest.mark.usefixtures("front")
def test_the_first_request_wakes_and_is_served(lab: Lab, service: AddService) -> None:
    web = service(listen=8080, idle="1s")
    for _ in range(2):
        assert get(lab, FRONT).served
        assert get(lab, FRONT).served
        web.falls_asleep()  # with nginx still there: it keeps no connection


@pytest.mark.usefixtures("front")
def test_a_slow_application_is_waited_for_and_hears_who_asks(lab: Lab, service: AddService) -> None:
    service(listen=8080, image="python", command=python(SLOW), create=[DIES_AT_ONCE])
    answer = get(lab, FRONT)
    assert answer.status == 200
    assert answer.seconds >= 3
    assert "X-Forwarded-For: " in answer.body
    assert "Host: lab" in answer.body


def read_until(client: socket.socket, wanted: bytes) -> bytes:
    received = b""
    while wanted not in received:
        piece = client.recv(65536)
        assert piece, f"it ended: {received!r}"
        received += piece
    return received


@pytest.mark.usefixtures("front")
def test_a_waiting_page_comes_through_piece_by_piece(lab: Lab, service: AddService) -> None:
    """nginx would collect a response before it passes it on, and this one lasts as long as the wake."""
    web = service(listen=8080, image="python", command=python(SLOW), create=[DIES_AT_ONCE])
    settings = lab.root / "etc/wakeport/web.toml"
    settings.write_text(f'{settings.read_text()}\npage = "on"\n')
    lab.run(["wakeport", "apply", "web"])
    with connect(lab, FRONT, within=60.0) as browser:
        browser.sendall(
            b"GET / HTTP/1.1\r\nHost: lab\r\nUser-Agent: Mozilla/5.0\r\nAccept: text/html\r\n\r\n"
        )
        assert read_until(browser, b"<li>Waiting for the container to answer").startswith(b"HTTP/1.1 503 ")
        assert web.status["state"] == "waking"
        read_until(browser, b'http-equiv="refresh" content="0"')
    assert get(lab, FRONT).status == 200


@pytest.mark.usefixtures("front")
def test_the_reason_why_it_cannot_be_woken_comes_through(lab: Lab, service: AddService) -> None:
    web = service(listen=8080)
    lab.docker("rm", web.container)
    answer = get(lab, FRONT)
    assert answer.told_no
    assert "No such container" in answer.body
