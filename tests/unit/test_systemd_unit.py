"""What is made of systemd's words for a unit, and of the kernel's for its network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wakeport.loop import Loop
from wakeport.runtimes import network
from wakeport.runtimes.cgroup import SERVICE
from wakeport.runtimes.systemd import machine
from wakeport.runtimes.systemd.runtime import UnitRuntime
from wakeport.runtimes.systemd.unit import Unit, object_path, seconds, stamp
from wakeport.runtimes.unit.name import unit_of

FOUND: dict[str, Any] = {
    "LoadState": "loaded",
    "LoadError": ["", ""],
    "ActiveState": "active",
    "SubState": "running",
    "FreezerState": "running",
    "InactiveExitTimestamp": 1_795_689_975_250_542,
    "UnitFileState": "static",
    "MainPID": 7,
    "ExecMainCode": 0,
    "ExecMainStatus": 0,
    "Result": "success",
    "Restart": "no",
    "TimeoutStopUSec": 90_000_000,
    "PrivateNetwork": False,
    "NetworkNamespacePath": "",
    "KillMode": "control-group",
    "KillSignal": 15,
    "ExecStop": [],
    "TriggeredBy": [],
}

HOST = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
     |-- 10.0.0.7
        /32 host LOCAL
Local:
     |-- 10.0.0.7
        /32 host LOCAL
"""
OWN = """Main:
     |-- 10.9.0.0
        /24 link UNICAST
     |-- 10.9.0.2
        /32 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
"""
# As a machine has it for whom no DHCP server answers.
BY_ITSELF = OWN.replace("10.9.0.2", "169.254.26.129")
SIX = """fe80000000000000008c51fffe91a5a1 02 40 20 80 eth0
20010db8000000000000000000000007 02 40 00 40 eth0
20010db8000000000000000000000008 02 40 00 80 eth0
"""


def unit(**changed: Any) -> Unit:
    return Unit("app.service", {**FOUND, **changed})


def test_a_unit_that_runs() -> None:
    seen = unit()
    assert (seen.running, seen.restarting, seen.paused, seen.pid) == (True, False, False, 7)
    assert seen.started_at == "2026-11-26T10:46:15.250542000"
    assert seen.stop_timeout == 90
    assert seen.on_host_network
    assert not seen.starts_at_boot


@pytest.mark.parametrize(("state", "runs"), [("inactive", False), ("failed", False), ("deactivating", True)])
def test_what_counts_as_running(state: str, runs: bool) -> None:
    assert unit(ActiveState=state).running is runs


def test_a_unit_that_waits_for_its_restart_does_not_run() -> None:
    seen = unit(ActiveState="activating", SubState="auto-restart", Restart="always")
    assert (seen.running, seen.restarting, seen.restarts_itself) == (False, True, True)


@pytest.mark.parametrize(
    ("result", "error"),
    [
        ("exit-code", ""),
        ("signal", "killed by signal 9"),
        ("start-limit-hit", "systemd says start-limit-hit"),
    ],
)
def test_why_it_ended(result: str, error: str) -> None:
    assert unit(Result=result, ExecMainStatus=9).error == error


def test_a_network_of_its_own() -> None:
    assert not unit(PrivateNetwork=True).on_host_network
    assert not unit(NetworkNamespacePath="/run/netns/app").on_host_network


def test_times_and_timeouts() -> None:
    assert stamp(1_000_001) == "1970-01-01T00:00:01.000001000"
    assert seconds(1_500_000) == 2
    assert seconds(2**64 - 1) == 3600


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("web.service", "web_2eservice"),
        ("1.service", "_31_2eservice"),
        ("a-b@c_d.service", "a_2db_40c_5fd_2eservice"),
        ("é.service", "_c3_a9_2eservice"),
    ],
)
def test_an_object_is_found_under_its_escaped_name(name: str, escaped: str) -> None:
    assert object_path(name) == f"/org/freedesktop/systemd1/unit/{escaped}"


