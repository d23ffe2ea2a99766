"""What is otherwise for a user's services: places, units, rights, and how hints are spoken."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.command_line import systemd_reads
from tests.unit.containers import NEVER_STARTED
from wakeport import history, sandbox, units, user_rights
from wakeport.cli.root import VERBS
from wakeport.errors import BadInput
from wakeport.layout import Layout
from wakeport.proxy.options import Options
from wakeport.runtimes.rootless.container import RootlessInspected
from wakeport.scope import SYSTEM, of_user, spoken
from wakeport.service import build
from wakeport.supervisor.account import MESSAGE_ID

ANN = of_user("ann", 1001, {"HOME": "/home/ann"}, "/run/user/1001")
FACTS = units.Facts("/home/ann/.local/lib/wakeport/1", "1", ("80/tcp",), 10, "/relay", scope=ANN)
WEB = build("web", {"runtime": "unit", "needs": ["db"], "keep": "00:00-24:00", "listener": [{"on": "8080"}]})


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return units.units(WEB, FACTS)


def test_everything_lies_in_the_user_s_own_places(tmp_path: Path) -> None:
    layout = Layout(tmp_path, ANN)
    assert layout.inside(layout.settings("web")) == "/home/ann/.config/wakeport/web.toml"
    assert layout.inside(layout.unit("x.socket")) == "/home/ann/.config/systemd/user/x.socket"
    assert layout.inside(layout.programs) == "/home/ann/.local/lib/wakeport"
    assert layout.inside(layout.status("web")) == "/run/user/1001/wakeport/web/status.json"


def test_configuration_is_where_the_user_has_it() -> None:
    environment = {"HOME": "/home/ann", "XDG_CONFIG_HOME": "/srv/ann"}
    assert of_user("ann", 1, environment, "/run/1").units == "/srv/ann/systemd/user"
    relative = {"HOME": "/home/ann", "XDG_CONFIG_HOME": "etc"}  # to be ignored, XDG Base Directory
    assert of_user("ann", 1, relative, "/run/1").units == "/home/ann/.config/systemd/user"


def test_no_unit_names_another_user_or_a_place_of_the_system(texts: dict[str, str]) -> None:
    for name, text in texts.items():
        assert not re.search(r"(?m)^(User|Group|SocketGroup|SupplementaryGroups)=", text), name
        assert "/run/wakeport" not in text, name
        assert "/usr/local" not in text, name
    assert "SocketMode=0600" in texts["wakeport-web-container.socket"]
    assert "WantedBy=default.target" in texts["wakeport-web-keep.service"]


def test_no_unit_has_a_setting_that_a_user_s_manager_fails_at_or_passes_over(texts: dict[str, str]) -> None:
    for name, text in texts.items():
        for setting in ("CapabilityBoundingSet", "PrivateDevices", "ProtectHome", "InaccessiblePaths"):
            assert f"\n{setting}=" not in text, name
    assert "NoNewPrivileges=yes" in texts["wakeport-web.service"]
    assert sandbox.within(SYSTEM, sandbox.PROXY) == sandbox.PROXY


def test_the_programs_are_told_whom_to_ask(texts: dict[str, str]) -> None:
    [command] = re.findall("ExecStart=(.*)", texts["wakeport-web.service"])
    given = Options(systemd_reads(command)[3:])
    assert given.systemd == "/run/user/1001/systemd/private"
    assert given.lease == "/run/user/1001/wakeport/web.lease"
    [command] = re.findall("ExecStart=(.*)", texts["wakeport-web-container.service"])
    words = systemd_reads(command)
    assert "runtime=user_unit" in words
    assert "needs=/run/user/1001/wakeport/db.lease" in words


def test_runtimes_of_root_are_refused() -> None:
    assert ANN.package("podman") == "rootless"
    with pytest.raises(BadInput, match="its containers are root's") as refused:
        ANN.package("docker")
    assert refused.value.hint == "--runtime takes podman or unit here"


def test_only_the_user_s_own_supervisor_is_believed() -> None:
    assert history.matches(["web"], ANN)[1:] == [
        "_UID=1001",
        "_SYSTEMD_USER_UNIT=wakeport-web-container.service",
    ]
    said = {
        "MESSAGE_ID": MESSAGE_ID,
        "WAKEPORT_SERVICE": "web",
        "WAKEPORT_STATE": "asleep",
        "_BOOT_ID": "a",
        "__REALTIME_TIMESTAMP": "2000000",
        "__MONOTONIC_TIMESTAMP": "1000000",
        "_SYSTEMD_UNIT": "user@1001.service",
        "_SYSTEMD_USER_UNIT": "wakeport-web-container.service",
        "_UID": "1001",
    }
    assert history.entry_of(said, "web", ANN) is not None
    assert history.entry_of(said | {"_UID": "1002"}, "web", ANN) is None
    assert history.entry_of(said, "web") is None


@pytest.mark.parametrize(
    ("hint", "to_user"),
    [
        ("sudo wakeport apply web", "wakeport --user apply web"),
        ("edit x, then: wakeport apply web", "edit x, then: wakeport --user apply web"),
        (
            "systemctl restart a; journalctl -u a tells",
            "systemctl --user restart a; journalctl --user -u a tells",
        ),
        ("wakeport needs systemd 249 or newer", "wakeport needs systemd 249 or newer"),
        ("loginctl enable-linger ann", "loginctl enable-linger ann"),
        ("systemctl --user edit a", "systemctl --user edit a"),
    ],
)
def test_hints_are_spoken_as_they_are_typed(hint: str, to_user: str) -> None:
    assert spoken(hint, to_user=True) == to_user
    assert spoken(hint, to_user=False) == hint


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"try", "compose"}))
def test_every_verb_is_known_in_hints(verb: str) -> None:
    assert spoken(f"wakeport {verb} web", to_user=True) == f"wakeport --user {verb} web"


def mistakes(tmp_path: Path, **listener: Any) -> list[str]:
    start = tmp_path / "start"
    start.write_text("1024\n")
    service = build("web", {"runtime": "unit", "listener": [listener]})
    return [fact for fact, _ in user_rights.mistakes(service, start)]


def test_what_a_user_may_not_have(tmp_path: Path) -> None:
    assert mistakes(tmp_path, on="1024") == []
    assert mistakes(tmp_path, on="/run/user/1/x.sock", to="/home/ann/y.sock") == []
    [port] = mistakes(tmp_path, on="1023/udp")
    assert port == "port 1023/udp is for root alone: a user's begin at 1024"
    [owner] = mistakes(tmp_path, on="/run/x.sock", owner="root")
    assert "cannot be given to root" in owner
    [page] = mistakes(tmp_path, on="8080", page="on", page_file="/srv/none-x")
    assert "no file /srv/none-x" in page


def test_what_a_login_lacks(tmp_path: Path) -> None:
    [(fact, hint)] = user_rights.not_lingering("ann", tmp_path)
    assert (fact.partition(":")[0], hint) == ("ann does not linger", "loginctl enable-linger ann")
    (tmp_path / "ann").touch()
    assert user_rights.not_lingering("ann", tmp_path) == []
    uids, gids = tmp_path / "subuid", tmp_path / "subgid"
    uids.write_text("annie:100000:65536\n1001:165536:65536\n")
    assert len(user_rights.without_subordinates("ann", 1001, (uids, gids))) == 1
    gids.write_text("ann:100000:65536\n")
    assert user_rights.without_subordinates("ann", 1001, (uids, gids)) == []


def container(**host: Any) -> RootlessInspected:
    """As podman 4.3 has one of a user; what `host` says differs."""
    said = copy.deepcopy(NEVER_STARTED)
    said["State"]["StartedAt"] = "0001-01-01T00:00:00Z"
    said["NetworkSettings"] = {"Networks": {}}
    said["HostConfig"] |= {"NetworkMode": "slirp4netns", "PortBindings": {}, **host}
    return RootlessInspected(said)


def bound(address: str, port: str) -> dict[str, Any]:
    return {"80/tcp": [{"HostIp": address, "HostPort": port}]}


@pytest.mark.parametrize(
    ("address", "reached"),
    [("", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.2", "127.0.0.2"), ("::", "::1")],
)
def test_a_published_port_is_where_a_container_without_root_is_reached(address: str, reached: str) -> None:
    found = container(PortBindings=bound(address, "8081"))
    assert found.published_at("80/tcp") == (reached, 8081)
    assert found.why_closed("80/tcp") is None


@pytest.mark.parametrize(
    ("host", "port", "why"),
    [
        ({}, "80/tcp", "it publishes none for 80; make it anew with -p 127.0.0.1:PORT:80"),
        ({"PortBindings": bound("", "8081")}, "80/udp", "publishes none for 80/udp"),
        ({"PortBindings": bound("", "0")}, "80/tcp", "on another port at each start"),
        ({"NetworkMode": "none"}, "80/tcp", "it has no network"),
    ],
)
def test_why_a_port_can_never_be_reached(host: dict[str, Any], port: str, why: str) -> None:
    assert why in str(container(**host).why_closed(port))
    assert container(**host).published_at(port) is None


def test_on_the_host_s_network_it_is_reached_as_it_is() -> None:
    found = container(NetworkMode="host")
    assert (found.published_at("8081/tcp"), found.why_closed("8081/tcp")) == (("127.0.0.1", 8081), None)
