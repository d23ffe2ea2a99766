"""Services that need others: who wakes first, who holds whom awake, and what becomes of failures."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lab import Lab
from tests.lab.applications import deaf, ends_at_once, web_server
from tests.lab.clients import ask, connect, get
from tests.lab.runtimes.docker import Docker
from tests.lab.services import AddService, Service
from tests.lab.traces import files_and_accounts
from tests.lab.waiting import eventually

ATTEMPTS_AT_MOST = 5  # in ten seconds: at 0, 1, 3 and 7 s, and one for luck


class Bare(Service):
    """A service without listeners."""

    @property
    def is_asleep(self) -> bool:
        """The container stopped, no process of ours, and the lease socket alone waiting."""
        return (
            not self.processes
            and not self.container_runs
            and self.active(self.units.lease) == "active"
            and {self.active(self.units.socket), self.active(self.units.supervisor)} == {"inactive"}
        )


AddNeeded = Callable[..., Bare]


@pytest.fixture
def needed(lab: Lab) -> AddNeeded:
    """Makes a container and a service for it that has no listener."""

    def add(name: str, *options: str, command: Sequence[str] = (), idle: str = "1s") -> Bare:
        lab.create(name, image="python", command=command or deaf())
        lab.run(["wakeport", "add", name, f"--idle={idle}", *options])
        return Bare(Docker(lab), name, name, 0)

    return add


Visit = Callable[[], socket.socket]


@pytest.fixture
def visit(lab: Lab) -> Iterator[Visit]:
    """Opens connections to port 80, which end with the test at the latest."""
    with ExitStack() as held:
        yield lambda: held.enter_context(connect(lab))


def events(lab: Lab, since: float, *kinds: str) -> list[tuple[str, str]]:
    """What Docker did, in its order: (action, container)."""
    command = ["events", f"--since={since:.6f}", f"--until={time.time():.6f}", "--format={{json .}}"]
    told = map(json.loads, lab.docker(*command, "--filter=type=container").splitlines())
    return [
        (event["Action"], event["Actor"]["Attributes"]["name"]) for event in told if event["Action"] in kinds
    ]


def holders(service: Service) -> list[str]:
    leases: list[dict[str, Any]] = service.status.get("leases", [])
    return sorted(lease["who"] for lease in leases if lease["busy"])


def test_two_databases_one_of_them_shared(needed: AddNeeded, service: AddService, visit: Visit) -> None:
    db = needed("db", "--ready=exec:test -e /tmp/ready", command=_ready_after(1))
    cache = needed("cache")
    app = service("app", "--needs=db", "--needs=cache", listen=80)
    other = service("other", "--needs=cache", listen=81)
    began = time.time()
    client = visit()
    ask(client)
    ready = time.time()
    [*first, last] = events(app.lab, began, "start")
    assert sorted(first) == [("start", "cache"), ("start", "db")]
    assert last == ("start", "app")
    db.reaches("awake")
    app.reaches("awake")
    awake_at = db.status["since"]
    assert began < awake_at < ready
    assert awake_at < app.status["since"]
    assert other.get().served
    eventually("each is held by who needs it", lambda: holders(db) == ["service app"])
    assert holders(cache) in (["service app", "service other"], ["service app"])
    other.falls_asleep()
    eventually("the count goes down", lambda: holders(cache) == ["service app"])
    assert app.container_runs
    assert db.container_runs
    code, said = _refused(app.lab, "sleep", "db")
    assert code == 5
    assert "service app" in said
    client.close()
    for one in (app, db, cache):
        one.falls_asleep()
    order = [name for _, name in events(app.lab, ready, "die") if name != "other"]
    assert order[0] == "app"


def _refused(lab: Lab, *command: str) -> tuple[int, str]:
    done = lab.run(["wakeport", *command], check=False)
    return done.returncode, done.stderr


def test_a_need_that_cannot_start(needed: AddNeeded, service: AddService, shape: str) -> None:
    db = needed("db", "--ready=exec:test -e /tmp/ready", command=ends_at_once())
    app = service("app", "--needs=db", shape=shape)
    reason = "service db, which it needs: the container exited with code 3 before it was ready"
    if shape == "wakeport":
        assert reason in app.get().body
    answers = app.crowd(200, over=3)
    assert all(answer.told_no for answer in answers), [str(one) for one in answers if not one.told_no][:5]
    assert not app.container_runs
    assert reason in app.lab.run(["wakeport", "status", "app"]).stdout
    for one in (app, db):
        tries = one.moments(one.units.supervisor, "the next attempt is made")
        assert 1 <= len(tries) <= ATTEMPTS_AT_MOST
    assert events(app.lab, app.added_at, "start").count(("start", "app")) == 0
    app.lab.docker("rm", "--force", "db")
    app.lab.create("db", image="python", command=_ready_after(0))
    for one in (app, db):
        eventually("the back-off is over", lambda one=one: one.is_asleep)  # type: ignore[misc]
    assert app.get().served
    app.falls_asleep()
    db.falls_asleep()


def test_a_need_that_is_slower_than_its_clients_deadline_alone(
    needed: AddNeeded, service: AddService, visit: Visit
) -> None:
    """The chain counts: app's own deadline is for app alone."""
    db = needed("db", "--ready=exec:test -e /tmp/ready", command=_ready_after(3))
    app = service("app", "--needs=db", "--ready-within=2s")
    client = visit()
    waits_for = "service db, which it needs and which waits for"
    eventually("it says for whom it waits", lambda: waits_for in str(app.status.get("waits_for")))
    ask(client)
    client.close()
    eventually("its wake is noted", lambda: app.status["last_wake"])
    assert app.status["last_wake"]["seconds"] > 2
    app.falls_asleep()
    db.falls_asleep()


