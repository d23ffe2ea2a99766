"""One container a connection: what the service outlives, what it passes on, and how it comes and goes."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from lab import Lab
from tests.lab import clients
from tests.lab.connections import ECHO, RUNTIMES, PerConnection, heard, reset
from tests.lab.rounds import rounds
from tests.lab.services import AddService
from tests.lab.waiting import eventually
from wakeport.runtimes.removal import BACK_WITHIN

EVERY_RUNTIME = pytest.mark.parametrize("web", RUNTIMES, indirect=True)


@pytest.fixture
def web(request: pytest.FixtureRequest, lab: Lab) -> Iterator[PerConnection]:
    made = PerConnection(lab, getattr(request, "param", "docker"))
    yield made
    made.clean_up()


# What each says of it, in the journal.
NO_IMAGE = {"docker": "o such image", "podman": "image not known", "nspawn": "No such file or directory"}


@EVERY_RUNTIME
def test_the_port_survives_an_image_that_is_gone_and_a_crowd(web: PerConnection, lab: Lab) -> None:
    """More than systemd's own limits of starts would let through; each is closed without a byte."""
    web.tag("mine")
    web.add(ECHO, image="mine")
    web.untag("mine")
    answers = web.crowd([b"hello"] * rounds(40, full=400), at_once=10)
    assert {answer.data for answer in answers} == {b""}
    assert {answer.error for answer in answers} <= {"", "ECONNRESET", "EPIPE", "ENOTCONN"}
    assert "there is no image mine" in lab.run(["wakeport", "doctor", "web"], check=False).stdout
    web.nothing_is_left()
    web.tag("mine")
    assert web.talk(b"hello").endswith(b"\nhello")
    assert NO_IMAGE[web.runtime] in lab.run(["wakeport", "logs", "web"]).stdout
    web.nothing_is_left()
    web.untag("mine")


def test_the_port_survives_a_crowd_that_hangs_up_at_once(web: PerConnection) -> None:
    """250 in less than the 2 s in which systemd's usual limit lets 200 through."""
    web.add(ECHO)
    for _ in range(250):
        reset(web.connect())
    web.nothing_is_left()
    assert web.talk(b"hello").endswith(b"\nhello")


@pytest.mark.parametrize(
    "broken", ["ExecStart=\nExecStart=/there/is/none\n", "EnvironmentFile=/there/is/none\n"]
)
def test_an_instance_that_cannot_start_and_is_mended(web: PerConnection, broken: str) -> None:
    web.add(ECHO)
    web.drop_in(web.units.template, f"[Service]\n{broken}")
    for answer in web.crowd([b"hello"] * 20, at_once=5):
        assert answer.data == b""
    web.drop_in(web.units.template, "")
    assert web.talk(b"hello").endswith(b"\nhello")
    web.nothing_is_left()


def test_a_template_that_is_missing_closes_the_port_until_it_is_applied(web: PerConnection, lab: Lab) -> None:
    web.add(ECHO)
    (lab.root / "etc/systemd/system" / web.units.template).unlink()
    lab.run(["systemctl", "daemon-reload"])
    assert web.talk(b"hello") == b""
    eventually("it to be told", lambda: "failed" in lab.run(["wakeport", "status"]).stdout)
    found = lab.run(["wakeport", "doctor"], check=False).stdout
    assert "wakeport-web@.service is missing" in found
    assert "wakeport-web.socket has failed" in found
    lab.run(["wakeport", "apply"])
    assert web.talk(b"hello").endswith(b"\nhello")
    web.nothing_is_left()


def test_a_restart_of_docker(web: PerConnection, lab: Lab) -> None:
    """It takes its containers along, and whoever comes then is served."""
    web.add(["sh", "-c", "trap exit TERM; cat /etc/hostname; while read -r line; do echo $line; done"])
    with web.connect() as client:
        assert client.recv(100)
        lab.run(["systemctl", "restart", "docker.service"])
        assert heard(client) == b""
    assert web.talk(b"hello\n").endswith(b"\nhello\n")
    web.nothing_is_left()


def test_without_docker_each_is_closed_and_with_it_the_next_is_served(web: PerConnection, lab: Lab) -> None:
    """Closed at once, and not only when it is clear that no container is left behind."""
    web.add(ECHO)
    lab.run(["systemctl", "stop", "docker.socket", "docker.service"])
    for _ in range(3):
        assert web.talk(b"hello", within=BACK_WITHIN / 2) == b""
    lab.run(["systemctl", "start", "docker.socket", "docker.service"])
    assert web.talk(b"hello").endswith(b"\nhello")
    web.nothing_is_left()


@pytest.mark.usefixtures("live_restore")
def test_a_restart_of_a_docker_whose_containers_outlive_it(web: PerConnection, lab: Lab) -> None:
    web.add(ECHO)
    with web.connect() as client:
        assert client.recv(100)
        lab.run(["systemctl", "restart", "docker.service"])
        assert heard(client) == b""
        web.nothing_is_left()


@EVERY_RUNTIME
def test_words_reach_the_program_as_they_are(web: PerConnection) -> None:
    """Nothing of them is a specifier, a variable, an option or a shell's."""
    words = ["--rm", "%i", "$HOME", "${INVOCATION_ID}", "a;b", '"', "\\n", "", "ünï", "*", "{{.ID}}"]
    web.add(["python3", "-c", "import sys; print(sys.argv[1:])", *words])
    assert web.talk() == f"{words}\n".encode()


