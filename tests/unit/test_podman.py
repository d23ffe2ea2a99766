"""What Podman says otherwise than the Docker Engine, in the words of the real one (4.3.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wakeport.loop import Loop
from wakeport.runtimes.changes import ENDED, FROZEN, KILLED, ORDERED, OTHER, STARTED
from wakeport.runtimes.podman import host
from wakeport.runtimes.podman.by_hand import is_stopping
from wakeport.runtimes.podman.container import PodmanInspected, utc
from wakeport.runtimes.podman.runtime import Runtime

STATE = {
    "Status": "running",
    "Running": True,
    "Paused": False,
    "Restarting": False,
    "OOMKilled": False,
    "Pid": 282,
    "ExitCode": 0,
    "Error": "",
    "StartedAt": "2026-11-26T11:46:47.9146+01:00",
    "Health": {"Status": "", "FailingStreak": 0, "Log": None},
}


def inspection(state: dict[str, Any] | None = None, policy: str = "") -> dict[str, Any]:
    return {
        "Id": "d8e9",
        "Name": "/web",
        "State": STATE | (state or {}),
        "Config": {"Image": "localhost/nginx:latest", "Tty": False, "StopTimeout": 10},
        "HostConfig": {
            "NetworkMode": "bridge",
            "RestartPolicy": {"Name": policy, "MaximumRetryCount": 0},
            "PortBindings": {"80/tcp": None},
        },
        "NetworkSettings": {"Networks": {"podman": {"IPAddress": "10.88.0.7", "GlobalIPv6Address": ""}}},
    }


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-26T10:46:47.914687998Z", "2026-11-26T10:46:47.914687998"),
        ("2026-11-26T10:46:47Z", "2026-11-26T10:46:47"),
        ("2026-11-26T11:46:47.9146+01:00", "2026-11-26T10:46:47.9146"),
        ("2026-11-26T23:46:47-03:30", "2026-11-27T03:16:47"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00"),
    ],
)
def test_times_of_any_zone_compare_with_ours(written: str, meant: str) -> None:
    assert utc(written) == meant


def test_a_container_has_the_address_of_its_network_and_no_health_without_a_check() -> None:
    found = PodmanInspected(inspection())
    assert found.address({}) == "10.88.0.7"
    assert found.health is None
    assert found.published == {"80/tcp": []}
    assert found.started_at == "2026-11-26T10:46:47.9146"


@pytest.mark.parametrize(
    ("status", "paused", "running"),
    [
        ("running", False, True),
        ("paused", True, True),
        ("stopping", False, True),
        ("exited", False, False),
        ("created", False, False),
    ],
)
def test_it_runs_until_it_has_ended(status: str, paused: bool, running: bool) -> None:
    state = {"Status": status, "Paused": paused, "Running": status == "running"}
    assert PodmanInspected(inspection(state)).running is running


@pytest.mark.parametrize(
    ("policy", "says"),
    [("", ""), ("unless-stopped", ""), ("on-failure", ""), ("always", "restart policy always")],
)
def test_at_boot_podman_starts_what_is_always_restarted_alone(policy: str, says: str) -> None:
    assert PodmanInspected(inspection(policy=policy)).starts_at_boot == says


@pytest.mark.parametrize(
    ("action", "exit_code", "by_hand", "words"),
    [
        ("start", None, False, [STARTED]),
        ("pause", None, False, [FROZEN]),
        ("kill", None, False, [ORDERED]),
        ("restart", None, False, [ORDERED]),
        ("remove", None, False, [ORDERED]),
        ("cleanup", None, False, [OTHER]),
        ("die", "0", False, []),
        ("die", "1", False, [ENDED]),
        ("die", "0", True, [ORDERED, ENDED]),
        ("die", "143", False, [ORDERED, ENDED]),
        ("die", "137", True, [ORDERED, KILLED, ENDED]),
    ],
)
def test_what_its_events_say(action: str, exit_code: str | None, by_hand: bool, words: list[str]) -> None:
    loop = Loop()
    runtime = Runtime(loop, "web")
    runtime.ended_by_hand, runtime.end_seen = by_hand, 1
    attributes = {"containerExitCode": "0", "name": "web"}
    if exit_code is not None:
        attributes |= {"containerExitCode": exit_code, "exitCode": exit_code}
    try:
        event = {"Action": action, "timeNano": 2, "Actor": {"Attributes": attributes}}
        assert loop.run(runtime.told(event)) == words
        runtime.seen_running = 3
        assert loop.run(runtime.told(event)) == ([] if action in ("start", "die") else words)
    finally:
        loop.close()


@pytest.mark.parametrize(("end_seen", "exit_code"), [(3, "1"), (1, "0")])
@pytest.mark.parametrize(
    ("actions", "words"),
    [
        (["die", "cleanup", "cleanup"], [ORDERED, ENDED]),
        (["die", "cleanup"], []),
        (["die", "cleanup", "start", "cleanup"], [STARTED, OTHER]),
        (["die", "remove"], [ORDERED, ENDED]),
    ],
)
def test_who_has_ended_it_where_nobody_was_seen(
    actions: list[str], words: list[str], end_seen: int, exit_code: str
) -> None:
    """Too late, or a client of Podman's socket; whoever has stopped it clears away too."""
    loop = Loop()
    runtime = Runtime(loop, "web")
    runtime.end_seen = end_seen
    try:
        told = [
            word
            for at, action in enumerate(actions, 2)
            for word in loop.run(
                runtime.told(
                    {
                        "Action": action,
                        "timeNano": at,
                        "Actor": {"Attributes": {"name": "web", "exitCode": exit_code}},
                    }
                )
            )
        ]
    finally:
        loop.close()
    assert told == words


@pytest.mark.parametrize(
    ("command", "stops"),
    [
        (["podman", "stop", "web"], True),
        (["/usr/bin/podman", "--log-level=info", "container", "stop", "-t", "3", "web"], True),
        (["podman", "pod", "stop", "shop"], True),
        (["podman", "rm", "-f", "web"], True),
        (["/usr/bin/podman", "system", "service"], False),
        (["/usr/bin/podman", "container", "cleanup", "d8e9"], False),
        (["docker", "stop", "web"], False),
        ([], False),
    ],
)
def test_a_stop_by_hand_is_seen(tmp_path: Path, command: list[str], stops: bool) -> None:
    for pid, words in (("1", ["/lib/systemd/systemd"]), ("282", command), ("self", [])):
        (tmp_path / "proc" / pid).mkdir(parents=True)
        (tmp_path / "proc" / pid / "cmdline").write_text("".join(f"{word}\0" for word in words))
    (tmp_path / "proc" / "283").mkdir()
    assert is_stopping(str(tmp_path)) is stops


def test_problems_are_podmans() -> None:
    loop = Loop()
    try:
        engine = Runtime(loop, "web").engine
        said = str(engine.unreachable(FileNotFoundError(2, "No such file or directory")))
    finally:
        loop.close()
    assert said == "Podman does not answer on /run/podman/podman.sock: No such file or directory"
    assert "docker" not in " ".join(host.ADVICE.for_name("web")).lower()
