"""What is a service of the host's own: its limits, its users, its journal, its restarts by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import Lab
from tests.lab.applications import web_server
from tests.lab.runtimes.unit import Unit
from tests.lab.services import Service
from tests.lab.waiting import eventually


@pytest.fixture
def units(lab: Lab) -> Iterator[Unit]:
    made = Unit(lab)
    yield made
    lab.run(["sh", "-c", "systemctl stop 'wakeport-*'"])
    made.clean_up()


def add(units: Unit, *options: str) -> Service:
    units.lab.run(["wakeport", "add", "web", "--runtime=unit", "--listen=80=80", *options])
    return Service(units, "web", "web", 80)


def test_a_wake_is_no_start_that_systemd_counts(units: Unit) -> None:
    """An enabled unit is not forgotten when it is down, and its sixth start in ten seconds was refused."""
    units.create("web")
    units.set(
        "web", "[Unit]\nStartLimitBurst=2\nStartLimitIntervalSec=1h\n[Install]\nWantedBy=multi-user.target"
    )
    units.lab.run(["systemctl", "enable", "web.service"])
    web = add(units, "--idle=200ms")
    for _ in range(4):
        assert web.get().served
        web.falls_asleep()
    units.lab.run(["systemctl", "disable", "web.service"])


def test_add_says_that_it_starts_at_boot(units: Unit) -> None:
    units.create("web")
    units.set("web", "[Install]\nWantedBy=multi-user.target")
    units.lab.run(["systemctl", "enable", "web.service"])
    said = units.lab.run(["wakeport", "add", "web", "--runtime=unit", "--listen=80=80"])
    assert "systemd starts it at boot too (it is enabled)" in said.stderr
    assert "systemctl disable web" in said.stderr
    units.lab.run(["systemctl", "disable", "web.service"])


def test_a_service_that_restarts_itself_is_the_same_wake(units: Unit) -> None:
    units.create("web")
    units.set("web", "[Service]\nRestart=always\nRestartSec=100ms")
    web = add(units, "--idle=5s")
    for _ in range(3):
        assert web.get().served
        units.kill("web")
        eventually("it is back", lambda: web.status.get("state") == "awake" and units.running() == ["web"])
        assert web.get().served
        eventually("it is ours", lambda: web.status["owned"])
    web.falls_asleep()


def test_a_service_that_restarts_itself_is_not_left_to_it_where_the_wake_was_given_up(units: Unit) -> None:
    units.create("web", image="python", command=web_server(ends_after=0.2))
    units.set("web", "[Service]\nRestart=always\nRestartSec=100ms\n[Unit]\nStartLimitIntervalSec=0")
    web = add(units, "--idle=1h", "--ready=exec:false", "--ready-within=1s")
    assert web.get().told_no
    web.falls_asleep()


def test_a_command_runs_as_the_services_own_user(units: Unit) -> None:
    units.create("web", image="python", command=web_server())
    units.set("web", "[Service]\nUser=nobody\nAmbientCapabilities=CAP_NET_BIND_SERVICE")
    web = add(units, "--ready=exec:sh -c 'id -u > /tmp/who'")
    assert web.get().served
    assert units.run_in("web", "cat", "/tmp/who").strip() == "65534"


def test_logs_show_what_the_service_says(units: Unit) -> None:
    units.create("web", image="python", command=["python3", "-c", "print('here I am', flush=True)"])
    units.set("web", "[Service]\nStandardOutput=journal\nStandardError=journal")
    web = add(units)
    assert web.get().told_no
    eventually("it is shown", lambda: "here I am" in units.lab.run(["wakeport", "logs", "web"]).stdout)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nobody", "there is no unit nobody.service"),
        ("wakeport-web", "one of wakeport's own"),
        ("systemd-journald.socket", "there is no unit systemd-journald.socket.service"),
    ],
)
def test_what_cannot_be_woken_is_refused(lab: Lab, name: str, said: str) -> None:
    options = ["--runtime=unit", f"--container={name}", "--listen=80=8080"]
    refused = lab.run(["wakeport", "add", "web", *options], check=False)
    assert refused.returncode != 0
    assert said in refused.stderr


def test_a_service_that_wants_the_port_itself_is_refused(lab: Lab) -> None:
    file = lab.root / "etc/systemd/system/test-own.service"
    file.write_text("[Service]\nExecStart=/bin/sleep infinity\n")
    lab.run(["systemctl", "daemon-reload"])
    options = ["--runtime=unit", "--container=test-own", "--listen=80=80"]
    refused = lab.run(["wakeport", "add", "web", *options], check=False)
    assert refused.returncode == 5
    assert "listens on the host's own port 80, which systemd is to hold" in refused.stderr


def test_who_is_not_root_asks_over_the_message_bus(lab: Lab, units: Unit) -> None:
    units.create("web")
    add(units)
    told = lab.run(["wakeport", "diff", "web"], user="nobody", check=False)
    assert (told.returncode, told.stdout) == (0, ""), told
