"""What cannot work is refused: an exit code, one line that says what is, one what to do, nothing written."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from lab import Lab
from tests.lab.programs import READY_LATER, python
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.services import AddService
from tests.lab.traces import files_and_accounts
from tests.lab.waiting import eventually

BAD_INPUT, NOT_THERE, NO_RIGHTS, IN_THE_WAY, OUT_OF_REACH = 2, 3, 4, 5, 6  # wakeport(1), "Exit status"

UNIT = "etc/systemd/system/wakeport-web.service"


def refused(lab: Lab, *command: str, user: str | None = None) -> tuple[int, str]:
    """Exit code and first line; holds the command to the form of a refusal, and to leaving no trace."""
    before = files_and_accounts(lab)
    done = lab.run(["wakeport", *command], check=False, user=user)
    fact, hint = done.stderr.splitlines()
    assert fact.startswith("wakeport: ")
    assert hint.startswith("  ")
    assert hint.strip()
    assert done.stdout == ""
    # What others have there for a moment goes again.
    eventually("no trace", lambda: files_and_accounts(lab) == before, within=10)
    return done.returncode, fact


@pytest.fixture
def web(lab: Lab) -> Lab:
    """A lab with a container `web` that could be added."""
    lab.create("web")
    return lab


def test_missing_container(lab: Lab) -> None:
    code, fact = refused(lab, "add", "web", "--listen=80")
    assert code == NOT_THERE
    assert "no container web" in fact


def test_docker_that_does_not_run(web: Lab) -> None:
    web.run(["systemctl", "stop", "docker.socket", "docker.service"])
    code, fact = refused(web, "add", "web", "--listen=80")
    web.run(["systemctl", "start", "docker.socket", "docker.service"])
    assert code == OUT_OF_REACH
    assert "Docker does not answer" in fact


def test_taken_port(web: Lab) -> None:
    with web.popen(["nc", "-lk", "80"]) as other:
        web.run(["sh", "-c", "until nc -z localhost 80; do sleep 0.05; done"])
        code, fact = refused(web, "add", "web", "--listen=80")
        other.kill()
    assert code == IN_THE_WAY
    assert "port 80 is taken by nc" in fact


def test_taken_udp_port(web: Lab) -> None:
    """Whoever holds the TCP port of that number is no obstacle, and the other way round."""
    program = "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 53)); input()"
    with web.popen(["python3", "-c", program], stdin=subprocess.PIPE) as other:
        web.run(["sh", "-c", "until ss -Hlnu | grep -q :53; do sleep 0.05; done"])
        code, fact = refused(web, "add", "web", "--listen=53/udp=53")
        web.run(["wakeport", "add", "web", "--listen=53=80"])
        other.kill()
    assert code == IN_THE_WAY
    assert "port 53/udp is taken by python3" in fact


def test_port_of_another_service(web: Lab, service: AddService) -> None:
    service("other", listen=80)
    code, fact = refused(web, "add", "web", "--listen=80")
    assert code == IN_THE_WAY
    assert "other" in fact


def test_port_that_the_container_publishes(lab: Lab) -> None:
    lab.create("web", "--publish=80:80")
    code, fact = refused(lab, "add", "web", "--listen=80")
    assert code == IN_THE_WAY
    assert "publishes port 80 itself" in fact


def test_udp_port_that_the_container_publishes(lab: Lab) -> None:
    lab.create("web", "--publish=53:53/udp", "--expose=53/udp")
    code, fact = refused(lab, "add", "web", "--listen=127.0.0.1:53/udp")
    assert code == IN_THE_WAY
    assert "publishes port 53/udp itself" in fact


def test_udp_port_of_which_the_image_says_nothing(web: Lab) -> None:
    code, fact = refused(web, "add", "web", "--listen=53/udp")
    assert code == BAD_INPUT
    assert "exposes no UDP port" in fact


def test_container_that_its_first_sleep_would_remove(lab: Lab) -> None:
    """It was accepted, and missing from its first sleep on."""
    lab.create("web", "--rm")
    _, fact = refused(lab, "add", "web", "--listen=80")
    assert "was made with --rm" in fact


def test_service_that_is_there_already(web: Lab) -> None:
    web.run(["wakeport", "add", "web", "--listen=80"])
    code, fact = refused(web, "add", "web", "--listen=81")
    assert code == IN_THE_WAY
    assert "service web already" in fact


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../web",
        "a b",
        "a%n",
        "a$HOME",
        'a"b',
        "a'b",
        "a\nb",
        "web\n[Service]\nUser=root",
        "-x",
        "w-container",
        "w" * 65,
    ],
)
def test_bad_name(web: Lab, name: str) -> None:
    code, _ = refused(web, "add", "--container=web", "--listen=80", "--", name)
    assert code == BAD_INPUT


@pytest.mark.parametrize(
    "option",
    [
        "--idle=soon",
        "--idle=-5s",
        "--idle=0",
        "--ready-within=infinity",
        "--ready=perhaps",
        "--ready=exec:true\n[Service]\nUser=root",
        "--ready=http:/a b",
        "--proxy=other",
        "--runtime=other",
        "--listen=0",
        "--listen=65536",
        "--listen=::1:80",
        "--listen=80=none",
        "--listen=/run/a\nListenStream=81",
        "--listen=/run/../etc/web.sock",
        "--listen=web.sock",
        "--listen=53/sctp",
        "--listen=53/udp=/run/x.sock",
        "--listen=81=/tmp/x.sock",
        "--listen=8080/udp=0",
        "--container=a b",
        "--nonsense",
    ],
)
def test_bad_option(web: Lab, option: str) -> None:
    code, _ = refused(web, "add", "web", "--listen=8080", option)
    assert code == BAD_INPUT


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("idel = '5min'\n[[listener]]\non = '80'", "idel"),
        ("[[listener]]\non = '80'\nport = 80", "port"),
        ("idle = 5min\n[[listener]]\non = '80'", "TOML"),
        ("idle = 'soon'\n[[listener]]\non = '80'", "idle"),
        ("adopt = 'yes'\n[[listener]]\non = '80'", "adopt"),
        ("needs = 'db'\n[[listener]]\non = '80'", "needs"),
        ("needs = ['a b']", "needs[0]: 'a b' cannot be the name of a service"),
        ("[[listener]]\non = '80'\nidle = '5min'", "listener[0].idle: there is no such key here"),
        ("[[listener]]\non = '53/udp'\npage = 'on'", "listener[0].page: a browser does not come by UDP"),
        ("[[listener]]\non = '80'\n[[listener.rule]]\nhost = 'a'\nthen = 'wake'", "whom no rule fits"),
        ("\x00\xff", "TOML"),
    ],
)
def test_settings_that_make_no_sense(web: Lab, text: str, says: str) -> None:
    settings = web.root / "etc/wakeport/web.toml"
    settings.parent.mkdir()
    settings.write_bytes(text.encode("latin-1"))
    for command in (["apply", "web"], ["check", "/etc/wakeport/web.toml"], ["diff", "web"]):
        code, fact = refused(web, *command)
        assert code == BAD_INPUT
        assert "/etc/wakeport/web.toml" in fact
        assert says in fact


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("on = '/run/web.sock'\nowner = 'nobody-of-that-name'", "there is no user nobody-of-that-name"),
        ("on = '/run/web.sock'\nowner = ':nogroup-of-that-name'", "there is no group nogroup-of-that-name"),
        ("on = '80'\npage = 'on'\npage_file = '/etc/wakeport/none.html'", "there is no file"),
        ("on = '80'\npage = 'on'\npage_file = '/etc/shadow'", "may not read /etc/shadow"),
        ("on = '80'\npage = 'on'\npage_file = '/etc/wakeport/link.html'", "is a link to '/root"),
    ],
)
def test_settings_that_this_machine_cannot_follow(web: Lab, line: str, says: str) -> None:
    settings = web.root / "etc/wakeport/web.toml"
    settings.parent.mkdir()
    settings.with_name("link.html").symlink_to("/root/page.html")
    settings.write_text(f"[[listener]]\n{line}\nto = 80\n")
    code, fact = refused(web, "apply", "web")
    assert code == BAD_INPUT
    assert says in fact


@pytest.fixture
def foreign_unit(web: Lab) -> Iterator[None]:
    unit = web.root / UNIT
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    yield
    assert unit.read_text() == "[Service]\nExecStart=/bin/true\n"
    unit.unlink()


@pytest.mark.usefixtures("foreign_unit")
def test_foreign_unit_in_the_way(web: Lab) -> None:
    code, fact = refused(web, "add", "web", "--listen=80")
    assert code == IN_THE_WAY
    assert f"/{UNIT}" in fact


def test_no_rights(web: Lab) -> None:
    code, _ = refused(web, "add", "web", "--listen=80", user="nobody")
    assert code == NO_RIGHTS
    web.run(["wakeport", "add", "web", "--listen=80"])
    for verb in ("apply", "remove", "wake"):
        code, _ = refused(web, verb, "web", user="nobody")
        assert code == NO_RIGHTS


def directives(lab: Lab) -> list[str]:
    """Section and key of every line of the four units, in their order."""
    lines = []
    for unit in sorted((lab.root / "etc/systemd/system").glob("wakeport-web*.s*")):
        if unit.is_file():
            lines += [line.partition("=")[0] for line in unit.read_text().splitlines()]
    return lines


def test_odd_characters_are_only_ever_text(web: Lab) -> None:
    """Specifiers, variables, quotes, blanks and section names arrive as they were typed."""
    web.run(["wakeport", "add", "web", "--listen=/run/web.sock", "--ready=exec:true"])
    plain = directives(web)
    web.run(["wakeport", "remove", "web"])
    web.docker("rm", "web")
    web.create("web", DIES_AT_ONCE, image="python", command=python(READY_LATER))
    path = "/run/a %n $HOME ${PATH} \"q\" 'r' [Service] ;#.sock"
    odd = r"""a%n%%b $HOME ${PATH} "c" \t [Service];#"""
    writes = 'import os, sys; os.mkdir("/tmp/made"); open("/tmp/made/it", "w").write(sys.argv[1])'
    ready = f"exec:python3 -c '{writes}' '{odd}'"
    web.run(["wakeport", "add", "web", f"--listen={path}=80", f"--ready={ready}"])
    assert directives(web) == plain
    said = web.run(["curl", "--silent", "--show-error", "--unix-socket", path, "http://web/"]).stdout
    assert said in ("ready", "too early")
    assert web.docker("exec", "web", "cat", "/tmp/made/it") == odd
