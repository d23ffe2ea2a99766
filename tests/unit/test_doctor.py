from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.containers import NEVER_STARTED
from wakeport import doctor, listener, programs, units
from wakeport.install import files
from wakeport.layout import Layout
from wakeport.runtimes.docker.container import Inspected
from wakeport.service import Service, build
from wakeport.units import Facts

FACTS = Facts(
    "/usr/local/lib/wakeport/0.1.0-1", "0.1.0", ("80/tcp",), 10, "/lib/systemd/systemd-socket-proxyd"
)
HERE = Layout()
WEB = build("web", {"listener": [{"on": "80", "to": 80}]})


def container(config: dict[str, Any] | None = None, host: dict[str, Any] | None = None) -> Inspected:
    changed = {
        "Config": {**NEVER_STARTED["Config"], **(config or {})},
        "HostConfig": {**NEVER_STARTED["HostConfig"], **(host or {})},
    }
    return Inspected({**NEVER_STARTED, **changed})


def web(**settings: Any) -> Service:
    return build("web", {"listener": [{"on": "80", "to": 80}], **settings})


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(tmp_path)
    for name, text in units.units(WEB, FACTS).items():
        files.write(found.unit(name), text.encode())
    return found


@pytest.mark.parametrize("policy", ["always", "unless-stopped"])
def test_a_restart_policy_that_fights(policy: str) -> None:
    [found] = doctor.starts_at_boot(HERE, WEB, container(host={"RestartPolicy": {"Name": policy}}))
    assert found.hint == "docker update --restart=no web"
    assert doctor.starts_at_boot(HERE, WEB, container(host={"RestartPolicy": {"Name": "on-failure"}})) == []


