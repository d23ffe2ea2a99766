"""What a listener may say for its kind of socket, and what its clients hear; each refusal names the key."""

from __future__ import annotations

import re
from typing import Any

import pytest

from wakeport.errors import BadInput
from wakeport.listener import HIDDEN, Listener
from wakeport.preflight import hidden_places
from wakeport.rules import Rule
from wakeport.service import build

TCP, UDP, UNIX = "80", "53/udp", "/run/web.sock"


def listener(on: str = TCP, **settings: Any) -> Listener:
    return build("web", {"listener": [{"on": on, **settings}]}).listener[0]


def rule(**settings: Any) -> Rule:
    """One rule, with a last one below it that closes."""
    return listener(rule=[settings, {"then": "close"}]).rule[0]


@pytest.mark.parametrize(
    ("on", "key", "value", "complaint"),
    [
        (TCP, "to", 0, "a port is a number from 1 to 65535"),
        (TCP, "to", "80", "a number, without quotes"),
        (UDP, "to", "53/udp", "a number, without quotes"),
        (TCP, "to", "run/x", "nor a socket's path"),
        (TCP, "to", True, "expected a whole number or a string, got true or false"),
        (TCP, "to", "/run/a/../b", "without '..'"),
        (TCP, "to", "/run/" + "x" * 103, "at most 107 bytes"),
        (UDP, "to", "/run/x", "datagrams do not go to a socket's path"),
        (UNIX, "to", UNIX, "it would lead to itself"),
        (TCP, "mode", "0660", "a port has none"),
        (UDP, "owner", "root", "a port has none"),
        (UNIX, "mode", 432, "expected a string, got 432"),
        (UNIX, "mode", "rw-rw----", "no mode; .* chmod"),
        (UNIX, "mode", "4666", "no mode"),
        (UNIX, "mode", "0880", "no mode"),
        (UNIX, "mode", "0440", "lets nobody in"),
        (UNIX, "owner", "", "is no owner"),
        (UNIX, "owner", ":", "is no owner"),
        (UNIX, "owner", "root:", "is no owner"),
        (UNIX, "owner", "a b", "is no owner"),
        (UNIX, "owner", "root\nUser=root", "is no owner"),
        (UNIX, "owner", "%n", "is no owner"),
        (UDP, "send_proxy", "v1", "UDP has no connection"),
        (TCP, "send_proxy", "v3", "'v3' is none of off, v1, v2"),
        (UDP, "accept_proxy", ["10.0.0.1"], "UDP has no connection"),
        (TCP, "accept_proxy", ["unix"], '"unix" is for Unix sockets'),
        (UNIX, "accept_proxy", ["10.0.0.1"], r'write \["unix"\]'),
        (UNIX, "accept_proxy", ["unix", "10.0.0.1"], r'write \["unix"\]'),
        (TCP, "accept_proxy", [], "an empty list fits nothing"),
        (TCP, "accept_proxy", ["lb.example.org"], "neither an address nor a network"),
        (TCP, "accept_proxy", ["10.0.0.7/8"], 'write "10.0.0.0/8", or "10.0.0.7"'),
        (UDP, "page", "on", "a browser does not come by UDP"),
        (TCP, "page", True, "expected a string, got True"),
        (TCP, "page", "infinity", "none of"),
        (TCP, "page", "soon", "none of"),
        (UDP, "page_file", "/srv/x.html", "a browser does not come by UDP"),
        (TCP, "page_file", "/srv/x.html", 'say page = "on" as well'),
        (TCP, "page_file", "x.html", "begins with '/'"),
        (UDP, "wake_on", "data", "a datagram is data already"),
        (TCP, "wake_on", "tls", "'tls' is none of connect, data"),
        (TCP, "flow_idle", "5s", "it is for UDP"),
        (UDP, "flow_idle", "infinity", "is no deadline"),
        (UDP, "flow_idle", 0, "is no deadline"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_key(on: str, key: str, value: Any, complaint: str) -> None:
    with pytest.raises(BadInput, match=rf"^listener\[0\]\.{key}: .*{complaint}"):
        listener(on, **{key: value})


@pytest.mark.parametrize("below", HIDDEN)
def test_what_a_proxy_of_the_system_cannot_see(below: str) -> None:
    for key, more in (("to", {}), ("page_file", {"page": "on"})):
        service = build("web", {"listener": [{"on": TCP, key: f"{below}/x", **more}]})
        [(fact, _)] = hidden_places(service)
        assert re.match(rf"listener\[0\]\.{key}: .*sandbox hides {below}", fact), fact


@pytest.mark.parametrize("path", ["/tmpx/a", "/run/users/a", "/srv/home/a", "/var/lib/a", "/run/a"])
def test_what_only_looks_hidden_is_not(path: str) -> None:
    assert hidden_places(build("web", {"listener": [{"on": TCP, "to": path}]})) == []


def test_an_owner_alone_keeps_everybody_else_out() -> None:
    assert listener(UNIX).socket_mode == "0666"
    assert listener(UNIX, owner=":adm").socket_mode == "0660"
    assert listener(UNIX, owner=":adm", mode="0666").socket_mode == "0666"
    owner = listener(UNIX, owner="root:adm").owner
    assert owner is not None
    assert (owner.user, owner.group) == ("root", "adm")


@pytest.mark.parametrize(
    ("page", "seconds"), [("off", None), ("on", 0), ("3s", 3), ("1min 30s", 90), ("0", 0)]
)
def test_when_the_page_comes(page: str, seconds: float | None) -> None:
    assert listener(page=page).page.seconds == seconds


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1/32", "10.0.0.1"),
        ("FD00::/8", "fd00::/8"),
        ("0:0::1", "::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_a_network_has_one_spelling(written: str, plain: str) -> None:
    assert listener(accept_proxy=[written]).accept_proxy == (plain,)
    assert listener(accept_proxy=written).accept_proxy == (plain,), "one needs no list"
    assert rule(**{"from": written, "then": "close"}).source == (plain,)


# --- rules ---


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"then": "sleep"}, r"\.then: 'sleep' is none of wake, close, reset"),
        ({"then": "99 x"}, r"\.then: "),
        ({"then": "100 x"}, r"\.then: .* 200 to 599"),
        ({"then": "600 x"}, r"\.then: "),
        ({"then": "200\tx"}, r"\.then: "),
        ({"then": "200 a\r\nX: b"}, r"\.then: .* printable"),
        ({"then": "204 gone"}, r"\.then: .* has no body"),
        ({"then": "200 " + "x" * 1001}, r"\.then: .* up to 1000"),
        ({"then": 200}, r"\.then: expected a string, got 200"),
        ({"host": []}, r"\.host: an empty list"),
        ({"host": ["a", 5]}, r"\.host: expected a string or a list of strings"),
        ({"host": "example.org:80"}, r"\.host: .* without a port"),
        ({"host": "http://example.org/"}, r"\.host: .* without http://"),
        ({"host": "b\xfccher.example"}, r"\.host: .* \"xn--"),
        ({"host": "a b"}, r"\.host: .* is no host name"),
        ({"host": ""}, r"\.host: .* printable"),
        ({"host": "x" * 256}, r"\.host: 'x+': 1 to 255"),
        ({"server_name": "10.0.0.1"}, r"\.server_name: .* names only"),
        ({"server_name": "[::1]"}, r"\.server_name: .* names only"),
        ({"path": "healthz"}, r"\.path: .* begins with '/'"),
        ({"path": "/a?b=c"}, r"\.path: .* not looked at"),
        ({"path": "/a b"}, r"\.path: .* %20"),
        ({"user_agent": "a\nb"}, r"\.user_agent: .* printable"),
        ({"from": "localhost"}, r"\.from: .* neither an address"),
        ({"from": "fe80::1%eth0"}, r"\.from: .* neither an address"),
        ({"server_name": "a", "host": "a"}, r"\.server_name: .* never fits"),
        ({"server_name": "a", "then": "200 x"}, r"\.then: a TLS client cannot read"),
        ({"method": "GET"}, r"\.method: there is no such key"),
    ],
)
def test_a_rule_that_makes_no_sense(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadInput, match=rf"^listener\[0\]\.rule\[0\]{complaint}"):
        rule(**{"then": "close", **settings})


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        (
            [{"then": "close"}, {"host": "a", "then": "wake"}],
            r"rule\[0\]: it has no condition, so what follows",
        ),
        ([{"host": "a", "then": "wake"}], r'rule\[0\]: whom no rule fits wakes .* then = "close"'),
        ([{"path": "/x", "then": "close"}, {"host": "a", "then": "wake"}], r"rule\[1\]: whom no rule fits"),
        (
            [{"host": "A", "then": "wake"}, {"host": ["a"], "then": "reset"}, {"then": "close"}],
            r"rule\[1\]: it never counts, rule\[0\] has the same",
        ),
    ],
)
def test_rules_that_never_count(rules: list[dict[str, Any]], complaint: str) -> None:
    with pytest.raises(BadInput, match=rf"^listener\[0\]\.{complaint}"):
        listener(rule=rules)


