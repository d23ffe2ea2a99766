"""One container a connection: its settings, its two units, and what is said of it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.hosts import TestHost, bring, tree, web
from tests.unit.test_units import FACTS, values
from wakeport import per_connection_status, status, units
from wakeport.cli.status import cells
from wakeport.errors import BadInput, InTheWay
from wakeport.install.plan import removal
from wakeport.install.remove import remove
from wakeport.runtimes import removal as removal_program
from wakeport.service import Service, build

EACH: dict[str, Any] = {"mode": "per-connection", "image": "shell"}
TCP: dict[str, Any] = {"on": "80"}


def each(*listeners: dict[str, Any], **settings: Any) -> Service:
    return build("web", {**EACH, **settings, "listener": list(listeners) or [TCP]})


def texts(service: Service) -> dict[str, str]:
    return units.units(service, FACTS)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"mode": "each"}, "mode: 'each' is none of shared, per-connection"),
        ({"image": None}, "image: "),
        ({"image": "--privileged"}, "image: '--privileged' cannot be the name of an image"),
        ({"image": "a b"}, "image: 'a b' cannot be"),
        ({"command": "sh -c 'x"}, "command: .* is no command"),
        ({"command": ""}, "command: '' is no command"),
        ({"network": "--host"}, "network: '--host' cannot be"),
        ({"network": "container:x"}, "network: 'container:x' cannot be"),
        ({"memory_max": "much"}, "memory_max: 'much' is no amount"),
        ({"cpu_max": "2"}, "cpu_max: '2' is no share"),
        ({"connections_max": 0}, "connections_max: 0 is no number"),
        ({"time_max": "0s"}, "time_max: .* leaves no time"),
        ({"container": "db"}, "container: each connection gets a container of its own"),
        ({"runtime": "unit"}, "runtime: docker and podman and nspawn alone can do that so far"),
        ({"runtime": "lxc"}, "runtime: docker and podman and nspawn alone can do that so far"),
        ({"runtime": "podman", "memory_max": "63M"}, "memory_max: Podman itself needs 64M"),
        ({"runtime": "podman", "memory_max": "9999K"}, "memory_max: Podman itself needs 64M"),
        ({"runtime": "nspawn"}, "command: is missing; a directory has none of its own"),
        ({"runtime": "nspawn", "command": "cat", "image": "a/b:1"}, "image: 'a/b:1' cannot be the name of a"),
        ({"runtime": "nspawn", "command": "cat", "network": "br0"}, "network: nobody gives a fresh machine"),
        ({"ready": "health"}, "ready: a container begins with its connection"),
        ({"ready_within": "5s"}, "ready_within: a container begins"),
        ({"doze": "5s"}, "doze: each container ends"),
        ({"idle": "5s"}, "idle: each container ends"),
        ({"adopt": True}, "adopt: each container ends"),
        ({"keep": "08:00-18:00"}, "keep: each container ends"),
        ({"busy": {"cpu": "5%"}}, "busy: each container ends"),
        ({"needs": ["db"]}, "needs: nobody would keep those awake"),
        ({"hold_max": 3}, "hold_max: nobody is held"),
        ({"hold_for": "3s"}, "hold_for: nobody is held"),
        ({"allow": "::1"}, "allow: systemd itself accepts the connections"),
        ({"proxy": "systemd-socket-proxyd"}, "proxy: there is no proxy"),
        ({"listener": []}, "listener: there is none"),
        ({"listener": [{"on": "53/udp"}]}, r"listener\[0\].on: UDP has no connections"),
        ({"listener": [{"on": "80", "to": 80}]}, r"listener\[0\].to: there is no port behind it"),
        ({"listener": [TCP, {"on": "81", "send_proxy": "v1"}]}, r"listener\[1\].send_proxy: there is no"),
        ({"listener": [{"on": "80", "accept_proxy": "::1"}]}, r"listener\[0\].accept_proxy: there is no"),
        ({"listener": [{"on": "80", "page": "on"}]}, r"listener\[0\].page: there is no proxy"),
        ({"listener": [{"on": "80", "rule": [{"then": "close"}]}]}, r"listener\[0\].rule: there is no"),
        ({"listener": [TCP, {"on": "81", "wake_on": "data"}]}, r"listener\[1\].wake_on: here the kernel"),
    ],
)
def test_what_does_not_go_with_it_is_refused_where_it_was_set(
    settings: dict[str, Any], complaint: str
) -> None:
    merged = {"listener": [TCP], **EACH, **settings}
    with pytest.raises(BadInput, match=f"^{complaint}"):
        build("web", {key: value for key, value in merged.items() if value is not None})


@pytest.mark.parametrize(
    ("key", "setting"),
    [
        *(("image", "shell"), ("command", "cat"), ("connections_max", 3), ("time_max", "5s")),
        *(("connections_max_per_source", 3), ("network", "bridge"), ("memory_max", "1G")),
        *(("cpu_max", "50%"), ("processes_max", 5), ("read_only", False)),
    ],
)
def test_where_all_share_a_container_it_says_nothing(key: str, setting: Any) -> None:
    with pytest.raises(BadInput, match=f"^{key}: it says nothing where all share"):
        build("web", {"listener": [TCP], key: setting})


def test_it_has_a_socket_and_a_template_and_no_more() -> None:
    found = texts(each(TCP, {"on": "/run/web.sock", "owner": "root:adm"}, connections_max=7))
    assert list(found) == ["wakeport-web.socket", "wakeport-web@.service"]
    socket = found["wakeport-web.socket"]
    assert values(socket, "ListenStream") == ["80", "/run/web.sock"]
    assert values(socket, "SocketGroup") == ["adm"]
    assert values(socket, "Accept") == ["yes"]
    assert values(socket, "MaxConnections") == ["7"]
    assert values(socket, "MaxConnectionsPerSource") == ["16"]
    # What would close the port for good.
    assert values(socket, "TriggerLimitIntervalSec") == ["0"]
    for text in found.values():
        assert not re.search("^(Requires|BindsTo|Requisite|Condition|Assert)", text, re.MULTILINE)


def run(service: Service) -> list[str]:
    [line] = values(texts(service)["wakeport-web@.service"], "ExecStart")
    return shlex.split(line)


def test_its_container_has_a_name_that_docker_takes() -> None:
    text = texts(each())["wakeport-web@.service"]
    name = "--name=wakeport-web-${INVOCATION_ID}"
    assert name in run(each())
    assert values(text, "ExecStopPost")[0].split()[-1] == name
    assert run(each())[-1] == "shell"


def test_the_limits_of_its_container() -> None:
    text = texts(each(time_max="90s", memory_max="256M", cpu_max="150%", processes_max=9, network="n"))
    assert values(text["wakeport-web@.service"], "RuntimeMaxSec") == ["90"]
    [line] = values(text["wakeport-web@.service"], "ExecStart")
    for option in ("memory=256M", "memory-swap=256M", "cpus=1.5", "pids-limit=9", "network=n", "read-only"):
        assert f" --{option} " in line
    assert values(texts(each(time_max="infinity"))["wakeport-web@.service"], "RuntimeMaxSec") == ["infinity"]
    assert not {word.partition("=")[0] for word in run(each())} & {"--memory", "--cpus"}
    assert "--read-only" not in run(each(read_only=False))


BY_PODMAN: dict[str, Any] = {"runtime": "podman"}
BY_NSPAWN: dict[str, Any] = {"runtime": "nspawn", "command": "cat -u"}


@pytest.mark.parametrize("settings", [BY_PODMAN, BY_NSPAWN])
def test_a_container_in_its_unit_s_own_group_is_limited_by_that(settings: dict[str, Any]) -> None:
    limited = each(**settings, memory_max="256M", cpu_max="150%", processes_max=9)
    text = texts(limited)["wakeport-web@.service"]
    assert values(text, "MemoryMax") == ["256M"]
    assert values(text, "MemorySwapMax") == ["0"]
    assert values(text, "CPUQuota") == ["150%"]
    [tasks] = values(text, "TasksMax")
    assert int(tasks) > 9  # those of the runtime come on top
    assert values(text, "Delegate") == ["yes"]
    plain = texts(each(**settings))["wakeport-web@.service"]
    assert values(plain, "MemoryMax") == values(plain, "CPUQuota") == []
    # It has to make namespaces, and mounts in them.
    assert values(plain, "CapabilityBoundingSet") == []


def test_a_container_of_podman_s_has_the_connection_itself() -> None:
    words = run(each(**BY_PODMAN, network="n"))
    assert {"--cgroups=split", "--log-driver=passthrough", "--sdnotify=conmon", "--network=n"} <= set(words)
    assert words[-2:] == ["--name=wakeport-web-${INVOCATION_ID}", "shell"]
    text = texts(each(**BY_PODMAN))["wakeport-web@.service"]
    assert values(text, "Type") == ["notify"]
    assert "--read-only" in words
    assert "--read-only" not in run(each(**BY_PODMAN, read_only=False))


def test_a_machine_of_nspawn_s_has_a_directory_that_it_cannot_change() -> None:
    words = run(each(**BY_NSPAWN))
    assert {"--directory=/var/lib/machines/shell", "--read-only", "--private-network"} <= set(words)
    assert words[-4:] == ["--machine=wakeport-${INVOCATION_ID}", "--", "cat", "-u"]
    assert "--volatile=overlay" not in words
    written = run(each(**BY_NSPAWN, read_only=False, network="host"))
    assert "--volatile=overlay" in written
    assert not {"--read-only", "--private-network"} & set(written)
    # A host's name has 64 characters at most, and a service's may have as many.
    assert len("wakeport-") + 32 <= 64


def test_words_of_its_command_become_nothing_else() -> None:
    service = each(command="a '%i $X' '--rm' 'x;y\" \\\\ z'")
    [line] = values(texts(service)["wakeport-web@.service"], "ExecStart")
    assert line.endswith(r'shell a "%%i $$X" --rm "x;y\" \\\\ z"')


def test_silent_connections_may_stay_with_the_kernel() -> None:
    text = texts(each({"on": "80", "wake_on": "data"}))["wakeport-web.socket"]
    assert values(text, "DeferAcceptSec") == ["30"]


@pytest.fixture
def host(tmp_path: Path) -> TestHost:
    found = TestHost(tmp_path)
    found.layout.units.mkdir(parents=True)
    return found


def test_it_comes_and_goes(host: TestHost) -> None:
    bring(host, each())
    assert sorted(path.name for path in host.layout.units.iterdir()) == list(texts(each()))
    assert host.systemd.asked == [
        "daemon-reload",
        "enable wakeport-web.socket",
        "start wakeport-web.socket",
    ]
    assert not bring(host, each()).changes
    host.systemd.asked.clear()
    remove(host, removal(host.layout, "web"))
    assert host.systemd.asked[:2] == [
        "stop wakeport-web.socket wakeport-web@*.service",
        "disable wakeport-web.socket",
    ]
    assert tree(host.layout.root) == {}


def test_another_mode_closes_the_port_before_anything_else_goes(host: TestHost) -> None:
    bring(host, web())
    before = tree(host.layout.units)
    host.systemd.asked.clear()
    bring(host, each())
    first, second, third, *_ = host.systemd.asked
    assert first == "stop wakeport-web.socket"
    assert second.split()[0] == "stop"
    assert set(second.split()[1:]) == set(before) - {"wakeport-web.socket"}
    assert third == "disable wakeport-web-container.socket"
    assert sorted(tree(host.layout.units)) == sorted(texts(each()))
    host.systemd.asked.clear()
    bring(host, web())
    assert host.systemd.asked[:2] == ["stop wakeport-web.socket", "stop wakeport-web@*.service"]
    assert tree(host.layout.units) == before


def test_another_mode_that_cannot_come_leaves_what_was_there(host: TestHost) -> None:
    bring(host, web())
    before = tree(host.layout.units)
    host.systemd.asked.clear()
    host.silent = True
    with pytest.raises(Exception, match="nothing listens on 80"):
        bring(host, each())
    assert tree(host.layout.units) == before
    assert host.systemd.asked[-2:] == [
        "enable wakeport-web-container.socket",
        "start wakeport-web-container.socket wakeport-web.socket",
    ]


def test_other_limits_stop_nothing(host: TestHost) -> None:
    bring(host, each())
    host.systemd.asked.clear()
    bring(host, each(connections_max=3, time_max="5s", command="cat"))
    assert not any(asked.startswith(("stop", "try-restart")) for asked in host.systemd.asked)


def test_another_s_files_are_not_touched(host: TestHost) -> None:
    """Those of names that it has not are nothing to it; of names that it has, they are in the way."""
    foreign = host.layout.unit("wakeport-web.service")
    foreign.write_text("[Service]\n")
    bring(host, each())
    remove(host, removal(host.layout, "web"))
    assert foreign.read_text() == "[Service]\n"
    assert not any("wakeport-web.service" in asked for asked in host.systemd.asked)
    foreign.rename(host.layout.unit("wakeport-web@.service"))
    with pytest.raises(InTheWay, match=r"wakeport-web@\.service is in the way"):
        bring(host, each())
    bring(host, web())
    remove(host, removal(host.layout, "web"))
    assert host.layout.unit("wakeport-web@.service").read_text() == "[Service]\n"


SOCKET = {"ActiveState": "active", "NConnections": "2", "NAccepted": "9"}


def test_what_is_said_of_it() -> None:
    report = status.report(each(), {"wakeport-web.socket": SOCKET}, {}, 0.0)
    shared = status.report(web(), {}, {}, 0.0)
    assert set(report) == set(shared)
    assert (report["state"], report["connections"]) == ("awake", {"running": 2, "accepted": 9})
    assert cells(report, 0.0) == ["web", ":80", "", "", "per connection, 2 running"]
    closed = status.report(each(), {"wakeport-web.socket": {**SOCKET, "ActiveState": "failed"}}, {}, 0.0)
    assert closed["state"] == "failed"
    assert cells(closed, 0.0)[-1] == "wakeport-web.socket does not listen"
    assert per_connection_status.connections({}) == {"running": 0, "accepted": 0}


@pytest.mark.parametrize(
    ("exit_code", "made_within", "answers", "asked"),
    [
        (b"exited", 5.0, [True], 1),
        (b"exited", 5.0, [False], 1),
        (b"killed", 5.0, [False, False, True], 3),
        (b"killed", 0.0, [False], 1),
        (b"exited", 5.0, [OSError(2, "No such file"), True], 2),
    ],
)
def test_who_removes_its_container_asks_until_it_is_gone(
    monkeypatch: pytest.MonkeyPatch, exit_code: bytes, made_within: float, answers: list[Any], asked: int
) -> None:
    """Where its client was killed while it made it, it may come only now; Docker may be away."""
    names = []

    def answer(name: str) -> bool:
        names.append(name)
        found = answers[len(names) - 1]
        if isinstance(found, OSError):
            raise found
        return bool(found)

    by = SimpleNamespace(remove=answer, MADE_WITHIN=made_within)
    monkeypatch.setattr(removal_program, "removal", lambda _runtime: by)
    monkeypatch.setattr(removal_program, "environ", {b"EXIT_CODE": exit_code})
    monkeypatch.setattr("sys.argv", ["removal.py", "runtime=docker", "--name=wakeport-web-1"])
    removal_program.main()
    assert names == ["wakeport-web-1"] * asked
