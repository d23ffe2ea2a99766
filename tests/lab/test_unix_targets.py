"""A container that answers on a Unix socket of the host: woken, waited for, relayed to, and named."""

from __future__ import annotations

import socket

import pytest

from lab import Lab
from tests.lab import clients
from tests.lab.programs import ON_A_PATH, python
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.runtimes.docker import Docker
from tests.lab.services import Service
from tests.lab.waiting import eventually

FOLDER = "/run/test-app"  # of the host and of the container
PATH = f"{FOLDER}/app.sock"


def app(lab: Lab, *create: str, program: str = ON_A_PATH, within: str = "60s", on: str = "80") -> Service:
    lab.run(["rm", "-rf", FOLDER])
    lab.create(
        "app",
        DIES_AT_ONCE,
        f"--volume={FOLDER}:{FOLDER}",
        *create,
        image="python",
        command=[*python(program), PATH],
    )
    listen = f"--listen={on}={PATH}"
    lab.run(["wakeport", "add", "app", listen, "--idle=1s", f"--ready-within={within}"])
    return Service(Docker(lab), "app", "app", 80)


@pytest.mark.parametrize("network", ["bridge", "none"])
def test_a_port_leads_to_a_path(lab: Lab, network: str) -> None:
    """The second time a socket file lies there already, which nobody listens on until the app does."""
    service = app(lab, f"--network={network}")
    for _ in range(2):
        assert service.is_asleep
        assert service.get().body == "from a path"
        assert service.get().body == "from a path"
        with clients.connect(lab):
            eventually("it leads there", lambda: service.status["targets"] == {PATH: [PATH]})
        service.falls_asleep()
        assert (lab.root / PATH[1:]).is_socket()


def test_a_path_leads_to_a_path(lab: Lab) -> None:
    service = app(lab, on="/run/test-front.sock")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(lab.root / "run/test-front.sock"))
        client.sendall(clients.REQUEST)
        assert client.recv(100).endswith(b"from a path")
    service.falls_asleep()


def test_a_socket_may_be_for_the_group_of_the_proxy_alone(lab: Lab) -> None:
    """The supervisor has to see it answer, too: root without capabilities has no other right to it."""
    lab.run(["groupadd", "--force", "--system", "wakeport"])
    group = lab.run(["getent", "group", "wakeport"]).stdout.split(":")[2]
    guarded = ON_A_PATH.replace("listener.listen", f"os.chown(sys.argv[1], 999, {group}); listener.listen")
    service = app(lab, program=guarded.replace("os.umask(0)", "os.umask(0o007)"))
    assert service.get().body == "from a path"
    service.falls_asleep()


def test_a_socket_that_is_closed_to_everybody_is_said(lab: Lab) -> None:
    closed = ON_A_PATH.replace("listener.listen", "os.chown(sys.argv[1], 999, 999); listener.listen")
    service = app(lab, program=closed.replace("os.umask(0)", "os.umask(0o077)"), within="6s")
    assert f"still waiting for leave to connect to {PATH}: Permission denied" in service.get().body


@pytest.mark.parametrize(
    ("program", "missing"),
    [
        ("import time; time.sleep(3600)", f"the container to make the socket {PATH}"),
        (
            f"import socket, time; socket.socket(socket.AF_UNIX).bind({PATH!r}); time.sleep(3600)",
            f"the container to listen on {PATH}, which exists, but nobody listens there",
        ),
    ],
    ids=["no file", "nobody listens"],
)
def test_what_is_missing_is_said(lab: Lab, program: str, missing: str) -> None:
    service = app(lab, program=program, within="5s")
    answer = service.get()
    assert answer.told_no
    assert f"still waiting for {missing}" in answer.body
    service.reaches("failed")
    assert service.status["failure"]["reason"].endswith(missing)