def _ready_after(seconds: int) -> list[str]:
    return ["sh", "-c", f"trap exit TERM; sleep {seconds}; touch /tmp/ready; sleep 600 & wait"]


def test_supervisor_of_a_need_is_killed(needed: AddNeeded, service: AddService, visit: Visit) -> None:
    db = needed("db")
    app = service("app", "--needs=db", idle="1s")
    client = visit()
    ask(client)
    [before] = db.pids(db.units.supervisor)
    killed_at = time.time()
    assert db.kill(db.units.supervisor)
    eventually("its successor is there", lambda: db.pids(db.units.supervisor) not in ([], [before]))
    db.reaches("awake", after=killed_at)
    eventually("and held", lambda: db.status["state"] == "awake" and holders(db) == ["service app"])
    db.stays_awake(2.0)
    ask(client)
    assert events(app.lab, app.added_at, "start") == [("start", "db"), ("start", "app")]
    client.close()
    app.falls_asleep()
    db.falls_asleep()


def test_a_need_put_to_sleep_by_force_comes_back_with_the_next_client(
    needed: AddNeeded, service: AddService, visit: Visit
) -> None:
    db = needed("db")
    app = service("app", "--needs=db", idle="5s")
    client = visit()
    ask(client)
    app.lab.run(["wakeport", "sleep", "--force", "db"])
    db.falls_asleep()
    time.sleep(1.5)  # longer than any delay between two attempts to ask again
    assert db.is_asleep
    assert app.status["state"] == "awake"
    another = visit()
    ask(another)
    db.reaches("awake")
    eventually("it is held", lambda: holders(db) == ["service app"])
    another.close()
    client.close()
    app.falls_asleep()
    db.falls_asleep()


def test_supervisor_with_needs_takes_over_a_newer_command(
    needed: AddNeeded, service: AddService, visit: Visit
) -> None:
    db = needed("db", idle="1ms")
    cache = needed("cache", idle="1ms")
    app = service("app", "--needs=db", "--needs=cache")
    client = visit()
    ask(client)
    settings = app.lab.root / "etc/wakeport/app.toml"
    settings.write_text(settings.read_text().replace('idle = "2s"', 'idle = "3s"'))
    began = time.time()
    app.lab.run(["wakeport", "apply", "app"])
    eventually("it is the newer one", lambda: _says(app, "idle=3"))
    eventually("and says so", lambda: holders(app) and holders(db) == ["service app"])
    assert events(app.lab, began, "die", "start") == []
    settings.write_text(settings.read_text().replace('"db", "cache"', '"db"'))
    app.lab.run(["wakeport", "apply", "app"])
    cache.falls_asleep()
    eventually("it is held", lambda: holders(db) == ["service app"])
    client.close()
    app.falls_asleep()
    db.falls_asleep()


def _says(service: Service, word: str) -> bool:
    supervisors = service.pids(service.units.supervisor)
    return any(word in Path(f"/proc/{pid}/cmdline").read_text().split("\0") for pid in supervisors)


def test_service_without_listener_from_add_to_remove(lab: Lab) -> None:
    lab.create("db", image="python", command=deaf())
    before = files_and_accounts(lab)
    said = lab.run(["wakeport", "add", "db", "--idle=1s"]).stdout
    assert "`wakeport wake db` or a service that needs it wakes it" in said
    db = Bare(Docker(lab), "db", "db", 0)
    assert sorted(path.name for path in (lab.root / "etc/systemd/system").glob("wakeport-db*")) == [
        "wakeport-db-container.service",
        "wakeport-db-container.socket",
    ]
    assert "nothing wrong" in lab.run(["wakeport", "doctor"]).stdout
    assert lab.run(["wakeport", "diff"]).stdout == ""
    lab.run(["wakeport", "wake", "db"])
    assert db.container_runs
    db.falls_asleep()
    lab.run(["wakeport", "wake", "db"])
    lab.run(["wakeport", "sleep", "db"])
    assert not db.container_runs
    [report] = json.loads(lab.run(["wakeport", "status", "--json"]).stdout)
    assert (report["state"], report["failure"], report["listeners"]) == ("asleep", None, [])
    lab.run(["wakeport", "remove", "db"])
    assert files_and_accounts(lab) == before


