from __future__ import annotations

import contextlib
from typing import Any

import pytest
import tomllib
from hypothesis import given
from hypothesis import strategies as st

from wakeport.errors import BadInput
from wakeport.place import Place, split_target
from wakeport.service import build, check_name, read
from wakeport.written import write

LISTENER = '[[listener]]\non = "80"\n'

NASTY = [
    "a b",
    "a\nb",
    "[Service]",
    "a\n[Service]\nUser=root",
    "%n",
    "$HOME",
    "a'b",
    'a"b',
    "a\\",
    "",
    "-a",
    "../a",
    "a;b",
]


def test_everything_but_the_listener_has_a_default() -> None:
    service = read("web", LISTENER, "web.toml")
    assert (service.name, service.container, service.runtime, service.ready) == (
        "web",
        "web",
        "docker",
        "connect",
    )
    assert (service.ready_within.seconds, service.idle.seconds, service.adopt, service.proxy) == (
        90,
        600,
        False,
        "wakeport",
    )
    assert service.listener[0].on == Place(port=80)
    assert service.listener[0].to is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("on = 80", "on: there is no such key"),
        (LISTENER + "too = 80", r"listener\[0\].too: there is no such key"),
        ('idle = "ten"\n' + LISTENER, "idle: 'ten' is not a time span"),
        ("idle = 0\n" + LISTENER, "idle: '0' leaves no time"),
        ('ready_within = "infinity"\n' + LISTENER, "ready_within: 'infinity' is no deadline"),
        ('ready = "http:index"\n' + LISTENER, "ready: 'http:index' is none of"),
        ('ready = "exec: "\n' + LISTENER, "ready: 'exec: ' is none of"),
        ('ready = "exec:a\\nb"\n' + LISTENER, "ready: .* cannot be printed"),
        ('ready = "exec:echo \'x"\n' + LISTENER, "ready: .* is none of"),
        ('adopt = "yes"\n' + LISTENER, "adopt: expected true or false, got a string"),
        ("container = 5\n" + LISTENER, "container: expected a string"),
        ('runtime = "podman"\n' + LISTENER, "runtime: podman is not there yet"),
        ('runtime = "rkt"\n' + LISTENER, "runtime: 'rkt' is no runtime"),
        ('proxy = "haproxy"\n' + LISTENER, "proxy: 'haproxy' is no proxy"),
        ('name = "other"\n' + LISTENER, "name: the file's own name"),
        (LISTENER + "to = 70000", r"listener\[0\].to: 70000: a port is"),
        (LISTENER + 'to = "80"', r"listener\[0\].to: '80': a port is a number, without quotes"),
        ("idle = [", "is not TOML"),
        ("", "listener: is missing"),
        ("listener = []", "at least one"),
        (LISTENER + '[[listener]]\non = "127.0.0.1:80"', "want the same port"),
    ],
)
def test_wrong_settings_are_refused_with_file_and_key(text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=f"^web.toml:? ?.*{complaint}") as refusal:
        read("web", text, "web.toml")
    assert "\n" not in refusal.value.fact
    assert refusal.value.hint


@pytest.mark.parametrize("name", [*NASTY, "web-container", "web.lease", "x" * 65, "é"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(BadInput):
        check_name(name)


@pytest.mark.parametrize("name", [*NASTY, "x", "é"])
def test_a_bad_container_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match=r"^container: "):
        build("web", {"container": name, "listener": [{"on": "80"}]})


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("80", Place(80)),
        ("80/tcp", Place(80)),
        ("127.0.0.1:80", Place(80, "127.0.0.1")),
        ("[::1]:80", Place(80, "::1")),
        ("[0:0::1]:80", Place(80, "::1")),
        ("/run/a b%$.sock", Place(path="/run/a b%$.sock")),
    ],
)
def test_places(text: str, place: Place) -> None:
    assert Place.parse(text) == place
    assert Place.parse(str(place)) == place


NO_PLACES = [
    *("", "0", "65536", "http", ":80", "1.2.3:80", "[127.0.0.1]:80", "::1:80", "80 ", "80\n", "٨٠"),
    *(
        "run/x",
        "/",
        "//x",
        "/run/",
        "/run/../x",
        "/run/a\\",
        "/run/a ",
        "/run/a\nListenStream=1",
        "/" + "x" * 107,
    ),
]


@pytest.mark.parametrize("text", NO_PLACES)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Place.parse(text)


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("80", "80", True),
        ("80", "81", False),
        ("80", "127.0.0.1:80", True),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        ("0.0.0.0:80", "127.0.0.1:80", True),
        ("0.0.0.0:80", "[::1]:80", False),
        ("[::]:80", "127.0.0.1:80", True),
        ("[::1]:80", "127.0.0.1:80", False),
        ("/a", "/a", True),
        ("/a", "80", False),
    ],
)
def test_overlap(one: str, other: str, overlap: bool) -> None:
    assert Place.parse(one).overlaps(Place.parse(other)) is overlap
    assert Place.parse(other).overlaps(Place.parse(one)) is overlap


def test_what_listen_takes() -> None:
    assert split_target("80") == (Place(80), None)
    assert split_target("[::1]:80=8080") == (Place(80, "::1"), 8080)
    assert split_target("/run/a=b.sock=80") == (Place(path="/run/a=b.sock"), 80)
    assert split_target("/run/a=b.sock") == (Place(path="/run/a=b.sock"), None)
    for wrong in ("80=", "80=http", "80=0", "80=65536", "=80"):
        with pytest.raises(ValueError, match=r"."):
            split_target(wrong)


names = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,20}", fullmatch=True)
commands = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1).map("exec:{}".format)
places = st.integers(1, 65535).map(str) | st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).map(
    "/{}".format
)


@given(
    container=names,
    ready=st.sampled_from(["connect", "health", "http:/x"]) | commands,
    idle=st.integers(1, 10**9).map("{}ms".format),
    adopt=st.booleans(),
    proxy=st.sampled_from(["wakeport", "systemd-socket-proxyd"]),
    on=places,
    to=st.none() | st.integers(1, 65535),
)
def test_what_is_written_is_read_back(on: str, to: int | None, **settings: Any) -> None:
    listener = {"on": on} | ({"to": to} if to else {})
    try:
        service = build("web", {**settings, "listener": [listener]})
    except BadInput:
        return
    text = write(service)
    assert read("web", text, "web.toml") == service
    assert set(tomllib.loads(text)) <= {"container", "ready", "idle", "adopt", "proxy", "listener"}


def test_defaults_are_not_written() -> None:
    text = write(read("web", f'container = "web"\nidle = "600s"\nready_within = 90\n{LISTENER}', "web.toml"))
    assert tomllib.loads(text) == {"listener": [{"on": "80"}]}


@given(st.text(max_size=200))
def test_any_text_is_settings_or_bad_input(text: str) -> None:
    with contextlib.suppress(BadInput):
        read("web", text, "web.toml")
