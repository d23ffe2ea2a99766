"""The socket itself, handed over: its settings, its units, and what is asked of the kernel about it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_units import FACTS, values
from wakeport import facts, units
from wakeport.dbus.calls import call
from wakeport.dbus.messages import message_size, parse
from wakeport.errors import BadInput
from wakeport.install.plan import plan, removal
from wakeport.layout import Layout
from wakeport.proxy.watch.connections import Connections
from wakeport.service import Service, build

TCP: dict[str, Any] = {"on": "80"}
PASSED = FACTS._replace(passed_to="app.service")


def passing(*listeners: dict[str, Any], **settings: Any) -> Service:
    listed = list(listeners) or [TCP]
    return build("web", {"runtime": "unit", "pass_fd": True, **settings, "listener": listed})


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"pass_fd": False, "fd_name": "http"}, "fd_name: no socket is passed"),
        ({"listener": []}, "pass_fd: there is no listener"),
        ({"fd_name": "a:b"}, "fd_name: 'a:b' cannot be the name of a socket"),
        ({"proxy": "systemd-socket-proxyd"}, "proxy: with pass_fd there is no proxy"),
        ({"hold_max": 3}, "hold_max: with pass_fd nobody is held"),
        ({"hold_for": "3s"}, "hold_for: with pass_fd nobody is held"),
        ({"allow": "::1"}, 'allow: with pass_fd nobody sees who comes; with proxy = "wakeport"'),
        ({"ready": "health"}, 'ready: .* "connect" waits until systemd has started'),
        ({"ready": "http:/"}, "ready: with pass_fd there is no port"),
        ({"busy": {"connections": "1K in 5min"}}, "busy.connections: with pass_fd nobody sees"),
        ({"busy": {"check": "http:/jobs"}}, "busy.check: with pass_fd there is no port"),
        ({"listener": [{**TCP, "to": 80}]}, r"listener\[0\].to: with pass_fd it leads nowhere"),
        ({"listener": [TCP, {"on": "81", "page": "on"}]}, r"listener\[1\].page: with pass_fd there is no"),
        ({"listener": [{**TCP, "send_proxy": "v1"}]}, r"listener\[0\].send_proxy: "),
        ({"listener": [{**TCP, "wake_on": "data"}]}, r"listener\[0\].wake_on: "),
        ({"listener": [{**TCP, "rule": [{"then": "close"}]}]}, r"listener\[0\].rule: "),
        ({"mode": "per-connection", "image": "x", "runtime": "docker"}, "pass_fd: there is no proxy"),
    ],
)
def test_what_does_not_go_with_it_is_refused_where_it_was_set(
    settings: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(BadInput, match=complaint):
        build("web", {"runtime": "unit", "pass_fd": True, "listener": [TCP], **settings})


def test_what_goes_with_it() -> None:
    assert passing(fd_name="http", ready="exec:true", doze="1s", busy={"cpu": "5%"}).fd_name == "http"
    assert passing({"on": "53/udp", "flow_idle": "5s"}, {"on": "/run/a.sock", "mode": "0660"}).pass_fd


@pytest.mark.parametrize("runtime", ["docker", "podman", "lxc"])
def test_a_runtime_that_passes_no_socket_is_refused_with_its_reason(runtime: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="pass_fd: ") as refused:
        facts.machine(Layout(tmp_path), passing(runtime=runtime), None)
    assert 'runtime = "unit"' in refused.value.hint


@pytest.mark.parametrize(
    ("runtime", "unit"), [("unit", "web.service"), ("nspawn", "systemd-nspawn@web.service")]
)
def test_who_gets_it(runtime: str, unit: str, tmp_path: Path) -> None:
    assert facts.machine(Layout(tmp_path), passing(runtime=runtime), None).passed_to == unit


def test_its_units() -> None:
    texts = units.units(passing(fd_name="http"), PASSED)
    drop_in = texts.pop("app.service.d/wakeport-web.conf")
    assert values(drop_in, "Sockets") == ["wakeport-web.socket"]
    assert values(drop_in, "StartLimitIntervalSec") == ["0"]
    assert values(drop_in, "Service") == ["web"], "it is marked as ours"
    called = units.names("web")
    assert list(texts) == [called.socket, called.proxy, called.lease, called.supervisor]
    assert values(texts[called.socket], "FileDescriptorName") == ["http"]
    [watcher] = values(texts[called.proxy], "ExecStart")
    assert "/watcher.py name=web " in watcher
    assert values(texts[called.proxy], "Type") == ["exec"]
    assert values(texts[called.proxy], "User") == ["wakeport"]
    assert called.proxy in values(texts[called.supervisor], "After")[0].split()
    assert called.proxy in values(texts[called.supervisor], "Wants")[0].split()
    [supervisor] = values(texts[called.supervisor], "ExecStart")
    assert " pass_fd=yes" in supervisor
    assert " target=" not in supervisor


def test_the_drop_in_comes_and_goes_and_anothers_stays(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    texts = units.units(passing(), PASSED)
    intended = plan(layout, "web", texts)
    for change in intended.changes:
        change.path.parent.mkdir(parents=True, exist_ok=True)
        change.path.write_text(change.new or "")
    path = layout.units / "app.service.d/wakeport-web.conf"
    foreign = layout.units / "other.service.d/wakeport-web.conf"
    foreign.parent.mkdir()
    foreign.write_text("[Service]\n")
    assert not plan(layout, "web", texts).changes
    moved = plan(layout, "web", units.units(passing(), FACTS._replace(passed_to="new.service")))
    assert {change.path for change in moved.changes} == {
        path,
        layout.units / "new.service.d/wakeport-web.conf",
    }
    plain = plan(layout, "web", units.units(build("web", {"listener": [{**TCP, "to": 80}]}), FACTS))
    assert path in [change.path for change in plain.changes if change.new is None]
    assert path.name not in plain.gone, "it is no unit that could be stopped"
    assert units.names("web").supervisor in plain.stop, "its program has the socket no more"
    gone = [change.path for change in removal(layout, "web").changes]
    assert path in gone
    assert foreign not in gone


def test_another_socket_takes_another_start_of_the_program(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for change in plan(layout, "web", units.units(passing(), PASSED)).changes:
        change.path.parent.mkdir(parents=True, exist_ok=True)
        change.path.write_text(change.new or "")
    intended = plan(layout, "web", units.units(passing(TCP, {"on": "81"}), PASSED))
    called = units.names("web")
    assert intended.stop == [called.socket, called.proxy, called.supervisor]
    renamed = plan(layout, "web", units.units(passing(fd_name="http"), PASSED))
    assert renamed.stop == [called.proxy, called.supervisor]


def test_a_call_with_a_number() -> None:
    message = call(7, "org.x", "/x", "org.x.Y", "KillUnit", words=("web.service", "main", 15))
    assert message_size(message) == len(message)
    assert parse(message).body == ["web.service", "main", 15]


Asking = Callable[[socket.socket], Connections]


@pytest.fixture
def asking() -> Iterator[Asking]:
    with contextlib.ExitStack() as stack:
        yield lambda listener: stack.enter_context(contextlib.closing(Connections([listener])))


@contextlib.contextmanager
def listening(family: int, place: Any) -> Iterator[socket.socket]:
    with socket.socket(family) as listener:
        listener.bind(place)
        listener.listen()
        yield listener


@pytest.mark.parametrize(
    ("family", "bound", "host", "named"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1", "127.0.0.1:{}"),
        (socket.AF_INET, "0.0.0.0", "127.0.0.1", "127.0.0.1:{}"),
        (socket.AF_INET6, "::1", "::1", "[::1]:{}"),
        (socket.AF_INET6, "::", "127.0.0.1", "127.0.0.1:{}"),
        (socket.AF_INET6, "::", "::1", "[::1]:{}"),
    ],
)
def test_who_is_connected(family: int, bound: str, host: str, named: str, asking: Asking) -> None:
    with listening(family, (bound, 0)) as listener:
        port = listener.getsockname()[1]
        connections = asking(listener)
        assert connections.clients() == []
        with socket.create_connection((host, port)) as client:
            name = named.format(client.getsockname()[1])
            assert connections.clients() == [name], "who waits to be accepted counts"
            accepted, _ = listener.accept()
            with accepted:
                assert connections.clients() == [name]
                client.shutdown(socket.SHUT_WR)
                assert connections.clients() == [name], "it waits for its answer"
                accepted.shutdown(socket.SHUT_WR)
        assert connections.clients() == []


def test_who_is_connected_to_another_address_of_the_port_is_not_ours(asking: Asking) -> None:
    with listening(socket.AF_INET, ("127.0.0.1", 0)) as ours:
        port = ours.getsockname()[1]
        with listening(socket.AF_INET, ("127.0.0.2", port)), socket.create_connection(("127.0.0.2", port)):
            assert asking(ours).clients() == []


def test_who_is_connected_to_a_path(tmp_path: Path, asking: Asking) -> None:
    path = str(tmp_path / "a.sock")
    with listening(socket.AF_UNIX, path) as listener, socket.socket(socket.AF_UNIX) as client:
        connections = asking(listener)
        client.connect(path)
        accepted, _ = listener.accept()
        with accepted:
            assert connections.clients() == ["unix"]
        assert connections.clients() == []


def test_four_hundred_are_connected(asking: Asking) -> None:
    with listening(socket.AF_INET, ("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stack:
        listener.listen(1000)
        clients = [stack.enter_context(socket.create_connection(listener.getsockname())) for _ in range(400)]
        names = {f"127.0.0.1:{client.getsockname()[1]}" for client in clients}
        assert set(asking(listener).clients()) == names
