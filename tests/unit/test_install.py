"""How a service comes to stand, changes and goes, or stays as it was."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.unit.hosts import TestHost, bring, tree, web
from wakeport import service as services
from wakeport.errors import InTheWay, Problem
from wakeport.install import files, lock
from wakeport.install.plan import listened_before, removal
from wakeport.install.remove import remove
from wakeport.place import Place
from wakeport.service import Service
from wakeport.written import write

UNITS = [
    "wakeport-web-container.service",
    "wakeport-web-container.socket",
    "wakeport-web.service",
    "wakeport-web.socket",
]


def test_a_new_service_stands_and_listens(host: TestHost) -> None:
    bring(host, web())
    assert sorted(path.name for path in host.layout.units.iterdir()) == UNITS
    assert host.layout.settings("web").read_text() == write(web())
    assert host.systemd.asked == [
        "daemon-reload",
        "enable wakeport-web-container.socket wakeport-web.socket",
        "start wakeport-web-container.socket wakeport-web.socket",
    ]
    for path in (host.layout.settings("web"), *host.layout.units.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE(host.layout.configuration.stat().st_mode) == 0o755


def test_the_same_again_changes_nothing(host: TestHost) -> None:
    bring(host, web())
    host.systemd.asked.clear()
    assert not bring(host, web()).changes
    assert not any(asked.startswith(("stop", "daemon-reload", "kill")) for asked in host.systemd.asked)


def test_what_was_added_and_removed_leaves_nothing(host: TestHost) -> None:
    before = tree(host.layout.root)
    bring(host, web())
    host.layout.state("web").mkdir(parents=True)
    host.layout.status("web").write_text("{}")
    host.layout.lease("web").touch()
    assert remove(host, removal(host.layout, "web")) == []
    assert tree(host.layout.root) == before
    assert not host.layout.configuration.exists()
    assert not host.layout.programs.exists()
    assert not host.layout.run.exists()
    assert not host.account.remove(), "the user went with the last service"


def test_the_last_but_one_leaves_what_the_other_needs(host: TestHost) -> None:
    bring(host, web())
    other = services.build("api", {"listener": [{"on": "81", "to": 80}]})
    bring(host, other)
    remove(host, removal(host.layout, "web"))
    assert [path.name for path in host.layout.unit_files()] == [name.replace("web", "api") for name in UNITS]
    assert len(host.layout.program_copies()) == 1
    assert host.account.remove()


@pytest.mark.parametrize("verb", ["daemon-reload", "enable", "start"])
def test_a_failed_add_puts_everything_back(host: TestHost, verb: str) -> None:
    before = tree(host.layout.root)
    once = iter([True])
    host.systemd.fails = lambda asked: asked.startswith(verb) and next(once, False)
    with pytest.raises(Problem, match=verb):
        bring(host, web())
    assert tree(host.layout.root) == before
    assert not host.layout.configuration.exists()
    assert not host.account.remove()


def test_a_port_that_does_not_listen_is_a_failure(host: TestHost) -> None:
    host.silent = True
    with pytest.raises(Problem, match="nothing listens on 80"):
        bring(host, web())
    assert host.layout.unit_files() == []
    assert "disable wakeport-web-container.socket wakeport-web.socket" in [
        " ".join(["disable", *sorted(asked.split()[1:])]) for asked in host.systemd.asked
    ]


def test_an_interrupted_change_brings_the_old_port_back(host: TestHost) -> None:
    bring(host, web("80"))
    host.systemd.asked.clear()
    before = {path: text for path, text in tree(host.layout.root).items() if path.startswith("etc/systemd")}

    def interrupt(asked: str) -> bool:
        if asked.startswith("start") and len(host.systemd.asked) < 6:
            raise KeyboardInterrupt
        return False

    host.systemd.fails = interrupt
    with pytest.raises(KeyboardInterrupt):
        bring(host, web("81"))
    after = tree(host.layout.root)
    assert {path: after[path] for path in before} == before
    assert host.systemd.asked[-3:] == [
        "daemon-reload",
        "stop wakeport-web.service",
        "start wakeport-web-container.socket wakeport-web.socket",
    ]


def test_what_cannot_be_put_back_is_told(host: TestHost) -> None:
    host.systemd.fails = lambda asked: asked.startswith(("start", "stop"))
    with pytest.raises(Problem, match="start") as failure:
        bring(host, web())
    assert any("stop" in note for note in failure.value.__notes__)
    assert host.layout.unit_files() == []


def test_a_changed_listener_stops_the_socket_and_its_proxy(host: TestHost) -> None:
    bring(host, web("80"))
    host.systemd.asked.clear()
    assert listened_before(host.layout, "web") == {"80"}
    bring(host, web("81"))
    assert host.systemd.asked[:3] == [
        "stop wakeport-web.socket",
        "daemon-reload",
        "stop wakeport-web.service",
    ]


def test_a_changed_target_restarts_the_proxy_only(host: TestHost) -> None:
    bring(host, web(to=80))
    host.systemd.asked.clear()
    bring(host, web(to=8080))
    assert host.systemd.asked[0] == "daemon-reload"
    assert host.systemd.asked[-1] == "try-restart wakeport-web.service"
    assert not any(asked.startswith("stop") for asked in host.systemd.asked)


@pytest.mark.parametrize("before", ["systemd-socket-proxyd", "wakeport"])
def test_a_proxy_that_cannot_hand_over_is_stopped(host: TestHost, before: str) -> None:
    bring(host, web(to=80, proxy=before))
    unit = host.layout.unit("wakeport-web.service")
    unit.write_text(unit.read_text().replace("FileDescriptorStoreMax=1\n", ""))  # an earlier version's
    host.systemd.asked.clear()
    bring(host, web(to=8080))
    assert host.systemd.asked[:2] == ["daemon-reload", "stop wakeport-web.service"]
    assert not any(asked.startswith("try-restart") for asked in host.systemd.asked)


def test_a_restart_that_fails_is_tried_with_what_was_there(host: TestHost) -> None:
    bring(host, web(to=80))
    before = tree(host.layout.root)
    host.systemd.asked.clear()
    host.systemd.fails = lambda asked: (
        asked.startswith("try-restart") and asked not in host.systemd.asked[:-1]
    )
    with pytest.raises(Problem, match="try-restart"):
        bring(host, web(to=8080))
    after = tree(host.layout.root)
    units = {path: text for path, text in before.items() if path.startswith("etc/systemd")}
    assert {path: after[path] for path in units} == units
    assert host.systemd.asked[-1] == "try-restart wakeport-web.service"


def listening(*listeners: dict[str, Any]) -> Service:
    return services.build("web", {"listener": list(listeners)})


REOPENED = ["stop wakeport-web.socket", "daemon-reload", "stop wakeport-web.service"]


def test_what_listened_before_is_told_apart_by_its_protocol(host: TestHost) -> None:
    odd = {"on": "/run/a %n.sock", "to": 80}
    host.held = [Place.parse(on) for on in ("80", "80/udp", "/run/a %n.sock")]
    bring(host, listening({"on": "80", "to": 80}, {"on": "80/udp", "to": 53}, odd))
    assert listened_before(host.layout, "web") == {"80", "80/udp", "/run/a %n.sock"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"on": "80"}, {"on": "80/udp"}),
        ({"on": "80"}, {"on": "80", "wake_on": "data"}),
        ({"on": "/run/a.sock"}, {"on": "/run/a.sock", "mode": "0660"}),
        ({"on": "/run/a.sock", "owner": "root"}, {"on": "/run/a.sock", "owner": ":root"}),
    ],
)
def test_what_a_socket_is_opened_with_needs_it_opened_anew(
    host: TestHost, old: dict[str, Any], new: dict[str, Any]
) -> None:
    host.held = [Place.parse(one["on"]) for one in (old, new)]
    bring(host, listening({**old, "to": 80}))
    host.systemd.asked.clear()
    bring(host, listening({**new, "to": 80}))
    assert host.systemd.asked[:3] == REOPENED


@pytest.mark.parametrize(
    "new", [{"to": "/run/app.sock"}, {"page": "on"}, {"rule": [{"then": "close"}]}, {"send_proxy": "v1"}]
)
def test_a_proxy_that_runs_hears_of_new_words_by_a_restart(host: TestHost, new: dict[str, Any]) -> None:
    bring(host, web())
    host.systemd.asked.clear()
    bring(host, listening({"on": "80", "to": 80, **new}))
    assert host.systemd.asked[0] == "daemon-reload"
    assert host.systemd.asked[-1] == "try-restart wakeport-web.service"


def test_more_patience_with_held_clients_stops_nothing(host: TestHost) -> None:
    bring(host, web())
    host.systemd.asked.clear()
    bring(host, web(hold_max=5, hold_for="2min", idle="1min"))
    assert not any(asked.startswith("stop") for asked in host.systemd.asked)


def test_another_container_stops_the_supervisor(host: TestHost) -> None:
    bring(host, web())
    host.systemd.main_pid = "7"
    host.systemd.asked.clear()
    bring(host, web(container="web2"))
    assert host.systemd.asked[:2] == ["daemon-reload", "stop wakeport-web-container.service"]
    assert not any(asked.startswith("kill") for asked in host.systemd.asked)


def test_a_supervisor_that_runs_takes_its_new_command_line(host: TestHost) -> None:
    bring(host, web())
    host.systemd.main_pid = "7"
    host.systemd.asked.clear()
    bring(host, web(idle="5min"))
    assert host.systemd.asked[-1] == "kill --signal=HUP --kill-who=main wakeport-web-container.service"
    assert not any(asked.startswith("stop") for asked in host.systemd.asked)
    handed = host.layout.state("web") / "next"
    assert '"idle=300"' in handed.read_text()
    assert stat.S_IMODE(handed.stat().st_mode) == 0o600


@pytest.mark.parametrize("foreign", ["[Unit]\nDescription=mine\n", "", "[X-Wakeport]\nService=other\n"])
@pytest.mark.parametrize("unit", UNITS)
def test_another_s_unit_is_never_touched(host: TestHost, unit: str, foreign: str) -> None:
    host.layout.unit(unit).write_text(foreign)
    before = tree(host.layout.root)
    with pytest.raises(InTheWay, match=unit):
        bring(host, web())
    with pytest.raises(InTheWay, match=unit):
        removal(host.layout, "web")
    assert tree(host.layout.root) == before
    assert host.systemd.asked == []


def test_a_masked_unit_is_another_s(host: TestHost) -> None:
    host.layout.unit("wakeport-web.socket").symlink_to("/dev/null")
    with pytest.raises(InTheWay):
        bring(host, web())


def test_drop_ins_survive_apply_and_are_named_by_remove(host: TestHost) -> None:
    bring(host, web())
    drop_in = host.layout.drop_ins("wakeport-web.service") / "override.conf"
    files.write(drop_in, b"[Service]\nNice=5\n")
    files.make_directory(host.layout.drop_ins("wakeport-web.socket"))
    bring(host, web(idle="5min"))
    assert drop_in.exists()
    assert remove(host, removal(host.layout, "web")) == [drop_in]
    assert drop_in.exists()
    assert not host.layout.drop_ins("wakeport-web.socket").exists()


def test_an_interrupted_removal_can_be_given_again(host: TestHost) -> None:
    bring(host, web())
    once = iter([True])
    host.systemd.fails = lambda asked: asked == "daemon-reload" and next(once, False)
    with pytest.raises(Problem):
        remove(host, removal(host.layout, "web"))
    assert host.layout.settings("web").exists()
    remove(host, removal(host.layout, "web"))
    assert not host.layout.settings("web").exists()


# --- the copy of the programs ---


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a/b.toml"
    old_mask = os.umask(0o077)
    try:
        files.write(path, b"one")
    finally:
        os.umask(old_mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write(path, b"two")
    assert tree(tmp_path) == {"a/b.toml": "one"}


def test_the_second_command_waits_for_the_first(host: TestHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.0)
    holding, done = threading.Event(), threading.Event()

    def first() -> None:
        with lock.held(host.layout):
            holding.set()
            done.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    assert holding.wait(10)
    with pytest.raises(InTheWay, match="another wakeport"), lock.held(host.layout):
        pass
    done.set()
    thread.join()
    with lock.held(host.layout):
        pass
