"""The waiting page, as a real browser sees it; and that nobody else ever does."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import Lab
from tests.lab.browser import Browser, browser
from tests.lab.clients import connect
from tests.lab.programs import WAKES_SLOWLY, python
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.services import AddService, Service
from tests.lab.waiting import eventually

WAKING = "web is waking up"
APPLICATION = "The application"

# Browsers say by Sec-Fetch headers that they open a page, but over plain HTTP only to their own machine.
ADDRESSES = {"own machine": "127.0.0.1", "another machine": "172.17.0.1"}


@pytest.fixture
def chromium(lab: Lab) -> Iterator[Browser]:
    with browser(lab) as tab:
        yield tab


def with_page(web: Service, page: str, **more: str) -> Service:
    """Give its one listener a page, as a person would."""
    settings = web.lab.root / f"etc/wakeport/{web.name}.toml"
    keys = {"page": page, **more}
    lines = [settings.read_text(), *(f'{key} = "{value}"' for key, value in keys.items()), ""]
    settings.write_text("\n".join(lines))
    web.lab.run(["wakeport", "apply", web.name])
    return web


@pytest.fixture
def gate(lab: Lab) -> Iterator[Path]:
    """The application listens when this file is there: then a test has seen the page before."""
    folder = lab.root / "run/test-gate"
    folder.mkdir()
    yield folder / "open"
    lab.run(["rm", "-r", "/run/test-gate"])


BEHIND_THE_GATE = [DIES_AT_ONCE, "--volume=/run/test-gate:/gate:ro"]


@pytest.fixture
def bare(service: AddService, gate: Path) -> Service:
    """Asleep, and not answering before the gate is open."""
    assert not gate.exists()
    return service(image="python", command=python(WAKES_SLOWLY), create=BEHIND_THE_GATE)


@pytest.fixture
def slow(bare: Service) -> Service:
    """The same with the page on."""
    return with_page(bare, "on")


def keep(name: str, picture: bytes) -> None:
    """Where a person wants to see them, pictures are kept."""
    assert picture.startswith(b"\x89PNG")
    if folder := os.environ.get("WAKEPORT_PICTURES"):
        Path(folder, f"{name}.png").write_bytes(picture)


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("host", ADDRESSES.values(), ids=ADDRESSES)
def test_chromium_sees_the_page_and_arrives_at_the_application_by_itself(
    chromium: Browser, gate: Path, host: str
) -> None:
    address = f"http://{host}/inbox?unread=1"
    chromium.go(address)
    text = chromium.sees(lambda text: "to answer on" in text)
    assert WAKING in text
    assert "Waiting for the runtime to start it" in text
    for scheme in ("dark", "light"):
        chromium.prefers(scheme)
        keep(scheme, chromium.picture())
    gate.touch()
    chromium.sees(lambda text: APPLICATION in text)
    assert chromium.documents == [(503, address), (200, address)]


@pytest.mark.usefixtures("slow")
def test_the_page_is_dark_where_the_person_wants_that(chromium: Browser) -> None:
    chromium.go("http://127.0.0.1/")
    chromium.sees(lambda text: WAKING in text)
    grounds = []
    for scheme in ("dark", "light"):
        chromium.prefers(scheme)
        colour = str(chromium.look("getComputedStyle(document.body).backgroundColor"))
        grounds.append(sum(map(int, re.findall(r"\d+", colour)[:3])) / (3 * 255))
    assert grounds[0] < 0.2
    assert grounds[1] > 0.8


@pytest.mark.usefixtures("slow")
def test_without_scripts_it_arrives_too(chromium: Browser, gate: Path) -> None:
    chromium.do("Emulation.setScriptExecutionDisabled", value=True)
    chromium.go("http://127.0.0.1/")
    chromium.sees(lambda text: WAKING in text)
    gate.touch()
    chromium.sees(lambda text: APPLICATION in text)


@pytest.mark.usefixtures("slow")
def test_a_fragment_is_kept_and_does_not_stop_it(chromium: Browser, gate: Path) -> None:
    """Chromium takes a refresh of an address with a fragment for a jump within the page."""
    chromium.go("http://127.0.0.1/?a=b#inbox")
    chromium.sees(lambda text: WAKING in text)
    gate.touch()
    chromium.sees(lambda text: APPLICATION in text)
    assert chromium.look("location.href") == "http://127.0.0.1/?a=b#inbox"
    assert [status for status, _url in chromium.documents] == [503, 200]


def test_a_failure_is_shown_and_tried_again_until_it_is_mended(
    lab: Lab, service: AddService, chromium: Browser, gate: Path
) -> None:
    web = with_page(service(), "on")
    gate.touch()
    lab.docker("rm", web.container)
    chromium.go("http://127.0.0.1/")
    text = chromium.sees(lambda text: "trying again in" in text)
    assert "web did not wake up" in text
    assert "No such container" in text
    assert WAKING not in text
    for scheme in ("dark", "light"):
        chromium.prefers(scheme)
        keep(f"failed-{scheme}", chromium.picture())
    lab.create(web.container, *BEHIND_THE_GATE, image="python", command=python(WAKES_SLOWLY))
    chromium.sees(lambda text: APPLICATION in text)


def test_a_restart_of_the_proxy_in_the_middle_is_only_a_step(
    slow: Service, chromium: Browser, gate: Path
) -> None:
    chromium.go("http://127.0.0.1/")
    chromium.sees(lambda text: WAKING in text)
    slow.systemctl("restart", slow.units.proxy)
    gate.touch()
    chromium.sees(lambda text: APPLICATION in text)
    assert {status for status, _url in chromium.documents} == {503, 200}


def test_a_wake_that_is_faster_than_the_page_shows_none(service: AddService, chromium: Browser) -> None:
    with_page(service(), "10s")
    chromium.go("http://127.0.0.1/")
    chromium.sees(lambda text: "A container that was asleep" in text)
    assert chromium.documents == [(200, "http://127.0.0.1/")]


def test_a_container_that_is_awake_already_shows_none(service: AddService, chromium: Browser) -> None:
    """Also where the proxy has left in the meantime, and its successor has to ask first."""
    web = with_page(service(idle="60s"), "on")
    assert web.get().served
    eventually("the proxy has left", lambda: not web.pids(web.units.proxy))
    chromium.go("http://127.0.0.1/")
    chromium.sees(lambda text: "A container that was asleep" in text)
    assert chromium.documents == [(200, "http://127.0.0.1/")]


def test_others_never_see_it(slow: Service, lab: Lab, chromium: Browser, gate: Path) -> None:
    """While a browser looks at the page, and with what they send in order to tell a browser apart."""

    def curl(*options: str) -> Future[str]:
        command = ["curl", "--silent", "--show-error", "--max-time", "60", *options, "http://127.0.0.1/"]
        return crowd.submit(lambda: lab.run(command, timeout=90).stdout)

    with ThreadPoolExecutor() as crowd:
        plain = curl()
        posted = curl("--user-agent", "Mozilla/5.0", "--header", "Accept: text/html", "--data", "a form")
        with connect(lab, within=60.0) as websocket:
            websocket.sendall(
                b"GET /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Mozilla/5.0\r\nAccept: text/html\r\n"
                b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            chromium.go("http://127.0.0.1/")
            chromium.sees(lambda text: WAKING in text)
            gate.touch()
            assert websocket.recv(65536).startswith(b"HTTP/1.1 101 ")
            websocket.shutdown(socket.SHUT_RDWR)
        assert APPLICATION in plain.result()
        assert posted.result() == "a form"
    chromium.sees(lambda text: APPLICATION in text)
    assert slow.restarts(slow.units.proxy) == 0


OWN = "etc/wakeport/moment.html"


def own_page(web: Service) -> Path:
    file = web.lab.root / OWN
    file.write_text("<h1>One moment, {{service}}</h1><ul>{{stages}}</ul>")
    with_page(web, "on", page_file=f"/{OWN}")
    return file


def test_a_page_of_the_user_s_own_is_read_in_the_sandbox(
    bare: Service, chromium: Browser, gate: Path
) -> None:
    own_page(bare)
    chromium.go("http://127.0.0.1/")
    text = chromium.sees(lambda text: "to answer on" in text)
    assert text.startswith("One moment, web\n")
    gate.touch()
    chromium.sees(lambda text: APPLICATION in text)


def test_one_that_the_proxy_may_read_no_more_is_no_reason_to_show_nothing(
    bare: Service, chromium: Browser
) -> None:
    own_page(bare).chmod(0o600)
    chromium.go("http://127.0.0.1/")
    chromium.sees(lambda text: WAKING in text)
    eventually("it is told", lambda: bare.moments(bare.units.proxy, f"page_file /{OWN} is not used"))
