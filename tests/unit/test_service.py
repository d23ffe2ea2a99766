from __future__ import annotations

import pytest

from wakeport.errors import BadInput
from wakeport.place import Place
from wakeport.service import build, check_name, read

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
        ('runtime = "rkt"\n' + LISTENER, "runtime: 'rkt' is none of docker, "),
        ('proxy = "haproxy"\n' + LISTENER, "proxy: 'haproxy' is no proxy"),
        ('name = "other"\n' + LISTENER, "name: the file's own name"),
        (LISTENER + "to = 70000", r"listener\[0\].to: 70000: a port is"),
        (LISTENER + 'to = "80"', r"listener\[0\].to: '80' is neither a port .a number, without quotes"),
        ("idle = [", "is not TOML"),
        ('needs = "db"', "needs: expected a list, got a string"),
        ("needs = [5]", r"needs\[0\]: expected a string, got a whole number"),
        ('needs = ["db", "../x"]', r"needs\[1\]: '../x' cannot be the name of a service"),
        ('needs = ["db", "db"]', "needs: 'db' stands there twice"),
        (LISTENER + '[[listener]]\non = "127.0.0.1:80"', "want the same port"),
        ("hold_max = 0\n" + LISTENER, "hold_max: 0 is no number of clients"),
        ('hold_max = "9"\n' + LISTENER, "hold_max: expected a whole number, got '9'"),
        ("hold_max = true\n" + LISTENER, "hold_max: expected a whole number, got True"),
        ('hold_for = "0s"\n' + LISTENER, "hold_for: '0s' leaves no time"),
        ("allow = []\n" + LISTENER, "allow: an empty list fits nothing"),
        ('allow = "unix"\n' + LISTENER, "allow: 'unix' is neither an address nor a network"),
        ('allow = "10.0.0.7/8"\n' + LISTENER, 'allow: .* write "10.0.0.0/8", or "10.0.0.7"'),
        ('allow = "::1"\n[[listener]]\non = "/run/a"', "allow: no listener is a port"),
        ('allow = "::1"', "allow: no listener is a port"),
        (
            'allow = "10.0.0.0/8"\n' + LISTENER + 'accept_proxy = ["192.0.2.1", "::1"]',
            'allow: it has none of those from whom alone "80" takes clients',
        ),
        ('[listener]\non = "80"', r"listener: there may be several, .* \[\[listener\]\]"),
        (LISTENER + "listener.rule = 1", "is not TOML|there is no such key"),
        (LISTENER + '[listener.rule]\nthen = "wake"', r"listener\[0\].rule: .* \[\[listener.rule\]\]"),
        (LISTENER + 'idle = "5min"', r"listener\[0\].idle: there is no such key here; .* above the first"),
        ('page = "on"\n' + LISTENER, r"page: there is no such key here; .* below a \[\[listener\]\]"),
        (LISTENER + '[[rule]]\nthen = "wake"', r"rule: there is no such key here; .* below a \[\[listener"),
        (
            LISTENER + '[[listener.rule]]\nthen = "close"\nto = 80',
            r"rule\[0\].to: .* below a \[\[listener\]\]",
        ),
        (LISTENER + '[[listener.rule]]\nhost = "a"', r"listener\[0\].rule\[0\].then: is missing"),
        ('ready = "http:/"\n[[listener]]\non = "53/udp"', "ready: HTTP is asked of a TCP port"),
        ('ready = "http:/"\n[[listener]]\non = "80"\nto = "/run/a"', "ready: HTTP is asked of a TCP port"),
        (
            '[[listener]]\non = "/run/a"\n[[listener]]\non = "80"\nto = "/run/a"',
            r"listener\[1\].to: .* this very",
        ),
    ],
)
def test_wrong_settings_are_refused_with_file_and_key(text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=f"^web.toml:? ?.*{complaint}") as refusal:
        read("web", text, "web.toml")
    assert "\n" not in refusal.value.fact
    assert refusal.value.hint


@pytest.mark.parametrize("written", ["10.1.0.0/16", ["::ffff:10.1.0.0/112", "10.1.0.0/16"]])
def test_who_may_come_is_said_in_one_plain_spelling_each_once(written: object) -> None:
    listeners = [{"on": "80", "accept_proxy": ["::1", "10.1.2.3"]}, {"on": "/run/a", "accept_proxy": "unix"}]
    service = build("web", {"allow": written, "listener": listeners})
    assert service.allow == ("10.1.0.0/16",)
    assert build("web", {"listener": listeners}).allow == ()


UNIX = '[[listener]]\non = "/run/{}.sock"\n{}\n'


@pytest.mark.parametrize(
    ("first", "second", "agree"),
    [
        ("", "", True),
        ('mode = "0660"', 'mode = "660"', True),
        ('mode = "0666"', "", True),
        ('owner = "root"', 'owner = "root"\nmode = "0660"', True),
        ('mode = "0660"', "", False),
        ('owner = "root"', "", False),
        ('owner = "root"', 'owner = ":root"', False),
    ],
)
def test_the_unix_sockets_of_a_service_are_open_to_the_same(first: str, second: str, agree: bool) -> None:
    text = LISTENER + UNIX.format("a", first) + UNIX.format("b", second)
    if agree:
        assert len(read("web", text, "web.toml").listener) == 3
    else:
        with pytest.raises(BadInput, match=r'"/run/a.sock" and "/run/b.sock" differ in mode or owner'):
            read("web", text, "web.toml")


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"hold_max": 5}, "hold_max"),
        ({"hold_for": "5s"}, "hold_for"),
        ({"allow": ["10.0.0.0/8"]}, "allow"),
        ({"listener": [{"on": "53/udp"}]}, r"listener\[0\].on"),
        ({"listener": [{"on": "80", "send_proxy": "v1"}]}, r"listener\[0\].send_proxy"),
        ({"listener": [{"on": "80", "accept_proxy": ["10.0.0.1"]}]}, r"listener\[0\].accept_proxy"),
        ({"listener": [{"on": "80"}, {"on": "81", "page": "on"}]}, r"listener\[1\].page"),
        ({"listener": [{"on": "80", "wake_on": "data"}]}, r"listener\[0\].wake_on"),
        ({"listener": [{"on": "80", "rule": [{"then": "close"}]}]}, r"listener\[0\].rule"),
    ],
)
def test_the_classic_shape_refuses_what_it_cannot_do(settings: dict[str, object], key: str) -> None:
    wanted = {"listener": [{"on": "80"}], **settings}
    assert build("web", wanted)
    with pytest.raises(BadInput, match=rf'^{key}: .*; with proxy = "systemd-socket-proxyd" that does not'):
        build("web", {**wanted, "proxy": "systemd-socket-proxyd"})


def test_the_classic_shape_has_unix_sockets_on_both_sides() -> None:
    unix = {"on": "/run/a", "mode": "0600", "owner": "root:root", "to": "/run/b"}
    assert build("web", {"proxy": "systemd-socket-proxyd", "listener": [unix]})


@pytest.mark.parametrize("name", [*NASTY, "web-container", "web-keep", "web.lease", "x" * 65, "é"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(BadInput):
        check_name(name)


@pytest.mark.parametrize("name", [*NASTY, "x", "é"])
def test_a_bad_container_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match=r"^container: "):
        build("web", {"container": name, "listener": [{"on": "80"}]})
