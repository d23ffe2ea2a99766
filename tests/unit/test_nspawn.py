"""A machine of systemd-nspawn: its unit, where it is looked for, its network, its group and first process."""

from __future__ import annotations

from pathlib import Path

import pytest

from wakeport.runtimes.first_process import first_process
from wakeport.runtimes.nspawn.group import PAYLOAD
from wakeport.runtimes.nspawn.name import unit_of
from wakeport.runtimes.nspawn.network import network
from wakeport.runtimes.nspawn.place import image, settings
from wakeport.runtimes.problems import Missing
from wakeport.runtimes.systemd.unit import object_path


def test_nothing_is_escaped_in_the_name_of_the_unit() -> None:
    assert unit_of("my-web.1") == "systemd-nspawn@my-web.1.service"


def test_path_of_the_unit_is_escaped_as_sd_bus_does() -> None:
    path = "/org/freedesktop/systemd1/unit/systemd_2dnspawn_40my_2dweb_2eservice"
    assert object_path(unit_of("my-web")) == path


@pytest.mark.parametrize("where", ["var/lib/machines/web", "etc/machines/web", "var/lib/machines/web.raw"])
def test_where_a_machine_is_found(tmp_path: Path, where: str) -> None:
    (tmp_path / where).mkdir(parents=True)
    assert image("web", str(tmp_path)) == str(tmp_path / where)


def test_a_unit_for_every_name_makes_no_machine(tmp_path: Path) -> None:
    (tmp_path / "var/lib/machines/web2").mkdir(parents=True)
    with pytest.raises(Missing, match="there is no machine web"):
        image("web", str(tmp_path))


def test_the_administrators_settings_are_taken_before_those_beside_the_image(tmp_path: Path) -> None:
    for directory, text in (("etc/systemd/nspawn", "[Exec]\n"), ("var/lib/machines", "[Network]\n")):
        (tmp_path / directory).mkdir(parents=True)
        (tmp_path / directory / "web.nspawn").write_text(text)
    assert settings("web", str(tmp_path)) == "[Exec]\n"
    assert settings("other", str(tmp_path)) == ""


@pytest.mark.parametrize(
    ("lines", "own", "linked"),
    [
        ("", True, True),  # the unit's own --network-veth
        ("VirtualEthernet=yes", True, True),
        ("VirtualEthernet=no", False, False),
        ("Private=no", False, False),
        ("Private=yes", True, False),
        ("VirtualEthernet=no\nBridge=br0", True, True),
        ("Zone=front", True, True),
        ("MACVLAN=eth0", True, False),
        ("MACVLAN=eth0\nVirtualEthernet=yes", True, True),
        ("#VirtualEthernet=no", True, True),
        ("Port=80", True, True),
    ],
)
def test_network_by_its_settings(lines: str, own: bool, linked: bool) -> None:
    found = network(f"[Exec]\nPrivate=yes\nPrivate=no\n[Network]\n{lines}\n")
    assert (found.own, found.linked) == (own, linked)


@pytest.mark.parametrize(
    ("written", "published"),
    [
        ("80", {"80/tcp": [("", 80)]}),
        ("8080:80", {"80/tcp": [("", 8080)]}),
        ("udp:5353:53 tcp:80", {"53/udp": [("", 5353)], "80/tcp": [("", 80)]}),
        ("http", {}),
    ],
)
def test_ports_that_it_takes_of_the_host(written: str, published: dict[str, list[tuple[str, int]]]) -> None:
    assert network(f"[Network]\nPort={written}\n").published == published


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("/machine.slice/systemd-nspawn@web.service/payload", True),
        ("/machine.slice/systemd-nspawn@web.service/payload/init.scope", True),
        ("/machine.slice/systemd-nspawn@web.service/supervisor", False),
        ("/system.slice/app.service", False),
        ("/../../machine.slice/systemd-nspawn@web.service/payload", False),
    ],
)
def test_group_of_what_runs_inside(path: str, group: bool) -> None:
    own = "/machine.slice/systemd-nspawn@web.service/payload"
    assert PAYLOAD.find(path) == (own if group else None)


def test_first_process_is_number_one_in_its_own_numbering(tmp_path: Path) -> None:
    shown = {"task/7/children": "8 9 10 "}
    for pid, numbers in ((8, "8"), (9, "9\t1"), (10, "10\t2")):
        shown[f"../{pid}/status"] = f"Name:\tx\nPid:\t{pid}\nNSpid:\t{numbers}\n"
    for name, text in shown.items():
        path = Path(f"{tmp_path}/proc/7/{name}".replace("7/../", ""))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert first_process(7, str(tmp_path)) == 9
    assert first_process(11, str(tmp_path)) == 0
