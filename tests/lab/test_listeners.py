"""Every kind of listener as systemd holds it after `add` and `apply`, seen by ss(8) and stat(2)."""

from __future__ import annotations

import time

import pytest

from lab import Lab
from tests.lab.clients import ask, connect
from tests.lab.services import AddService, Service
from tests.lab.test_apply import apply, edit

UDP = '[[listener]]\non = "53/udp"\nto = 53\n\n'
UNIX = '[[listener]]\non = "/run/web.sock"\nto = 80\nmode = "0620"\nowner = "daemon:adm"\n\n'

OF_SYSTEMD = '("systemd",pid=1,'


def held_ports(lab: Lab) -> set[str]:
    """The ports that the lab's systemd holds, as in "udp 53". A unit's own state would lie."""
    lines = map(str.split, lab.run(["ss", "-Hlntup"]).stdout.splitlines())
    return {f"{words[0]} {words[4].rpartition(':')[2]}" for words in lines if OF_SYSTEMD in words[-1]}


def mode_and_owner(lab: Lab, path: str) -> str:
    return lab.run(["stat", "--format=%a %U:%G", path]).stdout.strip()


def page_for(user: str, service: Service) -> str:
    command = ["curl", "--silent", "--unix-socket", "/run/web.sock", "http://web/"]
    return service.lab.run(command, check=False, user=user).stdout


@pytest.mark.parametrize("awake", [False, True], ids=["asleep", "awake"])
def test_from_tcp_to_tcp_udp_and_unix_and_back(service: AddService, awake: bool) -> None:
    web = service(idle="1h")
    if awake:
        assert web.get().served
    assert held_ports(web.lab) == {"tcp 80"}
    edit(web, "[[listener]]", f"{UDP}{UNIX}[[listener]]")
    assert "applied" in apply(web)
    assert held_ports(web.lab) == {"tcp 80", "udp 53"}
    assert mode_and_owner(web.lab, "/run/web.sock") == "620 daemon:adm"
    assert apply(web) == "web: nothing to change\n"
    edit(web, f"{UDP}{UNIX}", "")
    assert "applied" in apply(web)
    assert held_ports(web.lab) == {"tcp 80"}
    assert not (web.lab.root / "run/web.sock").exists()
    assert web.get().served


def test_a_socket_s_mode_and_owner_follow_the_settings(service: AddService) -> None:
    """daemon-reload alone leaves a socket with the mode that it was opened with."""
    web = service()
    edit(web, "[[listener]]", f"{UNIX}[[listener]]")
    apply(web)
    edit(web, 'mode = "0620"\nowner = "daemon:adm"', 'owner = ":daemon"')
    apply(web)
    assert mode_and_owner(web.lab, "/run/web.sock") == "660 root:daemon"
    for user, served in (("root", True), ("daemon", True), ("nobody", False)):
        assert page_for(user, web).startswith("<!doctype html>") is served, user
    edit(web, 'owner = ":daemon"\n', "")
    apply(web)
    assert mode_and_owner(web.lab, "/run/web.sock") == "666 root:root"
    assert page_for("nobody", web).startswith("<!doctype html>")


def test_add_holds_a_udp_port_and_says_so(lab: Lab) -> None:
    lab.create("dns", "--expose=53/udp", "--publish=5353:53/udp")
    said = lab.run(["wakeport", "add", "dns", "--listen=53/udp", "--listen=53=53"]).stdout
    assert said == "dns is asleep; the first connection or datagram to port 53/udp, port 53 wakes it\n"
    assert held_ports(lab) == {"tcp 53", "udp 53"}
    assert ":53/udp :53  asleep" in lab.run(["wakeport", "status"]).stdout
    assert (lab.root / "etc/wakeport/dns.toml").read_text().count("to = 53\n") == 2
    lab.run(["wakeport", "doctor", "dns"])
    lab.run(["wakeport", "remove", "dns"])
    assert held_ports(lab) == set()


@pytest.mark.parametrize(
    "listen", ["80=80", "53/udp=53", "127.0.0.1:53/udp=53", "[::1]:53/udp=53", "/run/a=80"]
)
def test_systemd_can_set_whatever_one_kind_of_listener_asks_for(lab: Lab, listen: str) -> None:
    """It only warns of what it cannot, each time that it opens the sockets."""
    lab.create("web")
    began = time.time()
    lab.run(["wakeport", "add", "web", f"--listen={listen}"])
    journal = ["journalctl", "--quiet", "--output=cat", "--priority=warning", "--unit=wakeport-web.socket"]
    assert lab.run([*journal, f"--since=@{began:.6f}"]).stdout == ""
    if "udp" in listen:
        # The kernel doubles what was asked for, socket(7).
        assert f"rb{2 * 4 * 1024 * 1024}," in lab.run(["ss", "-Hlnum", "sport = :53"]).stdout


def test_a_proxy_that_serves_hears_of_new_words_at_once(service: AddService) -> None:
    web = service(idle="1h")
    with connect(web.lab) as client:
        ask(client)
        edit(web, "[[listener]]", '[[listener]]\nsend_proxy = "v1"')
        apply(web)
        assert web.get().status == 400, "nginx was not told to expect a header"
        assert ask(client).startswith("<!doctype html>"), "whoever was there before is still served"
        edit(web, 'send_proxy = "v1"\n', "")
        apply(web)
        assert web.get().served


def test_who_says_nothing_stays_with_the_kernel(service: AddService) -> None:
    """With DeferAcceptSec= systemd does not hear of a connection before its first byte, or its end."""
    web = service(idle="1h")
    edit(web, "[[listener]]", '[[listener]]\nwake_on = "data"')
    apply(web)
    silent = [connect(web.lab) for _ in range(20)]
    assert web.lab.run(["ss", "-Hltn", "sport = :80"]).stdout.split()[1] == "0", "nobody in the backlog"
    assert web.is_asleep
    assert web.moments(web.units.proxy, "") == [], "systemd has started nothing"
    assert ask(silent[0]).startswith("<!doctype html>")
    for client in silent:
        client.close()
