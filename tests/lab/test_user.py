"""Services of an ordinary user, under a systemd of their own: without root, and nothing left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab, user
from lab.user import User
from tests.lab import clients
from tests.lab.applications import web_server
from tests.lab.clients import ask, connect
from tests.lab.runtimes import Containers
from tests.lab.runtimes.rootless import Rootless
from tests.lab.runtimes.user_unit import UserUnit
from tests.lab.services import AddService, Service
from tests.lab.waiting import eventually


def of(runtime: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("runtime", [runtime], indirect=True)


BOTH = pytest.mark.parametrize("runtime", ["user", "rootless"], indirect=True)


@pytest.fixture
def owner(containers: Containers) -> User:
    assert isinstance(containers, UserUnit | Rootless)
    return containers.home.user


def refused(owner: User, *arguments: str) -> str:
    """What `wakeport --user` says, on two lines, and changes nothing."""
    told = owner.run(["wakeport", "--user", *arguments], check=False)
    assert told.returncode != 0, told
    assert len(told.stderr.splitlines()) == 2, told.stderr
    assert not (owner.lab.root / owner.home[1:] / ".config/wakeport").exists()
    return told.stderr


def wakes_since(owner: User, at: float) -> list[str]:
    """From what it woke, as its history has it."""
    told = owner.run(["wakeport", "--user", "history", "--json", f"--since=@{at:.6f}"]).stdout
    [report] = json.loads(told)
    return [wake["from"] for wake in report["wakes"]]


def files(owner: User) -> str:
    places = [owner.home, f"{owner.run_directory}/wakeport"]
    return owner.run(["find", *places], check=False).stdout


@BOTH
def test_a_user_s_service_comes_and_goes_without_root(service: AddService, owner: User) -> None:
    owner.run(["wakeport", "--user", "doctor"])
    web = service("web", idle="1h")
    added = files(owner)
    assert web.get().served
    for unit in (web.units.proxy, web.units.supervisor):
        [pid] = web.pids(unit)
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        assert status["Uid"].split() == [str(owner.uid)] * 4
        assert (status["CapEff"], status["NoNewPrivs"], status["Seccomp"]) == ("0" * 16, "1", "2")
    said = owner.run(["wakeport", "--user", "doctor"]).stdout
    assert "1 service looked at, nothing wrong" in said, said
    assert owner.run(["wakeport", "--user", "diff"]).stdout == ""
    eventually("it is told when it woke", lambda: wakes_since(owner, web.added_at) == ["asleep"])
    owner.run(["wakeport", "--user", "keep", "web"])
    [report] = json.loads(owner.run(["wakeport", "--user", "status", "--json"]).stdout)
    assert (report["state"], report["kept"][0]["by"]) == ("awake", "hand")
    owner.run(["wakeport", "--user", "release", "web"])
    owner.run(["wakeport", "--user", "sleep", "--force", "web"])
    web.falls_asleep()
    owner.run(["wakeport", "--user", "wake", "web"])
    assert web.containers.running() == ["web"]
    assert "web is awake" in owner.run(["wakeport", "--user", "logs", "web"]).stdout
    owner.run(["wakeport", "--user", "remove", "web"])
    assert web.containers.running() == []
    left = files(owner)
    assert "wakeport" in added
    assert "wakeport" not in left
    assert f"{owner.home}/.local/lib" not in left.splitlines()


@of("rootless")
def test_a_helper_that_takes_every_connection_is_no_sign_that_it_is_ready(service: AddService) -> None:
    """Podman's own would hang up on each client for as long as nothing listens behind it."""
    web = service(command=web_server(listens_after=1.0))
    answers = web.crowd(20)
    assert [str(answer) for answer in answers if not answer.served] == []


@of("user")
def test_a_restart_of_a_user_s_proxy_hands_its_connections_over(service: AddService) -> None:
    web = service(idle="1h")
    with connect(web.lab) as client:
        assert ask(client)
        [before] = web.pids(web.units.proxy)
        web.systemctl("restart", web.units.proxy)
        assert web.pids(web.units.proxy) != [before]
        assert ask(client)
    assert web.moments(web.units.proxy, "this stop is taken for a restart") == []


@pytest.mark.full
@of("user")
def test_a_stop_of_a_user_s_proxy_is_known_as_one(service: AddService) -> None:
    web = service(idle="1h")
    with connect(web.lab) as client:
        assert ask(client)
        web.systemctl("stop", web.units.socket, web.units.proxy)
        assert web.moments(web.units.proxy, "this stop is taken for a restart") == []
        assert not clients.accepts(web.lab)


