from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.command_line import systemd_reads
from wakeport import unit_file, units
from wakeport.errors import BadInput
from wakeport.service import Service, build
from wakeport.units import Facts

FACTS = Facts(
    programs="/usr/local/lib/wakeport/0.1.0-12345678",
    version="0.1.0",
    exposed=("80/tcp",),
    stop_timeout=10,
    relay="/lib/systemd/systemd-socket-proxyd",
    after=("docker.service", "docker.socket"),
)


def service(*places: str, **settings: Any) -> Service:
    return build("web", {**settings, "listener": [{"on": place} for place in places or ("80",)]})


def texts(*places: str, **settings: Any) -> dict[str, str]:
    return units.units(service(*places, **settings), FACTS)


def values(text: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def test_there_are_four_and_each_is_marked() -> None:
    written = texts()
    assert list(written) == [
        "wakeport-web.socket",
        "wakeport-web.service",
        "wakeport-web-container.socket",
        "wakeport-web-container.service",
    ]
    for text in written.values():
        assert unit_file.owner(text) == "web"
        assert not unit_file.edited(text)
        assert unit_file.edited(text.replace("[Unit]", "[Unit]\nBefore=x.service"))


def test_a_file_without_the_mark_is_another_s() -> None:
    assert unit_file.owner("[Unit]\nDescription=X-Wakeport\nService=web\n") is None
    assert unit_file.owner("") is None


def test_nothing_that_a_socket_starts_can_close_the_port() -> None:
    written = texts()
    for name, text in written.items():
        sections = re.findall(r"^\[(.*)\]$", text, re.MULTILINE)
        assert not re.search(
            "^(Condition|Assert|ExecCondition|BindsTo|Requisite|ExecStop|FlushPending)", text, re.MULTILINE
        )
        assert values(text, "StartLimitIntervalSec") == ["0"]
        if name.endswith(".socket"):
            assert sections == ["Unit", "Socket", "Install", "X-Wakeport"]
            assert values(text, "TriggerLimitIntervalSec") == ["0"]
            assert values(text, "WantedBy") == ["sockets.target"]
        else:
            assert sections == ["Unit", "Service", "X-Wakeport"]
            assert values(text, "Requires") == [name.replace(".service", ".socket")]
            assert values(text, "Restart") == ["on-failure"]
            assert values(text, "RestartSec") == ["250ms"]


def test_proxy_and_supervisor_start_at_once() -> None:
    proxy = texts()["wakeport-web.service"]
    assert "wakeport-web-container.service" in values(proxy, "Wants")[0]
    assert "wakeport-web-container.service" not in values(proxy, "After")[0]


def test_the_proxy_runs_as_nobody_who_matters() -> None:
    proxy = texts()["wakeport-web.service"]
    assert values(proxy, "User") == ["wakeport"]
    assert values(proxy, "CapabilityBoundingSet") == [""]
    assert values(proxy, "ExecStart") == [
        "/usr/bin/python3 -IS /usr/local/lib/wakeport/0.1.0-12345678/proxy.py"
        " name=web lease=/run/wakeport/web.lease ready_within=90 answer_within=15"
        " hold_max=16384 target=80/tcp"
    ]


def test_the_supervisor_is_told_everything() -> None:
    wanted = service(
        container="web-1", idle="infinity", ready="exec:test $X = '50 %'", adopt=True, ready_within="1min 30s"
    )
    supervisor = units.units(wanted, FACTS._replace(stop_timeout=30))["wakeport-web-container.service"]
    assert systemd_reads(values(supervisor, "ExecStart")[0])[3:] == [
        "name=web",
        "runtime=docker",
        "container=web-1",
        "state=/run/wakeport/web",
        "ready=exec:test $X = '50 %'",
        "ready_within=90",
        "doze=infinity",
        "idle=infinity",
        "adopt=yes",
        "target=80/tcp",
    ]
    assert systemd_reads(values(supervisor, "ExecStart")[0]) == units.supervisor_command(wanted, FACTS)
    assert values(supervisor, "TimeoutStopSec") == ["50"]
    assert values(supervisor, "TimeoutStartSec") == ["infinity"]
    assert values(supervisor, "SyslogIdentifier") == ["web-1"]


def test_without_listeners_there_are_the_lease_and_the_supervisor_alone() -> None:
    written = units.units(build("web", {"listener": []}), FACTS._replace(exposed=None))
    assert list(written) == ["wakeport-web-container.socket", "wakeport-web-container.service"]
    assert "target=" not in written["wakeport-web-container.service"]


def test_needs_are_asked_for_on_their_lease_sockets_and_never_waited_for() -> None:
    supervisor = texts(needs=["db", "cache"])["wakeport-web-container.service"]
    leases = "wakeport-db-container.socket wakeport-cache-container.socket"
    assert values(supervisor, "Wants") == [leases]
    assert values(supervisor, "After") == [
        f"wakeport-web-container.socket {leases} docker.service docker.socket"
    ]
    assert re.findall(r"needs=\S+", supervisor) == [
        "needs=/run/wakeport/db.lease",
        "needs=/run/wakeport/cache.lease",
    ]
    assert "Wants=" not in texts()["wakeport-web-container.service"]


def test_a_proxy_waits_for_the_whole_chain() -> None:
    wanted = service(ready_within="20s", needs=["db"])
    written = units.units(wanted, FACTS._replace(needs_within=100.5))
    assert " ready_within=120.5 " in written["wakeport-web.service"]
    assert " ready_within=20 " in written["wakeport-web-container.service"]


def test_listeners_and_targets_keep_their_order() -> None:
    wanted = build(
        "web",
        {
            "listener": [
                {"on": "443", "to": 8443},
                {"on": "/run/a b%n.sock", "to": 80},
                {"on": "80", "to": 8443},
            ]
        },
    )
    written = units.units(wanted, FACTS)
    assert values(written["wakeport-web.socket"], "ListenStream") == ["443", "/run/a b%%n.sock", "80"]
    assert values(written["wakeport-web.socket"], "SocketMode") == ["0666"]
    assert re.findall(r"target=\S+", written["wakeport-web.service"]) == [
        "target=8443/tcp",
        "target=80/tcp",
        "target=8443/tcp",
    ]
    assert re.findall(r"target=\S+", written["wakeport-web-container.service"]) == [
        "target=8443/tcp",
        "target=80/tcp",
    ]


def test_an_address_that_comes_late_is_no_failure_at_boot() -> None:
    assert values(texts("10.0.0.1:80")["wakeport-web.socket"], "FreeBind") == ["yes"]
    assert values(texts("80")["wakeport-web.socket"], "FreeBind") == []


def test_the_classic_shape_starts_the_starter() -> None:
    proxy = texts(proxy="systemd-socket-proxyd")["wakeport-web.service"]
    assert "/starter.py name=web" in values(proxy, "ExecStart")[0]
    assert values(proxy, "ExecStart")[0].endswith("relay=/lib/systemd/systemd-socket-proxyd")


@pytest.mark.parametrize(
    ("exposed", "fact"),
    [
        ((), "exposes no TCP port"),
        (("53/udp",), "exposes no TCP port"),
        (("80/tcp", "443/tcp"), "exposes 80, 443"),
        (None, "no container"),
    ],
)
def test_a_target_is_not_guessed(exposed: tuple[str, ...] | None, fact: str) -> None:
    with pytest.raises(BadInput, match=fact) as refusal:
        units.units(service("8000"), FACTS._replace(exposed=exposed))
    assert "--listen 8000=" in refusal.value.hint


@pytest.mark.parametrize("exposed", [("53/tcp",), ("53/udp", "67/udp"), None])
def test_a_udp_target_is_not_guessed_either(exposed: tuple[str, ...] | None) -> None:
    with pytest.raises(BadInput, match='where "5353/udp" leads') as refusal:
        units.units(service("5353/udp"), FACTS._replace(exposed=exposed))
    assert "--listen 5353/udp=" in refusal.value.hint
    known = FACTS._replace(exposed=("53/tcp", "53/udp", "80/tcp"))
    proxy = units.units(service("5353/udp"), known)["wakeport-web.service"]
    assert "target=53/udp" in values(proxy, "ExecStart")[0]


def test_a_proxy_leaves_its_connections_for_its_successor() -> None:
    assert values(texts()["wakeport-web.service"], "FileDescriptorStoreMax") == ["1"]
    classic = texts(proxy="systemd-socket-proxyd")["wakeport-web.service"]
    assert values(classic, "FileDescriptorStoreMax") == []


def test_the_classic_shape_has_one_target() -> None:
    wanted = build(
        "web", {"proxy": "systemd-socket-proxyd", "listener": [{"on": "1", "to": 1}, {"on": "2", "to": 2}]}
    )
    with pytest.raises(BadInput, match="one target"):
        units.units(wanted, FACTS)


KEPT = ["wakeport-web-keep.timer", "wakeport-web-keep.service"]


def test_two_more_where_it_is_kept_by_the_clock() -> None:
    written = texts(keep=["Mon..Fri 08:00-18:00", "Sat 09:30:15-12:00", "Mon..Fri 8:00-9:00", "03:00-04:00"])
    assert list(written)[4:] == KEPT
    timer, keeper = (written[name] for name in KEPT)
    assert values(timer, "OnCalendar") == [
        "Mon..Fri *-*-* 08:00:00",
        "Sat *-*-* 09:30:15",
        "*-*-* 03:00:00",
        "*-*-* 04:00:00",
    ]
    assert values(timer, "AccuracySec") == ["1us"]
    assert not re.search("^On(Active|Boot|Startup|Unit)", timer, re.MULTILINE)
    assert systemd_reads(values(keeper, "ExecStart")[0])[2:] == [
        "/usr/local/lib/wakeport/0.1.0-12345678/keeper.py",
        "lease=/run/wakeport/web.lease",
        "window=Mon..Fri 08:00-18:00",
        "window=Sat 09:30:15-12:00",
        "window=Mon..Fri 08:00-09:00",
        "window=03:00-04:00",
    ]
    assert values(keeper, "User") == ["wakeport"]
    assert values(keeper, "RestrictAddressFamilies") == ["AF_UNIX"]
    for text in (timer, keeper):
        assert values(text, "After") == ["wakeport-web-container.socket"]
        assert unit_file.owner(text) == "web"
    assert {name: text for name, text in written.items() if name not in KEPT} == texts()


NASTY = "exec:sh -c \"echo 100% $HOME 'x' \\\\ [Service]\""
RULES = [{"host": "*.x", "path": "/%n$x", "then": '200 "100 %" $HOME \\ [Service]'}, {"then": "close"}]
SHAPES: dict[str, dict[str, Any]] = {
    "tcp and unix": {"ready": NASTY, "listener": [{"on": "10.0.0.1:80"}, {"on": "/run/we ird%n$x.sock"}]},
    "udp": {"listener": [{"on": "53/udp"}]},
    "everything": {
        "hold_for": "2min",
        "listener": [
            {"on": "80", "wake_on": "data", "page": "3s", "page_file": "/srv/a %n.html", "rule": RULES},
            {"on": "[::1]:53/udp", "flow_idle": "5s"},
            {"on": "/run/a.sock", "to": "/run/b %n.sock", "owner": "root:adm", "accept_proxy": ["unix"]},
        ],
    },
    "no listener, with needs": {"needs": ["db", "cache.2"]},
    "classic": {"proxy": "systemd-socket-proxyd", "listener": [{"on": "80"}]},
    "kept": {"keep": ["Mon,Wed..Fri 08:00:30-18:00", "22:00-06:00"], "listener": [{"on": "80"}]},
}


@pytest.fixture(params=SHAPES)
def on_disk(tmp_path: Path, request: pytest.FixtureRequest) -> list[str]:
    known = FACTS._replace(exposed=("80/tcp", "53/udp"))
    written = units.units(build("web", SHAPES[request.param]), known)
    for name, text in written.items():
        # The program is not installed here, and verify looks for it; the user is not made yet.
        (tmp_path / name).write_text(
            text.replace("User=wakeport\n", "").replace("SocketGroup=wakeport\n", "")
        )
    return [str(tmp_path / name) for name in written]


def test_systemd_finds_nothing_to_complain_about(on_disk: list[str]) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", *on_disk], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "wakeport" in line]
    assert ours == []


@pytest.mark.parametrize("unit", ["wakeport-web.service", "wakeport-web-keep.service"])
def test_what_runs_as_wakeport_is_well_locked_up(tmp_path: Path, unit: str) -> None:
    path = tmp_path / unit
    path.write_text(texts(keep="08:00-18:00")[unit])
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-500:]
