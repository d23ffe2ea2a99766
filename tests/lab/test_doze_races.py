"""What happens in the moments in which a container is being frozen or thawed, and behind wakeport's back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from lab import Lab
from lab.images import PAGE
from tests.lab import clients
from tests.lab.applications import web_server
from tests.lab.programs import ECHOES, python
from tests.lab.rounds import rounds
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.services import AddService, Service
from tests.lab.waiting import eventually

DOCKER = "docker.service"

# On SIGTERM it says goodbye to the service db, and that it could.
SAYS_GOODBYE = """
import http.server, os, signal, threading, urllib.request

def goodbye(*_):
    urllib.request.urlopen("http://db/").read()
    open("/shared/goodbye", "w").close()
    os._exit(0)

signal.signal(signal.SIGTERM, goodbye)
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.ThreadingHTTPServer(("", 80), Page).serve_forever()
"""


def somebody_is_busy(web: Service) -> bool:
    return any(lease["busy"] for lease in web.status["leases"])


@contextmanager
def slow_docker(web: Service) -> Iterator[None]:
    """The Engine takes calls, and answers them after the block."""
    engine = min(web.pids(DOCKER))  # any other is a command that it runs
    os.kill(engine, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(engine, signal.SIGCONT)


@pytest.fixture
def shared(lab: Lab) -> Iterator[Path]:
    """A directory that a container has as /shared, by `--volume=/run/shared:/shared`."""
    directory = lab.root / "run/shared"
    directory.mkdir()
    yield directory
    lab.run(["rm", "-r", "/run/shared"])


def test_a_client_and_an_upgrade_come_while_the_freeze_is_under_way(service: AddService) -> None:
    """What the older self has heard, and not acted on, must not be lost with it."""
    web = service("web", "--doze=500ms", idle="1h")
    assert web.get().served
    [supervisor] = web.pids(web.units.supervisor)
    with ExitStack() as held:
        with slow_docker(web):
            web.reaches("dozing")
            client = held.enter_context(clients.connect(web.lab))
            eventually("it has been asked", lambda: somebody_is_busy(web))
            os.kill(supervisor, signal.SIGHUP)
        assert clients.ask(client) == PAGE
    assert web.pids(web.units.supervisor) == [supervisor]


@pytest.mark.usefixtures("live_restore")
def test_frozen_by_a_person_while_docker_has_not_been_listened_to(service: AddService) -> None:
    web = service("web", "--doze=1h", idle="2h")
    assert web.get().served
    web.systemctl("restart", DOCKER)
    web.containers.freeze("web")
    web.reaches("dozing")
    answer = web.get()
    assert answer.served, answer


@pytest.mark.usefixtures("live_restore")
def test_frozen_by_a_person_before_it_was_to_be_frozen(service: AddService) -> None:
    """The Engine refuses to freeze what is frozen; it is so all the same."""
    web = service("web", "--doze=12s", idle="2h")
    assert web.get().served
    web.systemctl("restart", DOCKER)
    web.containers.freeze("web")
    web.reaches("dozing")
    time.sleep(1)
    assert web.status["state"] == "dozing"
    answer = web.get()
    assert answer.served, answer


@pytest.mark.every_runtime
def test_frozen_by_a_person_while_it_wakes(service: AddService) -> None:
    web = service("web", "--listen=81=/run/second.sock", "--doze=1h", idle="2h")
    with clients.connect(web.lab) as first:
        eventually("only the other target is missing", lambda: "second" in str(web.status.get("waits_for")))
        web.containers.freeze("web")
        listen = "import signal, socket; s = socket.socket(1); s.bind('/run/second.sock'); s.listen(); "
        with web.lab.popen(["python3", "-c", f"{listen}signal.pause()"]) as second:
            try:
                eventually("it is noticed", lambda: web.moments(web.units.supervisor, "web is dozing"))
            finally:
                second.kill()
        answer = web.get()
        assert answer.served, answer
        assert clients.ask(first) == PAGE
    web.lab.run(["rm", "/run/second.sock"])


@pytest.mark.every_runtime
def test_restarted_by_a_person_while_it_dozes(service: AddService) -> None:
    """It stays ours, and can be put to sleep again."""
    web = service("web", "--doze=300ms", idle="1h")
    assert web.get().served
    for _ in range(rounds(2, full=20)):
        web.reaches("dozing")
        started = web.started_at
        web.containers.restart("web")
        assert started != web.started_at
        answer = web.get()
        assert answer.served, answer
        web.reaches("awake")  # the client may know before status.json does
        assert web.status["owned"]
    web.reaches("dozing")
    web.home.run(["wakeport", "sleep", "web"])
    web.falls_asleep()


@pytest.mark.every_runtime
@pytest.mark.parametrize("order", ["remove", "stop", "kill"])
def test_ended_by_a_person_while_it_dozes(service: AddService, order: str) -> None:
    """That is no failure, after which clients would be turned away."""
    web = service("web", "--doze=300ms", idle="1h")
    for _ in range(rounds(2, full=20)):
        answer = web.get()
        assert answer.served, answer
        web.reaches("dozing")
        getattr(web.containers, order)("web")
        web.falls_asleep()
        assert web.status["failure"] is None
        if order == "remove":
            web.containers.create("web")


def test_a_client_comes_behind_a_persons_freeze_that_is_not_seen_yet(
    service: AddService, shared: Path
) -> None:
    web = service(
        "web", "--doze=1h", command=web_server(), create=["--volume=/run/shared:/shared"], idle="2h"
    )
    web.settings("[busy]\ncheck = \"exec:sh -c 'touch /shared/asked; sleep 3; false'\"")
    assert web.get().served
    eventually("it is asked whether it is busy", (shared / "asked").exists)
    web.containers.freeze("web")
    answer = web.get()
    assert answer.served, answer


def test_a_client_comes_and_goes_during_the_last_check(service: AddService, shared: Path) -> None:
    """The time until the doze begins anew behind it."""
    web = service(
        "web", "--doze=4s", command=web_server(), create=["--volume=/run/shared:/shared"], idle="2h"
    )
    web.settings("[busy]\ncheck = \"exec:sh -c 'touch /shared/asked; sleep 2; false'\"")
    assert web.get().served
    eventually("it is looked at", (shared / "asked").exists)
    (shared / "asked").unlink()
    eventually("it is looked at once more", (shared / "asked").exists)
    answer = web.get()
    assert answer.served, answer
    web.reaches("dozing")
    eventually("it is told", lambda: web.moments(web.units.supervisor, "web is dozing"))
    assert web.moments(web.units.supervisor, "web is dozing")[-1] - answer.at > 4


def test_what_is_needed_is_there_for_the_last_words_of_what_dozed(
    service: AddService, lab: Lab, shared: Path
) -> None:
    lab.docker("network", "create", "ours")
    db = service("db", "--doze=300ms", command=web_server(), create=["--network=ours"], listen=81, idle="1s")
    create = ["--network=ours", "--volume=/run/shared:/shared"]
    app = service("app", "--doze=300ms", "--needs=db", command=python(SAYS_GOODBYE), create=create, idle="6s")
    assert app.get().status == 200
    app.reaches("dozing")
    db.reaches("dozing")
    app.falls_asleep()
    assert (shared / "goodbye").exists()
    db.falls_asleep()


@pytest.mark.every_runtime(daily="docker")
def test_the_supervisor_of_a_silent_client_is_killed_while_it_dozes(service: AddService) -> None:
    """Its successor has to learn that it must not stop the container."""
    pool = service("pool", "--doze=500ms", command=python(ECHOES), create=[DIES_AT_ONCE], idle="4s")
    pool.settings('[busy]\nconnections = "1K in 1s"\nsilent = "doze"')
    with clients.connect(pool.lab) as client:
        client.sendall(b"query")
        assert client.recv(5) == b"query"
        pool.reaches("dozing")
        [before] = pool.pids(pool.units.supervisor)
        assert pool.kill(pool.units.supervisor)
        eventually("its successor", lambda: pool.pids(pool.units.supervisor) not in ([], [before]))
        time.sleep(6)  # longer than idle
        client.sendall(b"again")
        assert client.recv(5) == b"again"
    pool.falls_asleep()