@EVERY_RUNTIME
def test_what_the_program_finds(web: PerConnection, lab: Lab) -> None:
    """Who its client is, no network but itself, no place to write to but a small one."""
    program = (
        "echo $REMOTE_ADDR; ls /sys/class/net; "
        "while read key value; do [ $key != NoNewPrivs: ] || echo $value; done </proc/self/status; "
        "echo x >/file || echo no; echo x >/tmp/file && echo yes; echo aside >&2"
    )
    web.add(["sh", "-c", program])
    with web.connect("127.0.0.7") as client:
        assert heard(client).split() == [b"127.0.0.7", b"lo", b"1", b"no", b"yes"]
    eventually("its word in the journal", lambda: "aside" in lab.run(["wakeport", "logs", "web"]).stdout)


@EVERY_RUNTIME
def test_what_one_writes_the_next_does_not_find(web: PerConnection) -> None:
    """Where it may write everywhere; with two at the same time, and then another."""
    web.add(["sh", "-c", "test ! -e /file && echo x >/file && echo $?; exec cat"], "read_only = false")
    with web.connect() as first, web.connect() as second:
        assert (first.recv(100), second.recv(100)) == (b"0\n", b"0\n")
    assert web.talk() == b"0\n"
    web.nothing_is_left()


@EVERY_RUNTIME
def test_on_a_path(web: PerConnection, lab: Lab) -> None:
    web.add(ECHO, listen="/run/web.sock")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(lab.root / "run/web.sock"))
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        assert heard(client).endswith(b"\nhello")
    web.nothing_is_left()


def test_a_bare_port_scan_starts_nothing(web: PerConnection) -> None:
    web.add(ECHO)
    path = web.lab.root / "etc/wakeport/web.toml"
    path.write_text(f'{path.read_text()}wake_on = "data"\n')
    web.lab.run(["wakeport", "apply", "web"])
    with web.connect() as silent:
        assert web.talk(b"hello").endswith(b"\nhello")
        assert web.of_socket("NAccepted") == "1"
        silent.sendall(b"at last")
        silent.shutdown(socket.SHUT_WR)
        assert heard(silent).endswith(b"\nat last")
    web.nothing_is_left()


def test_what_it_says_of_itself(web: PerConnection, lab: Lab) -> None:
    web.add(ECHO)
    assert "per connection, 0 running" in lab.run(["wakeport", "status"]).stdout
    with web.connect() as client:
        assert client.recv(100)
        assert "per connection, 1 running" in lab.run(["wakeport", "status"]).stdout
        lab.run(["systemctl", "stop", web.units.socket])
        assert "does not listen" in lab.run(["wakeport", "status"]).stdout
        lab.run(["systemctl", "start", web.units.socket])
    for verb in ("wake", "sleep", "keep", "release"):
        refusal = lab.run(["wakeport", verb, "web"], check=False)
        assert refusal.returncode == 2
        assert "a container of its own" in refusal.stderr
    doctor = lab.run(["wakeport", "doctor", "web"])
    assert "wrong " not in doctor.stdout
    assert lab.run(["wakeport", "diff"]).stdout == ""


def test_other_limits_count_at_once_and_cut_nobody(web: PerConnection) -> None:
    web.add(ECHO, "connections_max = 1")
    with web.connect() as client:
        assert client.recv(100)
        path = web.lab.root / "etc/wakeport/web.toml"
        path.write_text(path.read_text().replace("connections_max = 1", "connections_max = 2"))
        web.lab.run(["wakeport", "apply", "web"])
        assert web.talk(b"hello").endswith(b"\nhello")
        client.sendall(b"still here")
        assert client.recv(100) == b"still here"
    web.nothing_is_left()


@EVERY_RUNTIME
def test_its_end_is_theirs(web: PerConnection, lab: Lab) -> None:
    """Another's file is not touched, though it has a name that a shared container's unit would have."""
    foreign = lab.root / "etc/systemd/system/wakeport-web.service"
    foreign.write_text("[Service]\nExecStart=/bin/sleep infinity\n")
    web.add(ECHO)
    lab.run(["systemctl", "start", "wakeport-web.service"])
    with web.connect() as client:
        assert client.recv(100)
        if web.runtime == "podman":  # whose own service is asleep, mostly
            lab.run(["systemctl", "stop", "podman.service"])
        lab.run(["wakeport", "remove", "web"])
        assert heard(client) == b""
    assert not web.containers
    assert not web.instances
    assert not clients.accepts(lab)
    assert lab.run(["systemctl", "is-active", "wakeport-web.service"]).stdout == "active\n"
    found = lab.run(
        ["sh", "-c", "find /etc/systemd /usr/local/lib /run /etc/wakeport -name '*wakeport*' || true"]
    )
    assert [path for path in found.stdout.split() if "wakeport-web.service" not in path] == []
    foreign.unlink()


def test_from_one_for_all_to_one_for_each_and_back(service: AddService, web: PerConnection, lab: Lab) -> None:
    """Whoever connects meanwhile starts nothing again that has to go."""
    shared = service()
    before = (lab.root / "etc/wakeport/web.toml").read_text()
    assert shared.get().served
    each = 'mode = "per-connection"\nimage = "python"\ncommand = "cat /etc/hostname"\n'
    with clients.trickle(lab, every=0.2):
        (lab.root / "etc/wakeport/web.toml").write_text(f'{each}[[listener]]\non = "80"\n')
        lab.run(["wakeport", "apply", "web"])
    assert not shared.processes
    assert not shared.container_runs
    assert len(web.talk()) == len("0123456789ab\n")
    (lab.root / "etc/wakeport/web.toml").write_text(before)
    with clients.trickle(lab, every=0.2):
        lab.run(["wakeport", "apply", "web"])
    assert shared.get().served
    assert not web.containers
    assert not web.instances
    shared.falls_asleep()
