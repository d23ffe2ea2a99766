"""By which sign a target counts as ready: UDP ports and socket paths, on real sockets."""

from __future__ import annotations

import copy
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.containers import NEVER_STARTED
from wakeport.loop import Loop
from wakeport.runtimes.container import Target
from wakeport.runtimes.docker.container import Inspected
from wakeport.runtimes.docker.runtime import Runtime
from wakeport.runtimes.problems import Refused
from wakeport.supervisor.bound import is_bound, places, takes
from wakeport.supervisor.readiness import Readiness


def udp(address: str, port: int = 0) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    return sock


@pytest.mark.parametrize(
    ("bound_to", "asked", "reaches"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("::", "127.0.0.1", True),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("127.0.0.2", "127.0.0.1", False),
        ("::1", "127.0.0.1", False),
        ("::1", "::1", True),
        ("::", "::1", True),
        ("127.0.0.1", "::1", False),
    ],
)
def test_a_socket_counts_where_a_datagram_would_reach_it(bound_to: str, asked: str, reaches: bool) -> None:
    with udp(bound_to) as sock:
        port = sock.getsockname()[1]
        assert is_bound(os.getpid(), asked, port) == reaches
    assert not is_bound(os.getpid(), asked, port)


def test_who_has_a_peer_of_its_own_hears_nobody_else() -> None:
    with udp("127.0.0.1") as peer, udp("127.0.0.1") as sock:
        sock.connect(peer.getsockname())
        assert not is_bound(os.getpid(), "127.0.0.1", sock.getsockname()[1])


def test_a_process_that_has_ended_is_no_sign_of_anything() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    with pytest.raises(FileNotFoundError):
        is_bound(pid, "127.0.0.1", 53)


@given(st.text())
def test_any_table_is_read(text: str) -> None:
    assert not takes(text, places("192.0.2.1", 53)) or "C0000201" in text or "010200C0" in text


@given(st.ip_addresses(), st.integers(1, 65_535))
def test_every_address_is_sought_as_itself_and_as_any(address: object, port: int) -> None:
    for place in places(str(address), port):
        row = f"sl local rem st\n 7: {place} 00000000:0000 07 00000000:00000000 00:00000000 00000000"
        assert takes(row, places(str(address), port))


class Waiting:
    """A readiness that is being waited for. `saw` is what was missing, each time that it changed."""

    def __init__(self, targets: dict[str, Target], how: str = "connect") -> None:
        inspection = copy.deepcopy(NEVER_STARTED)
        inspection["State"]["Pid"] = os.getpid()
        self.loop = Loop()
        self.saw: list[str] = []
        readiness = Readiness(self.loop, Runtime(self.loop, "web"), how, self.saw.append)
        self.task = self.loop.spawn(readiness.reached(Inspected(inspection), targets))

    def turn(self, seconds: float = 0.1) -> bool:
        """Let some time pass; whether it is ready."""
        if not self.task.done:
            self.task.waiters.append(self.loop.stop)
            self.loop.call_in(seconds, self.loop.stop)
            self.loop.run_forever()
        if self.task.error is not None:
            raise self.task.error
        return self.task.done


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "app.sock")


def test_a_udp_target_is_ready_once_somebody_is_bound() -> None:
    with udp("127.0.0.1") as sock:
        port = sock.getsockname()[1]
    waiting = Waiting({f"{port}/udp": ("127.0.0.1", port)})
    assert not waiting.turn()
    assert waiting.saw == [f"the container to listen on UDP 127.0.0.1:{port}"]
    with udp("0.0.0.0", port):
        assert waiting.turn(20)


def test_a_path_is_ready_once_somebody_listens(path: str) -> None:
    waiting = Waiting({path: (path,)})
    assert not waiting.turn()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        assert not waiting.turn()
        sock.listen(0)
        assert waiting.turn(20)
        assert [path in missing for missing in waiting.saw] == [True, True]
        assert "nobody listens there" in waiting.saw[1]
        # Its backlog is full by now: that is an answer, too.
        assert Waiting({path: (path,)}).turn(20)


def test_a_path_that_is_closed_to_us_is_said(tmp_path: Path) -> None:
    waiting = Waiting({"/app.sock": (str(tmp_path / "file" / "app.sock"),)})
    (tmp_path / "file").touch()
    assert not waiting.turn()
    assert waiting.saw[-1].startswith("leave to connect to ")
    assert waiting.saw[-1].endswith("Not a directory")


def test_http_is_asked_of_a_tcp_port(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen()
        waiting = Waiting({path: (path,)}, "http:/ready")
        with pytest.raises(Refused, match="asks a TCP port"):
            waiting.turn(20)


def test_paths_need_no_network() -> None:
    inspection = copy.deepcopy(NEVER_STARTED)
    inspection["HostConfig"]["NetworkMode"] = "none"
    loop = Loop()
    docker, container = Runtime(loop, "web"), Inspected(inspection)
    assert loop.run(docker.targets(container, ["/run/app.sock"])) == {"/run/app.sock": ("/run/app.sock",)}
    with pytest.raises(Refused, match="--network none"):
        loop.run(docker.targets(container, ["/run/app.sock", "80/tcp"]))