def test_a_name_without_an_ending_is_a_service() -> None:
    assert unit_of("web") == unit_of("web.service") == "web.service"
    assert unit_of("my.app") == "my.app.service"


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/system.slice/app.service", "/system.slice/app.service"),
        ("/system.slice/app.service/payload/x", "/system.slice/app.service"),
        (
            "/user.slice/user-1.slice/user@1.service/app.slice/a.service/b",
            "/user.slice/user-1.slice/user@1.service/app.slice/a.service",
        ),
        ("/init.scope", None),
        ("/../system.slice/app.service", None),
    ],
)
def test_the_group_of_a_service(path: str, own: str | None) -> None:
    assert SERVICE.find(path) == own


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    shows(tmp_path, "self", HOST)
    return tmp_path


def shows(root: Path, pid: str, four: str, six: str = "") -> None:
    directory = root / "proc" / pid / "net"
    directory.mkdir(parents=True)
    (directory / "fib_trie").write_text(four)
    (directory / "if_inet6").write_text(six)


@pytest.mark.parametrize(
    ("four", "six", "address"),
    [
        (HOST, "", "127.0.0.1"),
        (OWN, SIX, "10.9.0.2"),
        (BY_ITSELF, "", None),
        (BY_ITSELF, SIX, "2001:0db8:0000:0000:0000:0000:0000:0008"),
        ("", SIX, "2001:0db8:0000:0000:0000:0000:0000:0008"),
        ("", "", None),
    ],
)
def test_where_a_process_answers(kernel: Path, four: str, six: str, address: str | None) -> None:
    shows(kernel, "7", four, six)
    assert network.address(7, str(kernel)) == address


def test_a_process_that_is_gone_answers_nowhere(kernel: Path) -> None:
    assert network.address(8, str(kernel)) is None


class Placed(UnitRuntime):
    def __init__(self) -> None:
        """Without a conversation: this is about what the kernel shows."""


@pytest.mark.parametrize(
    ("name", "on_host", "placed"),
    [
        ("systemd", False, False),
        ("(nginx)", False, False),
        ("nginx", False, True),
        ("(nginx)", True, True),
    ],
)
def test_loopback_is_nobodys_address_before_the_program_runs(
    monkeypatch: pytest.MonkeyPatch, name: str, on_host: bool, placed: bool
) -> None:
    """Else a port of the host would be asked, and that is the one that systemd holds."""
    monkeypatch.setattr("wakeport.runtimes.systemd.runtime.name_of", lambda _pid: name)
    found = unit(PrivateNetwork=not on_host)
    assert Placed().is_in_place(found) == placed


def test_a_machine_that_ends_while_it_is_looked_at_behind_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal had come before the look's last answer, and its wake waited for another."""
    loop = Loop()

    class Machine(machine.MachineRuntime):
        def unit_of(self, name: str) -> str:
            return name

        def seen(self, unit: Unit) -> Unit:
            unit.pid = 0  # it has not come so far
            return unit

    made = Machine(loop, "web.service")
    looks = iter([FOUND, {**FOUND, "ActiveState": "failed", "MainPID": 0}])

    async def properties(*_asked: object) -> dict[str, Any]:
        made.signals._stir()
        return next(looks)

    async def at_once(*_asked: object) -> Any:
        return ["/job"]

    async def done(*_asked: object) -> str:
        return "done"

    monkeypatch.setattr(machine, "first_process", lambda _pid: 0)
    monkeypatch.setattr(made.bus, "send", lambda *_words: 1)
    monkeypatch.setattr(made.bus, "answer", at_once)
    monkeypatch.setattr(made.bus, "properties", properties)
    monkeypatch.setattr(made.signals, "result_of", done)

    async def start() -> bool:
        return await loop.within(10, made.start())

    loop.run(start())
    assert next(looks, None) is None, "it was looked at once more"
    loop.close()
