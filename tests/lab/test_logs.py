"""What the container prints stands in the journal, under its own unit: every line, once, to the last."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab import Lab
from tests.lab.clients import connect
from tests.lab.programs import python
from tests.lab.services import AddService, Service
from tests.lab.waiting import eventually

COUNT = 10_000

# Prints much before it listens, as much when it is told to stop, and in between a line a client.
PRINTS = f"""
import signal, socket, sys

def stop(*_):
    for number in range({COUNT}):
        print("bye", number)
    sys.exit()

signal.signal(signal.SIGTERM, stop)
for number in range({COUNT}):
    print("hello", number)
server = socket.create_server(("", 80))
while True:
    client, _ = server.accept()
    if words := client.recv(100):  # else it was only looked whether somebody answers
        print("client", words.decode(), file=sys.stderr)
        client.sendall(b"ok")
    client.close()
"""

HELLOS = [f"hello {number}" for number in range(COUNT)]
BYES = [f"bye {number}" for number in range(COUNT)]

Journal = Callable[[Service], list[str]]


def streams(lines: list[str]) -> tuple[list[str], list[str]]:
    """What came by standard output, and what by standard error: Docker carries each in its own time."""
    told = [line for line in lines if line.startswith("client ")]
    return [line for line in lines if line not in told], told


@pytest.fixture
def journal(lab: Lab) -> Journal:
    """What a service's container has said since the test began."""
    # From a line of our own on: with a filter, --after-cursor leaves out the first line that passes it (252).
    lab.run(["logger", "here a test begins"])
    lab.run(["journalctl", "--sync"])
    last = lab.run(["journalctl", "--quiet", "--lines=1", "--show-cursor"]).stdout
    after = f"--cursor={last.partition('cursor: ')[2].strip()}"

    def read(service: Service) -> list[str]:
        lab.run(["journalctl", "--sync"])
        # Its output comes through the unit's stdout; what systemd says of the unit does not.
        which = [f"--unit={service.units.supervisor}", "_TRANSPORT=stdout"]
        text = lab.run(["journalctl", "--quiet", "--no-pager", "--output=cat", after, *which]).stdout
        return [line for line in text.splitlines() if not line.startswith("wakeport: ")]

    return read


def say(service: Service, words: str) -> None:
    """A client whose words the container prints before it answers."""
    with connect(service.lab, service.port, within=30) as client:
        client.sendall(words.encode())
        assert client.recv(10) == b"ok"


@pytest.mark.parametrize("options", [[], ["--tty"]], ids=["plain", "tty"])
def test_ten_thousand_lines_at_the_start_and_at_the_stop(
    service: AddService, journal: Journal, options: list[str]
) -> None:
    talker = service("talker", idle="1s", image="python", command=python(PRINTS), create=options)
    for visit in ("first", "second"):
        before = len(journal(talker))
        say(talker, visit)
        talker.falls_asleep()
        assert streams(journal(talker)[before:]) == ([*HELLOS, *BYES], [f"client {visit}"])


@pytest.mark.parametrize("options", [[], ["--tty"]], ids=["plain", "tty"])
def test_no_line_twice_where_docker_restarts_and_takes_the_container_along(
    service: AddService, journal: Journal, options: list[str]
) -> None:
    talker = service("talker", idle="1h", image="python", command=python(PRINTS), create=options)
    say(talker, "before")
    eventually("all is read, so that nothing is under way", lambda: len(journal(talker)) > COUNT)
    talker.systemctl("restart", "docker.service")
    say(talker, "after")
    talker.systemctl("stop", talker.units.supervisor)
    # The second "client" shows more: a container that Docker took along is no broken one, and wakes at once.
    twice = [*HELLOS, *BYES, *HELLOS, *BYES]
    assert streams(journal(talker)) == (twice, ["client before", "client after"])


@pytest.mark.usefixtures("live_restore")
def test_no_line_twice_and_none_lost_where_the_container_outlives_a_restart_of_docker(
    service: AddService, journal: Journal
) -> None:
    talker = service("talker", idle="1h", image="python", command=python(PRINTS))
    say(talker, "before")
    eventually("all is read, so that nothing is under way", lambda: len(journal(talker)) > COUNT)
    talker.systemctl("stop", "docker.service", "docker.socket")
    say(talker, "while Docker is away")
    talker.systemctl("start", "docker.service")
    say(talker, "after")
    eventually("the last client's line", lambda: "client after" in journal(talker))
    said = ["client before", "client while Docker is away", "client after"]
    assert streams(journal(talker)) == (HELLOS, said)
