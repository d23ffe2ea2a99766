"""ssh, scp and sftp: a server that speaks first, long silences, and an end of each direction by itself."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab import Lab
from tests.lab.rounds import rounds
from tests.lab.services import AddService, Service

FILE = rounds(16, full=256)  # MiB
SLEEPS = rounds(1, full=3)
QUIET = rounds(2, full=180)  # seconds without a byte in either direction
# From the eleventh on that has not logged in yet, sshd drops some (MaxStartups in sshd_config(5)). The
# question whether it is ready counts: with ten sessions one was dropped.
SESSIONS = 9

OPTIONS = ["-F", "none", "-i", "/run/ssh/key", "-o", "UserKnownHostsFile=/run/ssh/known_hosts"]
OPTIONS += ["-o", "StrictHostKeyChecking=accept-new", "-o", "BatchMode=yes"]


@pytest.fixture(scope="module")
def image(shared_lab: Lab) -> str:
    shared_lab.load("sshd")
    return "sshd"


@pytest.fixture
def keys(lab: Lab) -> Iterator[Path]:
    directory = lab.root / "run/ssh"
    directory.mkdir(mode=0o700)
    lab.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/run/ssh/key"])
    yield directory
    lab.run(["rm", "-r", "/run/ssh"])


@pytest.fixture
def shell(service: AddService, image: str, keys: Path) -> Service:
    key = f"--volume=/run/{keys.name}/key.pub:/root/.ssh/authorized_keys:ro"
    return service("shell", listen=2222, to=22, image=image, create=[key], idle="1s")


def ssh(shell: Service, command: str, *options: str) -> subprocess.CompletedProcess[str]:
    return shell.lab.run(["ssh", *OPTIONS, *options, "-p2222", "lab", command])


def test_the_first_login_wakes_and_its_exit_code_comes_back(shell: Service) -> None:
    assert shell.is_asleep
    for _ in ("cold", "warm"):
        assert ssh(shell, "echo it is $((6 * 7))").stdout == "it is 42\n"
    ended = shell.lab.run(["ssh", *OPTIONS, "-p2222", "lab", "cat; exit 7"], input="to the end", check=False)
    assert (ended.stdout, ended.returncode) == ("to the end", 7)
    shell.falls_asleep()


@pytest.mark.parametrize("copy", [["scp"], ["scp", "-O"]], ids=["over sftp", "over its old protocol"])
def test_a_file_there_and_back(shell: Service, keys: Path, copy: list[str]) -> None:
    content = os.urandom(FILE << 20)
    (keys / "sent").write_bytes(content)
    for _ in range(SLEEPS):
        assert shell.is_asleep
        for _ in ("cold", "warm"):
            shell.lab.run([*copy, *OPTIONS, "-P2222", "/run/ssh/sent", "lab:/root/file"], timeout=300)
            shell.lab.run([*copy, *OPTIONS, "-P2222", "lab:/root/file", "/run/ssh/got"], timeout=300)
            assert (keys / "got").read_bytes() == content
        digest = ssh(shell, "sha256sum </root/file").stdout.split()[0]
        assert digest == hashlib.sha256(content).hexdigest()
        shell.falls_asleep()


def test_a_silent_session_keeps_it_awake(shell: Service) -> None:
    """The first client's session, in which nobody types for longer than `idle`."""
    command = ["ssh", *OPTIONS, "-p2222", "lab", "cat"]
    with shell.lab.popen(command, stdin=subprocess.PIPE) as session:
        assert session.stdin is not None
        assert session.stdout is not None
        shell.reaches("awake")
        shell.stays_awake(QUIET)
        session.stdin.write("anybody there?\n")
        session.stdin.flush()
        assert session.stdout.readline() == "anybody there?\n"
        session.stdin.close()
        assert session.wait(30) == 0
    shell.falls_asleep()


def test_a_forwarded_port_is_one_more_connection_within_the_first(shell: Service) -> None:
    """Through `ssh -L`, to the same service: its inner login is a second client of the port."""
    forward = ["ssh", *OPTIONS, "-p2222", "-L", "2200:127.0.0.1:22", "lab", "echo ready; cat"]
    with shell.lab.popen(forward, stdin=subprocess.PIPE) as outer:
        assert outer.stdin is not None
        assert outer.stdout is not None
        assert outer.stdout.readline() == "ready\n"
        inner = shell.lab.run(["ssh", *OPTIONS, "-p2200", "lab", "cat"], input="within\n" * 10_000)
        assert inner.stdout == "within\n" * 10_000
        outer.stdin.close()
        assert outer.wait(30) == 0
    shell.falls_asleep()


def test_the_container_sees_the_hosts_address_on_its_network(shell: Service) -> None:
    seen = ssh(shell, "echo ${SSH_CONNECTION%% *}").stdout.strip()
    gateway = "{{.NetworkSettings.Networks.bridge.Gateway}}"
    assert seen == shell.lab.docker("inspect", f"--format={gateway}", shell.container)


def test_many_first_logins(shell: Service) -> None:
    """Held while it wakes, they all reach sshd in the same moment."""
    command = ["ssh", *OPTIONS, "-p2222", "lab", "cat"]
    with ExitStack() as all_of_them:
        sessions = [
            all_of_them.enter_context(shell.lab.popen(command, stdin=subprocess.PIPE))
            for _ in range(SESSIONS)
        ]
        for number, session in enumerate(sessions):
            assert session.communicate(f"{number}\n", timeout=60)[0] == f"{number}\n"
            assert session.returncode == 0
    shell.falls_asleep()