@pytest.mark.parametrize(
    ("host", "clashes"),
    [
        ({"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "80"}]}}, True),
        ({"PortBindings": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}]}}, True),
        ({"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "80"}]}}, True),
        ({"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}}, False),
        ({"PortBindings": {"53/udp": [{"HostIp": "", "HostPort": "80"}]}}, False),
        ({"PortBindings": {"80/udp": [{"HostIp": "", "HostPort": "80"}]}}, False),
        ({"NetworkMode": "host"}, True),
        ({}, False),
    ],
)
def test_a_published_port_that_clashes(host: dict[str, Any], clashes: bool) -> None:
    found = doctor.published_ports(HERE, WEB, container(host=host))
    assert bool(found) is clashes
    assert all("80" in one.fact and "web" in one.fact for one in found)


def test_a_published_port_clashes_with_its_own_protocol_only() -> None:
    dns = web(listener=[{"on": "53", "to": 53}, {"on": "127.0.0.1:5353/udp", "to": 53}])
    published = {"53/udp": [{"HostIp": "", "HostPort": "5353"}], "80/udp": [{"HostIp": "", "HostPort": "53"}]}
    [found] = doctor.published_ports(HERE, dns, container(host={"PortBindings": published}))
    assert "publishes port 5353/udp itself" in found.fact
    assert "without -p 5353:53/udp" in found.hint
    host = container(host={"NetworkMode": "host"})
    [found] = doctor.published_ports(HERE, dns, host)
    assert "own port 53," in found.fact
    assert doctor.published_ports(HERE, web(listener=[{"on": "53/udp", "to": 53}]), host)


def test_a_container_without_a_network_may_answer_on_a_path() -> None:
    lonely = container(host={"NetworkMode": "none"})
    assert doctor.network(HERE, WEB, lonely)
    assert doctor.network(HERE, web(listener=[{"on": "80", "to": "/run/a"}]), lonely) == []
    assert doctor.network(HERE, web(listener=[{"on": "80", "to": "/run/a"}, {"on": "81", "to": 80}]), lonely)


def test_a_socket_behind_a_listener_that_the_proxy_may_not_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "HIDDEN", ())
    path = tmp_path / "app.sock"
    one = web(listener=[{"on": "80", "to": str(path)}])
    assert doctor.named_on_the_host(HERE, one) == [], "the container makes it when it wakes"
    path.touch()
    path.chmod(0o660)
    [found] = doctor.named_on_the_host(HERE, one)
    assert f"may not connect to {path}" in found.fact
    path.chmod(0o666)
    assert doctor.named_on_the_host(HERE, one) == []


def test_who_and_what_the_listeners_name_is_there() -> None:
    owned = {"on": "/run/a", "to": 80, "owner": "root:root"}
    assert doctor.named_on_the_host(HERE, web(listener=[owned])) == []
    assert doctor.named_on_the_host(HERE, web(listener=[{**owned, "owner": "4711:4711"}])) == []
    [user, group] = doctor.named_on_the_host(HERE, web(listener=[{**owned, "owner": "nouser-x:nogroup-x"}]))
    assert "no user nouser-x" in user.fact
    assert "no group nogroup-x" in group.fact
    [page] = doctor.named_on_the_host(
        HERE, web(listener=[{"on": "80", "page": "on", "page_file": "/srv/none-x"}])
    )
    assert "no file /srv/none-x" in page.fact


def test_trust_in_everybody_is_a_remark() -> None:
    [found] = doctor.trust(web(listener=[{"on": "80", "accept_proxy": ["10.0.0.1", "0.0.0.0/0"]}]))
    assert "(0.0.0.0/0)" in found.fact
    assert not found.wrong


def test_what_stands_inside_tls_is_not_seen() -> None:
    rules = [{"host": "a", "then": "wake"}, {"then": "close"}]
    [found] = doctor.seen_in_the_clear(
        web(listener=[{"on": "443", "rule": rules}, {"on": "80", "rule": rules}])
    )
    assert '"443" looks like TLS, in which host' in found.fact
    assert not found.wrong
    named = [{"server_name": "a", "then": "wake"}, {"then": "close"}]
    assert doctor.seen_in_the_clear(web(listener=[{"on": "443", "rule": named}])) == []
    assert doctor.seen_in_the_clear(web(listener=[{"on": "443", "page": "on"}]))


def test_a_container_that_its_first_sleep_would_remove() -> None:
    assert len(doctor.removal(HERE, WEB, container(host={"AutoRemove": True}))) == 1
    assert doctor.removal(HERE, WEB, container()) == []


def test_no_readiness_to_be_had() -> None:
    healthy = container({"Healthcheck": {"Test": ["CMD", "true"]}})
    assert len(doctor.readiness(web(ready="health"), container())) == 1
    assert doctor.readiness(web(ready="health"), healthy) == []
    assert doctor.readiness(WEB, container()) == []


def test_a_target_that_the_image_does_not_expose() -> None:
    [found] = doctor.exposed(web(listener=[{"on": "80", "to": 81}]), container())
    assert not found.wrong
    assert doctor.exposed(WEB, container()) == []
    both = container({"ExposedPorts": {"80/tcp": {}, "53/udp": {}}})
    [found] = doctor.exposed(web(listener=[{"on": "53/udp", "to": 80}, {"on": "81", "to": "/run/a"}]), both)
    assert 'exposes 53/udp, and "53/udp" leads to 80' in found.fact
    assert doctor.exposed(WEB, container({"ExposedPorts": None})) == []


def test_units_as_they_should_be(layout: Layout) -> None:
    assert doctor.unit_files(layout, WEB, FACTS) == []


def test_units_missing_edited_foreign_and_out_of_date(layout: Layout) -> None:
    missing, edited, foreign, stale = units.names("web")[:4]
    layout.unit(missing).unlink()
    text = layout.unit(edited).read_text()
    layout.unit(edited).write_text(text.replace("[Service]", "[Service]\nNice=5"))
    layout.unit(foreign).write_text("[Unit]\n")
    old = units.units(WEB, FACTS._replace(programs="/usr/local/lib/wakeport/0.0.9-1"))
    layout.unit(stale).write_text(old[stale])
    facts = {one.fact.rpartition("/")[2] for one in doctor.unit_files(layout, WEB, FACTS)}
    assert facts == {
        "wakeport-web.socket is missing",
        "wakeport-web.service was edited by hand",
        "wakeport-web-container.socket is not wakeport's",
        "wakeport-web-container.service is out of date",
    }


def test_units_of_windows_that_the_settings_no_longer_have(layout: Layout) -> None:
    kept = web(keep="08:00-18:00")
    assert {one.fact.partition(" ")[2] for one in doctor.unit_files(layout, kept, FACTS)} == {"is missing"}
    for name, text in units.units(kept, FACTS).items():
        files.write(layout.unit(name), text.encode())
    assert doctor.unit_files(layout, kept, FACTS) == []
    assert [one.fact for one in doctor.unit_files(layout, WEB, FACTS)] == [
        "wakeport-web-keep.timer is not asked for any more",
        "wakeport-web-keep.service is not asked for any more",
    ]


def test_a_timer_that_does_not_run_and_a_keeper_that_need_not() -> None:
    loaded = {"LoadState": "loaded", "ActiveState": "inactive", "UnitFileState": "enabled"}
    states = {"wakeport-web-keep.timer": loaded, "wakeport-web-keep.service": loaded}
    [found] = doctor.what_waits(WEB, states)
    assert found.fact == "wakeport-web-keep.timer does not run"
    assert found.hint == "systemctl start wakeport-web-keep.timer"
    [found] = doctor.what_waits(WEB, {"wakeport-web-keep.service": {**loaded, "UnitFileState": "disabled"}})
    assert found.fact == "wakeport-web-keep.service will not run after a reboot"


def test_units_without_settings(layout: Layout) -> None:
    [found] = doctor.orphans(layout)
    assert found.hint == "sudo wakeport remove web"
    files.write(layout.settings("web"), b"")
    assert doctor.orphans(layout) == []


@pytest.mark.parametrize(
    ("state", "fact"),
    [
        (
            {"LoadState": "loaded", "ActiveState": "failed", "Result": "trigger-limit-hit"},
            "has failed (trigger-limit-hit)",
        ),
        ({"LoadState": "loaded", "ActiveState": "inactive"}, "does not listen"),
        ({"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "disabled"}, "after a reboot"),
    ],
)
def test_a_socket_that_does_not_do_its_work(state: dict[str, str], fact: str) -> None:
    [found] = doctor.what_waits(WEB, {"wakeport-web.socket": state})
    assert fact in found.fact


def test_a_proxy_that_cannot_start() -> None:
    assert len(doctor.proxy_runs(WEB, {"wakeport-web.service": {"SubState": "auto-restart"}})) == 1
    assert doctor.proxy_runs(WEB, {"wakeport-web.service": {"SubState": "running"}}) == []


def test_drop_ins_are_a_remark() -> None:
    [found] = doctor.drop_ins(
        WEB, {"wakeport-web.service": {"DropInPaths": "/etc/x.conf"}, "wakeport-web.socket": {}}
    )
    assert not found.wrong


def test_the_last_wake_failed() -> None:
    [found] = doctor.last_failure(WEB, {"state": "failed", "failure": {"reason": "it exited with 1"}})
    assert "it exited with 1" in found.fact
    assert doctor.last_failure(WEB, {}) == []


def test_limits(tmp_path: Path) -> None:
    limits, somaxconn = tmp_path / "limits", tmp_path / "somaxconn"
    limits.write_text(
        "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 20000  files\n"
    )
    somaxconn.write_text("128\n")
    assert "20000" in doctor.descriptors(limits)[0].fact
    assert "128" in doctor.backlog(somaxconn)[0].fact
    limits.write_text("Max open files            1024                 524288               files\n")
    somaxconn.write_text("4096\n")
    assert doctor.descriptors(limits) == doctor.backlog(somaxconn) == doctor.backlog(tmp_path / "none") == []


def test_programs_that_somebody_edited(layout: Layout) -> None:
    copy = layout.programs / programs.directory_name({"a.py": b"1"})
    files.write(copy / "a.py", b"1")
    assert doctor.copies(layout) == []
    files.write(copy / "a.py", b"2")
    assert "edited" in doctor.copies(layout)[0].fact


def test_an_old_systemd() -> None:
    assert doctor.systemd_version(252) == []
    assert "245" in doctor.systemd_version(245)[0].fact


def test_needs_that_can_never_be_met(layout: Layout) -> None:
    db = build("db", {"needs": ["web"]})
    [missing] = doctor.needed_services(layout, web(needs=["gone"]), [db])
    assert (missing.fact, missing.wrong) == ("there is no service gone, which web needs", True)
    files.write(layout.settings("db"), b'needs = ["web"]')
    [circle] = doctor.needed_services(layout, web(needs=["db"]), [db])
    assert "web needs db, db needs web" in circle.fact


def test_units_of_a_listener_that_is_gone(layout: Layout) -> None:
    found = doctor.unit_files(layout, build("web", {}), FACTS)
    left = [one.fact for one in found if "not asked for" in one.fact]
    assert left == [
        "wakeport-web.socket is not asked for any more",
        "wakeport-web.service is not asked for any more",
    ]
