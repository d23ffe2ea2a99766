"""A container of LXC: its unit, its config, its network and its group."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from wakeport.runtimes.lxc.config import config, directory, entries, refuse_where_unit_does_not_run_it
from wakeport.runtimes.lxc.group import PAYLOAD
from wakeport.runtimes.lxc.name import unit_of
from wakeport.runtimes.lxc.network import types
from wakeport.runtimes.problems import Missing, Refused


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_nothing_is_escaped_in_the_name_of_the_unit() -> None:
    assert unit_of("my-web.1") == "lxc@my-web.1.service"


def test_a_unit_for_every_name_makes_no_container(tmp_path: Path) -> None:
    (tmp_path / "var/lib/lxc/web").mkdir(parents=True)
    with pytest.raises(Missing, match="there is no container web in /var/lib/lxc"):
        directory("web", str(tmp_path))


def test_containers_lie_where_lxc_is_told(tmp_path: Path) -> None:
    _write(tmp_path / "etc/lxc/lxc.conf", "# lxc.lxcpath = /old\nlxc.lxcpath = /srv/lxc\n")
    _write(tmp_path / "srv/lxc/web/config", "lxc.uts.name=web\n")
    assert directory("web", str(tmp_path)) == "/srv/lxc/web"
    assert config("web", str(tmp_path)) == [("lxc.uts.name", "web")]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("", []),
        ("lxc.net.0.type = veth", ["veth"]),
        ("lxc.net.0.type = macvlan\nlxc.net.1.type = veth", ["macvlan", "veth"]),
        ("lxc.net.0.type = veth\nlxc.net =\nlxc.net.0.type = none", ["none"]),
        ("lxc.net.0.type = veth\nlxc.net.0.type = phys", ["phys"]),
        ("#lxc.net.0.type = veth\nlxc.net.0.link = br0", []),
    ],
)
def test_types_of_its_interfaces(lines: str, found: list[str]) -> None:
    assert types(entries(lines)) == found


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("/lxc.payload.web", "/lxc.payload.web"),
        ("/lxc.payload.web-1/init.scope", "/lxc.payload.web-1"),
        ("/lxc.payload.web/system.slice/lxc.payload.inner", "/lxc.payload.web"),
        ("/system.slice/lxc@web.service/lxc.payload.web", "/system.slice/lxc@web.service/lxc.payload.web"),
        ("/lxc/web", "/lxc/web"),
        ("/lxc.monitor.web", None),
        ("/system.slice/lxc@web.service", None),
        ("/../lxc.payload.web", None),
    ],
)
def test_group_of_what_runs_inside(path: str, group: str | None) -> None:
    assert PAYLOAD.find(path) == group


def test_one_that_runs_beside_its_unit_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "etc/lxc/lxc.conf", f"lxc.lxcpath = {tmp_path}\n")
    refuse_where_unit_does_not_run_it("web", str(tmp_path))
    with socket.socket(socket.AF_UNIX) as keeper:
        keeper.bind(f"\0{tmp_path}/web/command")
        keeper.listen()
        refuse_where_unit_does_not_run_it("we", str(tmp_path))
        with pytest.raises(Refused, match=r"web runs outside of lxc@web\.service: lxc-stop -n web"):
            refuse_where_unit_does_not_run_it("web", str(tmp_path))
