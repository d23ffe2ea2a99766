"""What is written as settings is read back as it was; and no text at all breaks the reader."""

from __future__ import annotations

import contextlib
from typing import Any

import tomllib
from hypothesis import given
from hypothesis import strategies as st

from wakeport.errors import BadInput
from wakeport.service import build, read
from wakeport.written import write

LISTENER = '[[listener]]\non = "80"\n'

names = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,20}", fullmatch=True)
anything = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
commands = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1).map("exec:{}".format)
ports = st.integers(1, 65535)
paths = anything.map("/{}".format)
spans = st.integers(1, 10**9).map("{}ms".format)
networks = st.ip_addresses().map(str) | st.ip_addresses(v=4).map("{}/32".format) | st.just("10.0.0.0/8")
globs = st.from_regex(r"(\*\.)?[a-zA-Z0-9_-]{1,10}(\.[a-z*]{1,5}){0,3}", fullmatch=True)


def some(strategy: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return strategy | st.lists(strategy, min_size=1, max_size=3)


thens = st.sampled_from(["wake", "close", "reset", "204"]) | anything.map("200 {}".format)
rules = st.fixed_dictionaries(
    {"then": thens},
    optional={
        "from": some(networks),
        "server_name": some(globs),
        "host": some(globs),
        "path": some(paths),
        "user_agent": some(anything),
    },
)
accounts = st.sampled_from(["root", "root:adm", ":adm", "www-data"])
listeners = st.fixed_dictionaries(
    {"on": ports.map(str) | ports.map("127.0.0.1:{}".format) | ports.map("{}/udp".format) | paths},
    optional={
        "to": ports | paths,
        "mode": st.sampled_from(["0666", "660", "0600"]),
        "owner": accounts,
        "send_proxy": st.sampled_from(["off", "v1", "v2"]),
        "accept_proxy": some(networks | st.just("unix")),
        "page": st.sampled_from(["off", "on"]) | spans,
        "page_file": paths,
        "wake_on": st.sampled_from(["connect", "data"]),
        "flow_idle": spans,
        "rule": st.lists(rules, max_size=3),
    },
)
traffic = st.builds("{}{} in {}".format, st.integers(1, 10**9 - 1), st.sampled_from("KMGT"), spans)
busy = st.fixed_dictionaries(
    {},
    optional={
        "connections": st.just("open") | traffic,
        "silent": st.sampled_from(["stop", "doze"]),
        "cpu": st.integers(1, 1000).map("{}%".format),
        "check": st.just("http:/busy") | commands,
    },
)
windows = st.sampled_from(["Mon..Fri 08:00-18:00", "22:00-6:00", "Sun,Sat 00:00:30-24:00"])
SERVICE = {
    "busy": busy,
    "doze": spans | st.just("infinity"),
    "container": names,
    "ready": st.sampled_from(["connect", "health", "http:/x"]) | commands,
    "ready_within": spans,
    "idle": spans,
    "adopt": st.booleans(),
    "keep": some(windows),
    "hold_max": st.integers(1, 10**6),
    "hold_for": spans | st.just("infinity"),
    "needs": st.lists(names, max_size=3),
    "allow": some(networks),
    "proxy": st.sampled_from(["wakeport", "systemd-socket-proxyd"]),
}


EACH = {
    "image": names,
    "command": st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1),
    "connections_max": st.integers(1, 10**6),
    "connections_max_per_source": st.integers(1, 10**6),
    "time_max": spans | st.just("infinity"),
    "network": names,
    "memory_max": st.integers(1, 10**9 - 1).map("{}M".format),
    "cpu_max": st.integers(1, 1000).map("{}%".format),
    "processes_max": st.integers(1, 10**6),
    "read_only": st.booleans(),
}


def comes_back(settings: dict[str, Any]) -> bool:
    """Whether it was a service at all; what is none was refused as it should be."""
    try:
        service = build("web", settings)
    except BadInput:
        return False
    text = write(service)
    assert read("web", text, "web.toml") == service
    assert write(read("web", text, "web.toml")) == text
    return True


