"""What `wakeport apply` and `remove` change, and what they leave alone; seen from outside, by connecting."""

from __future__ import annotations

import pytest

from lab import Lab
from tests.lab.clients import accepts, ask, connect, get, trickle
from tests.lab.services import AddService, Service
from tests.lab.traces import files_and_accounts
from tests.lab.waiting import eventually


def edit(service: Service, before: str, after: str) -> None:
    """As a person does with an editor."""
    settings = service.lab.root / f"etc/wakeport/{service.name}.toml"
    text = settings.read_text()
    assert before in text
    settings.write_text(text.replace(before, after))


def apply(service: Service) -> str:
    return service.lab.run(["wakeport", "apply", service.name]).stdout


@pytest.mark.parametrize("awake", [False, True], ids=["asleep", "awake"])
def test_a_changed_listener(service: AddService, awake: bool) -> None:
    web = service(idle="3s")
    if awake:
        assert web.get().served
    edit(web, 'on = "80"', 'on = "81"')
    assert "applied" in apply(web)
    assert not accepts(web.lab, 80)
    assert get(web.lab, 81).served
    web.falls_asleep()
    assert not accepts(web.lab, 80)
    assert get(web.lab, 81).served


def test_a_second_listener_and_a_socket_path(service: AddService) -> None:
    web = service()
    more = '[[listener]]\non = "127.0.0.1:8080"\nto = 80\n\n[[listener]]\non = "/run/web.sock"\nto = 80\n\n'
    edit(web, "[[listener]]", f"{more}[[listener]]")
    apply(web)
    assert get(web.lab, 80).served
    assert get(web.lab, 8080).served
    page = web.lab.run(["curl", "--silent", "--unix-socket", "/run/web.sock", "http://web/"]).stdout
    assert page.startswith("<!doctype html>")


def test_another_container_under_a_trickle_of_clients(service: AddService) -> None:
    """A client started the supervisor again before systemd knew of the new one: the old container stayed."""
    web = service()
    containers = ["web2", "web"]
    web.lab.create("web2")
    edit(web, "[[listener]]", 'container = "web"\n[[listener]]')
    with trickle(web.lab, every=0.02) as answers:
        for new, old in zip(containers, reversed(containers), strict=True):
            assert web.get().served
            edit(web, f'container = "{old}"', f'container = "{new}"')
            apply(web)
            assert web.get().served
            assert web.lab.docker("ps", "--format={{.Names}}") == new
    assert all(answer.served or answer.error == "ECONNRESET" for answer in answers)


def test_a_listener_that_is_taken_leaves_everything_as_it_was(service: AddService) -> None:
    web, _other = service(), service("other", listen=81)
    units = web.lab.root / "etc/systemd/system/wakeport-web.socket"
    before = units.read_text()
    edit(web, 'on = "80"', 'on = "81"')
    refused = web.lab.run(["wakeport", "apply", "web"], check=False)
    assert refused.returncode == 5
    assert "81" in refused.stderr
    assert units.read_text() == before
    assert web.get().served


def test_another_idle_time_counts_at_once_and_cuts_nobody(service: AddService) -> None:
    web = service(idle="1h")
    with connect(web.lab) as client:
        ask(client)
        supervisor = web.pids(web.units.supervisor)
        edit(web, 'idle = "1h"', 'idle = "2s"')
        apply(web)
        assert ask(client).startswith("<!doctype html>")
        assert web.pids(web.units.supervisor) == supervisor
    web.falls_asleep()


def test_drop_ins_of_a_person_survive(service: AddService) -> None:
    web = service()
    for unit in web.units[:4]:
        section = "Socket" if unit.endswith(".socket") else "Service"
        web.drop_in(unit, f"[{section}]\nNice=7\n")
    edit(web, 'idle = "2s"', 'idle = "3s"')
    assert "applied" in apply(web)
    for unit in web.units[:4]:
        shown = web.lab.run(["systemctl", "show", "--value", "--property=Nice", unit]).stdout
        assert shown.strip() == "7", unit
    assert web.get().served


@pytest.mark.parametrize("woken", [False, True], ids=["never woken", "awake"])
def test_add_and_remove_leave_the_machine_as_it_was(lab: Lab, service: AddService, woken: bool) -> None:
    before = files_and_accounts(lab)
    web = service()
    assert len(files_and_accounts(lab)) > len(before) + 10
    if woken:
        assert web.get().served
    lab.run(["wakeport", "remove", "web"])
    eventually("nothing of it runs", lambda: not web.processes)
    assert not web.container_runs
    assert files_and_accounts(lab) == before
    assert not accepts(lab, 80)
    left = lab.run(["systemctl", "list-units", "--all", "--plain", "--no-legend", "wakeport-*"]).stdout
    assert left == ""
    assert lab.docker("ps", "--all", "--format={{.Names}}") == "web"


def test_what_was_removed_can_be_added_again(service: AddService) -> None:
    web = service()
    assert web.get().served
    web.lab.run(["wakeport", "remove", "web"])
    web.lab.run(["wakeport", "add", "web", "--listen=80"])
    assert web.get().served