@of("user")
def test_a_user_s_service_wakes_what_it_needs_and_keeps_its_windows(service: AddService) -> None:
    db = service("db", listen=81, idle="500ms")
    app = service("app", "--needs=db", idle="500ms")
    assert app.get().served
    assert db.container_runs
    app.falls_asleep()
    db.falls_asleep()
    path = app.home.configuration / "app.toml"
    path.write_text(f'keep = "00:00-24:00"\n{path.read_text()}')
    app.home.run(["wakeport", "apply", "app"])
    eventually("kept by the clock", lambda: app.status.get("state") == "awake")
    assert "enabled" in app.home.run(["systemctl", "is-enabled", app.units.keeper]).stdout


@of("rootless")
def test_containers_without_a_way_in_are_refused(containers: Containers, owner: User) -> None:
    owner.run(["podman", "create", "--name=shut", "nginx"])
    add = ["add", "shut", "--runtime=podman"]
    assert "only a published port leads to it, and it publishes none for 80" in refused(
        owner, *add, "--listen=8080=80"
    )
    containers.remove("shut")
    owner.run(["podman", "create", "--name=shut", "--publish=8080:80", "nginx"])
    said = refused(owner, *add, "--listen=8080=80")
    assert "publishes port 8080 itself, which systemd is to hold" in said
    assert "-p 127.0.0.1:PORT:80" in said
    assert "it publishes none for 81" in refused(owner, *add, "--listen=8081=81")


@of("user")
def test_what_a_user_cannot_have_is_refused(lab: Lab, containers: Containers, owner: User) -> None:
    lab.run(["sysctl", "--quiet", "net.ipv4.ip_unprivileged_port_start=1024"])
    unit = ["add", "web", "--runtime=unit"]
    assert "there is no unit web.service" in refused(owner, *unit, "--listen=8080=81")
    containers.create("web")
    said = refused(owner, *unit, "--listen=80=81")
    assert "port 80 is for root alone: a user's begin at 1024" in said
    said = refused(owner, "add", "web", "--listen=8080=81")
    assert "its containers are root's" in said
    assert "--runtime takes podman or unit here" in said


def test_root_has_no_services_of_its_own_but_the_system_s(lab: Lab) -> None:
    told = lab.run(["wakeport", "--user", "status"], check=False)
    assert told.returncode == 2
    assert "root's services are those of the system" in told.stderr


@pytest.fixture
def passer_by(lab: Lab) -> Iterator[User]:
    """Somebody who has an account, and nothing that runs for them."""
    user.set_up(lab)
    lab.run(["useradd", "--create-home", "bob"])
    yield User(lab, "bob")
    lab.run(["userdel", "--remove", "bob"])


def test_where_no_systemd_runs_for_a_user_it_is_said_how_one_comes(passer_by: User) -> None:
    told = passer_by.run(["wakeport", "--user", "doctor"], check=False)
    assert told.returncode == 6, told
    assert "no systemd runs for bob" in told.stderr
    assert "loginctl enable-linger bob" in told.stderr


@of("user")
def test_whoever_does_not_linger_is_told(service: AddService, owner: User) -> None:
    lingers = owner.lab.root / "var/lib/systemd/linger" / owner.name
    lingers.rename(lingers.with_name("nobody-else"))  # logind would end all that runs
    try:
        service("web", idle="1h")
        said = owner.run(["wakeport", "--user", "doctor"]).stdout
    finally:
        lingers.with_name("nobody-else").rename(lingers)
    assert f"{owner.name} does not linger" in said
    assert f"loginctl enable-linger {owner.name}" in said


@of("rootless")
def test_doctor_says_how_a_user_s_podman_is_reached(containers: Containers, owner: User) -> None:
    containers.create("web")
    add = ["wakeport", "--user", "add", "web", "--runtime=podman", "--listen=8080=80"]
    owner.run(add)
    owner.run(["systemctl", "--user", "stop", "podman.socket", "podman.service"])
    try:
        told = owner.run(["wakeport", "--user", "doctor"], check=False)
    finally:
        owner.run(["systemctl", "--user", "start", "podman.socket"])
    assert told.returncode == 1
    assert f"Podman does not answer on {owner.run_directory}/podman/podman.sock" in told.stdout
    assert "systemctl --user enable --now podman.socket" in told.stdout


@pytest.mark.full
def test_a_user_who_lingers_has_their_ports_back_after_a_reboot(fresh_lab: Lab) -> None:
    containers = UserUnit(fresh_lab)
    containers.create("web", image="python", command=web_server())  # whose files outlive it
    port = containers.target("web", 80)
    containers.home.run(["wakeport", "add", "web", "--runtime=unit", f"--listen=8080={port}"])
    fresh_lab.reboot()
    web = Service(containers, "web", "web", 8080)
    eventually("the port is open", lambda: clients.accepts(fresh_lab, 8080))
    assert web.get().served
