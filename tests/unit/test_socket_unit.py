"""What systemd is told to listen on, and how."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.unit.test_units import FACTS, values
from wakeport import units
from wakeport.service import build


def socket_unit(*listeners: dict[str, Any]) -> str:
    known = FACTS._replace(exposed=("80/tcp", "53/udp"))
    return units.units(build("web", {"listener": list(listeners)}), known)["wakeport-web.socket"]


TCP: dict[str, Any] = {"on": "80"}
UDP: dict[str, Any] = {"on": "53/udp"}
UNIX: dict[str, Any] = {"on": "/run/web.sock", "to": 80}


def test_all_kinds_keep_their_order_since_the_descriptors_come_in_it() -> None:
    text = socket_unit(
        {"on": "127.0.0.1:53/udp"}, TCP, UNIX, {"on": "[::1]:53/udp", "to": 5353}, {"on": "53"}
    )
    assert re.findall("^Listen.*", text, re.MULTILINE) == [
        "ListenDatagram=127.0.0.1:53",
        "ListenStream=80",
        "ListenStream=/run/web.sock",
        "ListenDatagram=[::1]:53",
        "ListenStream=53",
    ]
    assert values(text, "PassPacketInfo") == values(text, "FreeBind") == ["yes"]


def test_udp_alone_gets_room_for_datagrams_and_nothing_of_tcp() -> None:
    text = socket_unit(UDP)
    assert values(text, "ReceiveBuffer") == ["4M"]
    assert values(text, "PassPacketInfo") == ["yes"]
    for key in ("Backlog", "NoDelay", "KeepAlive", "SocketMode", "DeferAcceptSec"):
        assert values(text, key) == [], key


def test_tcp_keeps_the_window_that_the_kernel_chooses() -> None:
    assert values(socket_unit(TCP, UDP), "ReceiveBuffer") == []
    assert values(socket_unit(TCP), "PassPacketInfo") == []


def test_a_unix_socket_is_told_nothing_about_tcp() -> None:
    text = socket_unit(UNIX)
    assert not values(text, "NoDelay") + values(text, "KeepAlive")
    assert values(text, "RemoveOnStop") == ["yes"]


@pytest.mark.parametrize(
    ("settings", "mode", "user", "group"),
    [
        ({}, ["0666"], [], []),
        ({"mode": "600"}, ["0600"], [], []),
        ({"owner": "root"}, ["0660"], ["root"], []),
        ({"owner": ":adm"}, ["0660"], [], ["adm"]),
        ({"owner": "root:adm", "mode": "0620"}, ["0620"], ["root"], ["adm"]),
    ],
)
def test_who_may_connect(
    settings: dict[str, Any], mode: list[str], user: list[str], group: list[str]
) -> None:
    text = socket_unit(TCP, UNIX | settings)
    assert values(text, "SocketMode") == mode
    assert values(text, "SocketUser") == user
    assert values(text, "SocketGroup") == group


def test_the_kernel_keeps_silent_clients_only_where_all_may_wait() -> None:
    """DeferAcceptSec= holds for all sockets of a unit: one listener that wakes on connect forbids it."""
    data = {"wake_on": "data"}
    assert values(socket_unit(TCP | data, UDP, UNIX), "DeferAcceptSec") == ["30"]
    assert values(socket_unit(TCP | data, {"on": "81"}), "DeferAcceptSec") == []
    assert values(socket_unit(UNIX | data), "DeferAcceptSec") == []
