from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.containers import NEVER_STARTED
from wakeport import facts
from wakeport.cli.root import wakeport
from wakeport.cli.telling import run
from wakeport.layout import Layout
from wakeport.runtimes.docker.container import Inspected


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Every verb finds its files below a directory of the test, and a container of every name."""
    found = Layout(tmp_path)
    monkeypatch.setattr("wakeport.cli.root.Layout", lambda **_: found)
    monkeypatch.setattr(facts, "container", lambda *_: Inspected(NEVER_STARTED))
    monkeypatch.setattr(facts, "image", lambda *_: None)
    found.units.mkdir(parents=True)
    found.configuration.mkdir(parents=True)
    return found


def write(layout: Layout, name: str, text: str) -> None:
    layout.settings(name).write_text(text)


ADD = ["add", "web", "--listen", "1.2.3.4:80", "--dry-run"]


EACH = ["--mode", "per-connection", "--image", "shell"]


@pytest.mark.parametrize(
    ("arguments", "code", "fact"),
    [
        (["nope"], 2, "No such command 'nope'"),
        (["add", "web", "--needs", "db"], 3, "there is no service db, which web needs"),
        (["add", "web", "--needs", "web"], 2, "each waits for the next: web needs web"),
        (["add", "web", "--needs", "a b"], 2, "needs[0]: 'a b' cannot be the name of a service"),
        (["add", "web", "--needs", "db", "--needs", "db"], 2, "needs: 'db' stands there twice"),
        (["add", "a b", "--listen", "80"], 2, "'a b' cannot be the name"),
        (["add", "a\n[Service]", "--listen", "80"], 2, r"'a\n[Service]' cannot be the name"),
        (["add", "web-container", "--listen", "80"], 2, "'web-container' cannot be the name"),
        ([*ADD, "--idle", "ten"], 2, "idle: 'ten' is not a time span"),
        ([*ADD, "--ready", "exec:a\nb"], 2, "ready: "),
        ([*ADD, "--container", "a;b"], 2, "container: 'a;b'"),
        ([*ADD, "--proxy", "x"], 2, "proxy: 'x' is no proxy"),
        ([*ADD, "--listen", "/x%\n"], 2, "--listen: "),
        ([*ADD, "--image", "x"], 2, "image: it says nothing where all share a container"),
        ([*ADD, "--mode", "per-connection"], 2, "image: is missing"),
        ([*ADD, *EACH, "--runtime", "unit"], 2, "runtime: docker and podman and nspawn alone can do that"),
        ([*ADD, *EACH, "--idle", "5s"], 2, "idle: each container ends with its connection"),
        (["status", "web"], 3, "there is no service web"),
        (["history", "web"], 3, "there is no service web"),
        (["history", "--since", "ten"], 2, "'ten' is no point in time"),
        (["remove", "web"], 3, "there is no service web"),
        (["keep", "web"], 3, "there is no service web"),
        (["release", "web"], 3, "there is no service web"),
        (["add", "web-keep", "--listen", "80"], 2, "'web-keep' cannot be the name"),
        (["remove", "../x"], 2, "'../x' cannot be the name"),
        (["check", "/nowhere/x.toml"], 3, "there is no file"),
    ],
)
def test_an_error_is_two_lines_and_a_code(
    layout: Layout, capfd: pytest.CaptureFixture[str], arguments: list[str], code: int, fact: str
) -> None:
    before = sorted(layout.root.rglob("*"))
    assert run(wakeport, arguments) == code
    out, err = capfd.readouterr()
    what_is, what_to_do = err.splitlines()
    assert what_is.startswith(f"wakeport: {fact}")
    assert what_to_do.startswith("  ")
    assert out == ""
    assert sorted(layout.root.rglob("*")) == before


def test_add_prints_what_it_would_write(layout: Layout, capfd: pytest.CaptureFixture[str]) -> None:
    before = sorted(layout.root.rglob("*"))
    assert run(wakeport, [*ADD, "--idle", "90"]) == 0
    out = capfd.readouterr().out
    assert "+++ /etc/wakeport/web.toml\n" in out
    assert '+idle = "1min 30s"\n' in out
    assert "+to = 80\n" in out, "what was found out is written down"
    assert "+++ /etc/systemd/system/wakeport-web.socket\n" in out
    assert sorted(layout.root.rglob("*")) == before


@pytest.mark.usefixtures("layout")
def test_add_takes_udp_and_paths_on_both_sides(capfd: pytest.CaptureFixture[str]) -> None:
    places = ["1.2.3.4:53/udp=5353", "/run/a.sock", "1.2.3.4:81=/run/app/b.sock"]
    listens = [word for place in places for word in ("--listen", place)]
    assert run(wakeport, ["add", "web", *listens, "--dry-run"]) == 0
    out = capfd.readouterr().out
    assert '+on = "1.2.3.4:53/udp"\n+to = 5353\n' in out
    assert '+on = "/run/a.sock"\n+to = 80\n' in out
    assert '+on = "1.2.3.4:81"\n+to = "/run/app/b.sock"\n' in out
    assert "target=5353/udp target=80/tcp target=/run/app/b.sock\n" in out


def test_a_container_for_each_connection_is_added_and_checked(
    layout: Layout, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(wakeport, [*ADD, *EACH, "--command", "cat -n"]) == 0
    out = capfd.readouterr().out
    assert '+mode = "per-connection"\n+image = "shell"\n+command = "cat -n"\n' in out
    assert "+++ /etc/systemd/system/wakeport-web@.service\n" in out
    assert "-container.service" not in out
    write(layout, "api", 'mode = "per-connection"\nimage = "shell"\n[[listener]]\non = "81"\n')
    assert run(wakeport, ["check", str(layout.settings("api"))]) == 0
    assert "is fine: each connection to 81 gets a container of shell" in capfd.readouterr().out
    # It has no container of its name, so that one may be another's; and no container that another could need.
    assert run(wakeport, [*ADD, "--container", "api"]) == 0
    assert run(wakeport, [*ADD, "--needs", "api"]) == 2
    assert "api gives each connection a container" in capfd.readouterr().err
    write(layout, "db", 'needs = ["api"]\n')
    assert run(wakeport, ["apply", "--dry-run", "api"]) == 5
    assert "api is needed by db" in capfd.readouterr().err


@pytest.mark.parametrize("verb", ["wake", "sleep", "keep", "release"])
def test_what_gives_each_connection_a_container_neither_wakes_nor_sleeps(
    layout: Layout, capfd: pytest.CaptureFixture[str], verb: str
) -> None:
    write(layout, "api", 'mode = "per-connection"\nimage = "shell"\n[[listener]]\non = "81"\n')
    assert run(wakeport, [verb, "api"]) == 2
    assert "api gives each connection a container of its own" in capfd.readouterr().err


def test_add_refuses_what_another_service_holds(layout: Layout, capfd: pytest.CaptureFixture[str]) -> None:
    write(layout, "api", '[[listener]]\non = "80"\nto = 80\n')
    assert run(wakeport, ADD) == 5
    assert "port 1.2.3.4:80 belongs to the service api" in capfd.readouterr().err
    write(layout, "web", "")
    assert run(wakeport, ADD) == 5
    assert "there is a service web already" in capfd.readouterr().err


def test_add_refuses_a_container_that_another_service_wakes(
    layout: Layout, capfd: pytest.CaptureFixture[str]
) -> None:
    write(layout, "api", 'container = "web"\n[[listener]]\non = "81"\nto = 80\n')
    assert run(wakeport, ADD) == 5
    assert "container web is the service api's already" in capfd.readouterr().err


def test_add_refuses_health_without_a_healthcheck(layout: Layout, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(wakeport, [*ADD, "--ready", "health"]) == 2
    assert "has no HEALTHCHECK" in capfd.readouterr().err
    assert not layout.settings("web").exists()


def test_add_refuses_an_ambiguous_target(
    layout: Layout, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    two = {**NEVER_STARTED, "Config": {"ExposedPorts": {"80/tcp": {}, "443/tcp": {}}}}
    monkeypatch.setattr(facts, "container", lambda *_: Inspected(two))
    assert run(wakeport, ADD) == 2
    assert capfd.readouterr().err.endswith("  say it: --listen 1.2.3.4:80=80\n")
    assert not layout.settings("web").exists()


def test_diff_exits_1_where_units_differ(layout: Layout, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(wakeport, ["diff"]) == 0
    write(layout, "web", '[[listener]]\non = "80"\nto = 80\n')
    assert run(wakeport, ["diff"]) == 1
    assert "+ListenStream=80\n" in capfd.readouterr().out


def test_units_prints_and_writes_nothing(layout: Layout, capfd: pytest.CaptureFixture[str]) -> None:
    write(layout, "web", '[[listener]]\non = "80"\nto = 80\n')
    assert run(wakeport, ["units", "web"]) == 0
    assert capfd.readouterr().out.count("\n# /etc/systemd/system/") == 3
    assert list(layout.units.iterdir()) == []


def test_check(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "web.toml").write_text('[[listener]]\non = "80"\n')
    assert run(wakeport, ["check", str(tmp_path / "web.toml")]) == 0
    (tmp_path / "web.toml").write_text('[[listener]]\non = "80"\nfoo = 1\n')
    assert run(wakeport, ["check", str(tmp_path / "web.toml")]) == 2
    assert "web.toml: listener[0].foo: there is no such key" in capfd.readouterr().err


def test_a_traceback_only_with_debug(layout: Layout, capfd: pytest.CaptureFixture[str]) -> None:
    assert layout
    run(wakeport, ["status", "web"])
    assert "Traceback" not in capfd.readouterr().err
    run(wakeport, ["--debug", "status", "web"])
    assert "Traceback" in capfd.readouterr().err


def test_help_needs_no_system() -> None:
    assert run(wakeport, ["--help"]) == 0
    assert run(wakeport, ["add", "--help"]) == 0
    assert run(wakeport, ["--version"]) == 0


@pytest.mark.parametrize("needless", ["rich", "wakeport.install", "asyncio"])
def test_a_verb_imports_only_what_it_needs(needless: str) -> None:
    program = (
        "import sys; from wakeport.cli.root import wakeport; wakeport.get_command(None, 'status');"
        f"sys.exit({needless!r} in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


GOOD = '[[listener]]\non = "1.2.3.4:80"\nto = 80\n'


@pytest.mark.parametrize("verb", [["apply", "--dry-run"], ["diff"]])
def test_broken_settings_keep_no_other_service_from_its_turn(
    layout: Layout, capfd: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    write(layout, "broken", "[[")
    write(layout, "web", GOOD)
    assert run(wakeport, verb) == 2
    out, err = capfd.readouterr()
    assert "broken.toml is not TOML" in err
    assert "wakeport-web.socket" in out


def test_apply_by_name_sees_the_other_services_too(layout: Layout, capfd: pytest.CaptureFixture[str]) -> None:
    write(layout, "web", GOOD)
    write(layout, "other", 'container = "web"\n[[listener]]\non = "1.2.3.4:81"\nto = 80\n')
    assert run(wakeport, ["apply", "--dry-run", "other"]) == 5
    out, err = capfd.readouterr()
    assert "container web is the service web's already" in err
    assert out == ""


def test_add_without_a_listener_writes_two_units(layout: Layout, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(wakeport, ["add", "db", "--dry-run"]) == 0
    out = capfd.readouterr().out
    assert out.count("+++ /etc/systemd/system/") == 2
    assert "[[listener]]" not in out
    write(layout, "db", "")
    assert run(wakeport, [*ADD, "--needs", "db"]) == 0
    out = capfd.readouterr().out
    assert '+needs = ["db"]\n' in out
    assert "+Wants=wakeport-db-container.socket\n" in out
    assert " ready_within=180 " in out
    assert "needs=/run/wakeport/db.lease" in out


CIRCLE = "each waits for the next: web needs db, db needs cache, cache needs web"


@pytest.mark.parametrize("arguments", [["apply", "--dry-run", "web"], ["check"], [*ADD, "--needs", "db"]])
def test_a_circle_is_refused_by_its_names(
    layout: Layout, capfd: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    write(layout, "db", 'container = "c1"\nneeds = ["cache"]\n')
    write(layout, "cache", 'container = "c2"\nneeds = ["web"]\n')
    if arguments[0] != "add":
        write(layout, "web", 'needs = ["db"]\n')
    files = [str(layout.settings("web"))] if arguments == ["check"] else []
    assert run(wakeport, [*arguments, *files]) == 2
    assert CIRCLE in capfd.readouterr().err
    assert run(wakeport, ["diff"]) == 1, "what stands there is still shown"


def test_check_does_not_ask_whether_a_need_is_there(tmp_path: Path) -> None:
    (tmp_path / "web.toml").write_text('needs = ["elsewhere"]\n')
    assert run(wakeport, ["check", str(tmp_path / "web.toml")]) == 0


def test_apply_brings_what_is_needed_first(layout: Layout, capfd: pytest.CaptureFixture[str]) -> None:
    write(layout, "app", 'container = "c1"\nneeds = ["db"]\n')
    write(layout, "db", 'container = "c2"\n')
    assert run(wakeport, ["apply", "--dry-run"]) == 0
    out = capfd.readouterr().out
    assert out.index("wakeport-db-container.socket\n") < out.index("/wakeport-app-container.socket\n")


def test_remove_refuses_what_another_needs(layout: Layout, capfd: pytest.CaptureFixture[str]) -> None:
    write(layout, "db", 'container = "c1"\n')
    write(layout, "web", 'needs = ["db"]\n')
    write(layout, "api", 'container = "c2"\nneeds = ["db"]\n')
    assert run(wakeport, ["remove", "db"]) == 5
    assert "db is needed by api and web" in capfd.readouterr().err
    assert layout.settings("db").exists()
