"""What counts as busy, as a person writes it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.test_proxy_words import words
from wakeport.errors import BadInput
from wakeport.proxy.options import Options
from wakeport.service import Service, build


def web(**busy: Any) -> Service:
    return build("web", {"busy": busy, "listener": [{"on": "80"}]})


@pytest.mark.parametrize(
    ("written", "said"),
    [("open", None), ("1 in 1s", "1/1"), ("1K in 5min", "1024/300"), ("20 M in 1min 30s", "20971520/90")],
)
def test_how_much_has_to_pass_is_said_in_bytes_and_seconds(written: str, said: str | None) -> None:
    assert web(connections=written).busy.connections.counts == said


def test_the_proxy_understands_what_it_is_told() -> None:
    given = Options(words(web(connections="1K in 5min")))
    assert (given.counts, given.silent, given.doze) == ((1024, 300.0), "stop", False)
    silent = {"connections": "1K in 5min", "silent": "doze"}
    given = Options(words(build("web", {"doze": "1min", "busy": silent, "listener": [{"on": "80"}]})))
    assert (given.silent, given.doze) == ("doze", True)
    given = Options(words(build("web", {"doze": "5s", "listener": [{"on": "80"}]})))
    assert (given.counts, given.doze) == (None, True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("connections", "shut"),
        ("connections", "0 in 5min"),
        ("connections", "1K in 500ms"),
        ("connections", "1K in infinity"),
        ("connections", "1K per 5min"),
        ("silent", "doze"),
        ("silent", "cut"),
        ("cpu", "5"),
        ("cpu", "0%"),
        ("cpu", "many%"),
        ("check", "http:busy"),
        ("check", "exec:"),
        ("check", "exec:'"),
        ("check", "exec:a\nb"),
        ("check", "connect"),
        ("window", "5min"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_path(key: str, value: str) -> None:
    with pytest.raises(BadInput, match=rf"^busy\.{key}: "):
        web(**{key: value})


def test_a_key_of_busy_at_another_place_is_told_where_it_belongs() -> None:
    with pytest.raises(BadInput, match=r"^cpu: .* belongs below a \[busy\]"):
        build("web", {"cpu": "5%", "listener": [{"on": "80"}]})
    with pytest.raises(BadInput, match=r"^busy\.idle: .* belongs above the first header"):
        web(idle="5s")


def test_what_would_never_doze_is_refused() -> None:
    with pytest.raises(BadInput, match=r"^doze: it is stopped after 10min"):
        build("web", {"doze": "10min", "listener": [{"on": "80"}]})


def test_silent_connections_may_doze_only_where_something_dozes() -> None:
    """It would be awake for as long as they are open, which is not what that says."""
    with pytest.raises(BadInput, match=r"^busy\.silent: it never dozes"):
        web(connections="1K in 5min", silent="doze")


@pytest.mark.parametrize("listeners", [[], [{"on": "53/udp"}]])
def test_bytes_are_counted_only_where_there_are_connections(listeners: list[dict[str, str]]) -> None:
    settings = {"busy": {"connections": "1K in 5min"}, "listener": listeners}
    with pytest.raises(BadInput, match=r"^busy\.connections: no listener has connections"):
        build("web", settings)


def test_a_check_by_http_wants_a_port_to_ask() -> None:
    with pytest.raises(BadInput, match=r"^busy\.check: HTTP is asked of a TCP port"):
        build("web", {"busy": {"check": "http:/"}, "listener": [{"on": "53/udp"}]})


def test_socket_proxyd_sees_no_bytes() -> None:
    with pytest.raises(BadInput, match=r"^busy\.connections: it passes connections on unseen"):
        build(
            "web",
            {
                "proxy": "systemd-socket-proxyd",
                "busy": {"connections": "1K in 5min"},
                "listener": [{"on": "80"}],
            },
        )