@pytest.mark.parametrize(
    "settings", [{"host": "a"}, {"path": "/x"}, {"then": "200 x"}, {"then": "reset"}, {"server_name": "a"}]
)
def test_of_a_datagram_only_the_address_is_known(settings: dict[str, Any]) -> None:
    assert listener(UDP, rule=[{"from": "10.0.0.0/8", "then": "close"}])
    with pytest.raises(BadInput, match=r"^listener\[0\]\.rule\[0\]: UDP has"):
        listener(UDP, rule=[{"then": "close", **settings}])


def test_behind_a_path_only_a_header_has_an_address() -> None:
    rules = [{"from": "10.0.0.0/8", "then": "close"}]
    with pytest.raises(BadInput, match=r"^listener\[0\]\.rule\[0\]\.from: .* has no address"):
        listener(UNIX, rule=rules)
    assert listener(UNIX, rule=rules, accept_proxy=["unix"])


def test_a_rule_as_the_proxy_is_told() -> None:
    said = rule(path=["/healthz", "/status/*"], user_agent="*Kuma*", then="200 schl\xe4ft")
    assert said.word == (
        '{"path": ["/healthz", "/status/*"], "user_agent": ["*Kuma*"], "then": "200 schl\xe4ft"}'
    )


def test_who_judges() -> None:
    assert not listener().judges
    assert listener(wake_on="data").judges
    assert listener(rule=[{"then": "close"}]).judges