def test_listeners_come_and_go(lab: Lab, visit: Visit) -> None:
    lab.create("web")
    lab.run(["wakeport", "add", "web", "--idle=1s"])
    web = Service(Docker(lab), "web", "web", 80)
    settings = lab.root / "etc/wakeport/web.toml"
    bare = settings.read_text()
    settings.write_text(bare + '\n[[listener]]\non = "80"\nto = 80\n')
    lab.run(["wakeport", "apply", "web"])
    assert web.get().served
    web.falls_asleep()
    client = visit()
    ask(client)
    settings.write_text(bare)
    lab.run(["wakeport", "apply", "web"])
    client.close()
    assert web.get().error == "ECONNREFUSED"
    assert list((lab.root / "etc/systemd/system").glob("*/wakeport-web.socket")) == []
    assert list((lab.root / "etc/systemd/system").glob("wakeport-web.s*")) == []
    assert web.active(web.units.socket) == "inactive"
    eventually("it sleeps", lambda: not web.container_runs)
    assert "nothing wrong" in lab.run(["wakeport", "doctor"]).stdout
    lab.run(["wakeport", "remove", "web"])


def test_circles_and_what_is_missing_are_refused(lab: Lab, needed: AddNeeded) -> None:
    needed("cache")
    needed("db", "--needs=cache")
    lab.create("web")
    code, said = _refused(lab, "add", "web", "--listen=80", "--needs=nope")
    assert code == 3
    assert "there is no service nope, which web needs" in said
    lab.run(["wakeport", "add", "web", "--listen=80", "--needs=db"])
    settings = lab.root / "etc/wakeport/cache.toml"
    settings.write_text('container = "cache"\nneeds = ["web"]\n')
    circle = "cache needs web, web needs db, db needs cache"
    for verb, name in (("apply", "cache"), ("check", "/etc/wakeport/cache.toml")):
        code, said = _refused(lab, verb, name)
        assert (code, circle in said) == (2, True), said
    code, said = _refused(lab, "remove", "db")
    assert code == 5
    assert "db is needed by web" in said


def test_needs_work_after_a_reboot(fresh_lab: Lab) -> None:
    fresh_lab.create("db", image="python", command=deaf())
    fresh_lab.run(["wakeport", "add", "db", "--idle=1s"])
    fresh_lab.create("app", image="python", command=web_server())
    fresh_lab.run(["wakeport", "add", "app", "--listen=80=80", "--idle=1s", "--needs=db"])
    app, db = Service(Docker(fresh_lab), "app", "app", 80), Bare(Docker(fresh_lab), "db", "db", 0)
    assert get(fresh_lab).served
    fresh_lab.reboot()
    assert app.is_asleep
    assert db.is_asleep
    assert get(fresh_lab).served
    assert db.container_runs
    app.falls_asleep()
    db.falls_asleep()


def test_supervisor_of_the_one_that_needs_is_killed(
    needed: AddNeeded, service: AddService, visit: Visit
) -> None:
    """Its container runs on, and what it needs is held again before it can sleep."""
    db = needed("db", idle="3s")
    app = service("app", "--needs=db")
    client = visit()
    ask(client)
    [before] = app.pids(app.units.supervisor)
    assert app.kill(app.units.supervisor)
    eventually("its successor is there", lambda: app.pids(app.units.supervisor) not in ([], [before]))
    eventually("and holds", lambda: app.status["state"] == "awake" and holders(db) == ["service app"])
    ask(client)
    assert events(app.lab, app.added_at, "start", "die") == [("start", "db"), ("start", "app")]
    client.close()
    app.falls_asleep()
    db.falls_asleep()


def test_wake_and_sleep_by_hand_take_the_needs_along(needed: AddNeeded, service: AddService) -> None:
    cache = needed("cache")
    db = needed("db", "--needs=cache")
    app = service("app", "--needs=db")
    began = time.time()
    app.lab.run(["wakeport", "wake", "app"])
    assert events(app.lab, began, "start") == [("start", "cache"), ("start", "db"), ("start", "app")]
    app.lab.run(["wakeport", "sleep", "app"])
    for one in (app, db, cache):
        one.falls_asleep()
    assert events(app.lab, began, "die") == [("die", "app"), ("die", "db"), ("die", "cache")]