@given(st.fixed_dictionaries({}, optional=SERVICE))
def test_what_is_written_of_a_service_is_read_back(settings: dict[str, Any]) -> None:
    comes_back({**settings, "listener": [{"on": "80"}]})


@given(st.fixed_dictionaries({}, optional=SERVICE))
def test_what_is_written_of_a_service_without_listeners_is_read_back(settings: dict[str, Any]) -> None:
    comes_back(settings)


@given(st.fixed_dictionaries({}, optional=EACH))
def test_what_is_written_of_one_container_a_connection_is_read_back(settings: dict[str, Any]) -> None:
    comes_back({"mode": "per-connection", "image": "x", **settings, "listener": [{"on": "80"}]})


@given(listeners)
def test_what_is_written_of_a_listener_is_read_back(listener: dict[str, Any]) -> None:
    """Key by key as well: of all keys together hardly a listener makes sense."""
    for key, setting in listener.items():
        comes_back({"listener": [{"on": listener["on"], key: setting}]})
    comes_back({"listener": [listener]})


@given(st.lists(rules, min_size=1, max_size=3))
def test_what_is_written_of_rules_is_read_back(several: list[dict[str, Any]]) -> None:
    comes_back({"listener": [{"on": "80", "rule": [*several, {"then": "close"}]}]})


def test_everything_at_once_comes_back() -> None:
    stream = {
        "to": "/run/app/a.sock",
        "send_proxy": "v2",
        "accept_proxy": ["unix"],
        "page": "3s",
        "page_file": "/etc/wakeport/page.html",
        "wake_on": "data",
    }
    several = [
        {"path": "/healthz", "then": '200 asleep \u00e9 \\ " %'},
        {"from": ["10.0.0.0/8", "fd00::/8"], "user_agent": "*Uptime*", "then": "reset"},
        {"server_name": ["Example.org", "*.example.org"], "then": "wake"},
        {"then": "close"},
    ]
    unix = {"on": "/run/a.sock", "mode": "0660", "owner": "root:adm", **stream, "rule": several}
    udp = {"on": "53/udp", "to": 53, "flow_idle": "5s", "rule": [{"from": "10.0.0.1", "then": "close"}]}
    assert comes_back({"hold_max": 7, "hold_for": "1min", "ready": "health", "listener": [unix, udp]})


def test_defaults_are_not_written() -> None:
    said = 'hold_max = 16384\nhold_for = "infinity"\ncontainer = "web"\nidle = "600s"\nready_within = 90\n'
    said += "needs = []\n"
    udp = '[[listener]]\non = "53/udp"\nflow_idle = "60"\n'
    more = 'send_proxy = "off"\npage = "off"\nwake_on = "connect"\nrule = []\n'
    text = write(read("web", said + LISTENER + more + udp, "web.toml"))
    assert tomllib.loads(text) == {"listener": [{"on": "80"}, {"on": "53/udp"}]}


@given(st.text(max_size=200))
def test_any_text_is_settings_or_bad_input(text: str) -> None:
    with contextlib.suppress(BadInput):
        read("web", text, "web.toml")


toml = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | anything,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(anything, inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from([*SERVICE, *EACH, "mode", "listener"]) | anything, toml)
def test_any_value_of_any_key_is_a_setting_or_bad_input(key: str, value: Any) -> None:
    comes_back({"listener": [{"on": "80"}], key: value})


@given(
    st.sampled_from(["/run/a", "80", "53/udp"]), st.sampled_from(["to", "mode", "page", "rule", "on"]), toml
)
def test_any_value_of_any_key_of_a_listener_is_one_or_bad_input(on: str, key: str, value: Any) -> None:
    comes_back({"listener": [{"on": on, key: value}]})


@given(st.sampled_from(["from", "server_name", "host", "path", "user_agent", "then"]), toml)
def test_any_value_of_any_key_of_a_rule_is_one_or_bad_input(key: str, value: Any) -> None:
    comes_back({"listener": [{"on": "80", "rule": [{"then": "close", key: value}]}]})
