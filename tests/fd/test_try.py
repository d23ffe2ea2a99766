"""`wakeport try`, end to end, as an ordinary user without systemd, Docker, HOME or /run/user."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from tests.fd.conftest import PATIENCE, eventually
from tests.fd.trying import Home, Try, home, trial  # noqa: F401  # fixtures

STUBBORN = ("server.py", "{port}", "--stubborn")


def state_of(pid: int) -> str:
    """One letter; proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def has_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_the_first_client_wakes_it_and_it_sleeps_and_is_woken_again(trial: Try) -> None:  # noqa: F811
    trial.open("--idle", "300ms")
    assert len(trial.all()) == 2  # it and its minder stand in for systemd
    first = trial.answers()
    trial.hear("awake after")
    assert ", woken by 127.0.0.1:" in trial.said
    trial.hear("asleep: port")
    eventually(lambda: len(trial.all()) == 2)
    assert has_gone(first)
    assert trial.answers() != first
    trial.hear("asleep: port", 2)


def test_two_hundred_first_clients_are_all_served(trial: Try) -> None:  # noqa: F811
    trial.open()
    served: list[int] = []
    crowd = [threading.Thread(target=lambda: served.append(trial.answers())) for _ in range(200)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert len(served) == 200
    assert len(set(served)) == 1


def descriptors(pid: int) -> set[str]:
    found = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            found.add(str(fd.readlink()))
    return found


def test_the_program_gets_its_port_and_nothing_of_ours(trial: Try) -> None:  # noqa: F811
    trial.open()
    pid, port = map(int, trial.get()[1].split())
    assert port != trial.port
    assert os.getsid(pid) == pid
    environment = dict(
        line.split("=", 1) for line in Path(f"/proc/{pid}/environ").read_text().split("\0") if line
    )
    assert environment["PORT"] == str(port)
    assert not {"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"} & set(environment)
    # Its lease socket, above all, stays with the supervisor.
    shared = descriptors(pid) & descriptors(trial.one("wakeport.supervisor.main"))
    assert shared == {"/dev/null", str(trial.output)}
    assert Path(f"/proc/{pid}/fd/0").readlink() == Path("/dev/null")


def test_it_dozes_frozen_and_the_next_client_thaws_it(trial: Try) -> None:  # noqa: F811
    trial.open("--doze", "200ms", "--idle", "1min")
    first = trial.answers()
    trial.hear("dozing: frozen where it stands")
    eventually(lambda: state_of(first) == "T")
    assert trial.answers() == first
    trial.hear("dozing: frozen where it stands", 2)
    os.kill(trial.pid, signal.SIGINT)  # a frozen one has to end too
    assert trial.wait() == 0
    assert trial.nothing_is_left()


def test_a_program_that_cannot_start_is_a_503_and_works_when_it_can(trial: Try) -> None:  # noqa: F811
    broken = trial.folder / "broken"
    broken.touch()
    trial.open()
    status, text = trial.get()
    assert status == 503
    assert "exited with code 1 before it was ready" in text
    trial.hear("the program exited with code 1 before it was ready; the next attempt is made in 1 s")
    assert "it is broken" in trial.said
    broken.unlink()
    eventually(lambda: trial.get()[0] == 200)


def test_a_program_that_is_no_program_is_a_503(trial: Try) -> None:  # noqa: F811
    plain = trial.folder / "plain"
    plain.write_text("no program at all\n")
    plain.chmod(0o755)
    trial.open(program=("./plain", "{port}"))
    status, text = trial.get()
    assert status == 503
    assert "cannot be executed" in text


@pytest.mark.parametrize("whom", ["wakeport.supervisor.main", "server.py {port}"])
def test_whoever_is_killed_the_next_client_is_served(trial: Try, whom: str) -> None:  # noqa: F811
    trial.open()
    first = trial.answers()
    trial.hear("awake after", 1)
    os.kill(first if "server" in whom else trial.one(whom), signal.SIGKILL)
    eventually(lambda: has_gone(first))  # it never outlives its supervisor
    eventually(lambda: trial.answers() != first)
    trial.hear("awake after", 2)


def test_a_proxy_that_is_killed_comes_back(trial: Try) -> None:  # noqa: F811
    trial.open()
    first = trial.answers()
    with socket.create_connection(("127.0.0.1", trial.port), PATIENCE) as client:
        client.sendall(b"GET")  # so that there is a proxy
        os.kill(trial.one("wakeport.proxy.main"), signal.SIGKILL)
    trial.hear("the proxy was ended by signal 9")
    assert trial.answers() == first


@pytest.mark.parametrize("whom", ["minder", "worker", "worker and supervisor"])
def test_whoever_is_killed_of_the_command_itself_nothing_is_left(trial: Try, whom: str) -> None:  # noqa: F811
    trial.open(program=(trial.home.python, *STUBBORN[:2], "--hides"))
    trial.answers()
    victims = {
        "minder": [trial.pid],
        "worker": [trial.worker],
        "worker and supervisor": [trial.worker, trial.one("wakeport.supervisor.main")],
    }[whom]
    # In one go: the minder would act at the first.
    os.kill(trial.pid, signal.SIGSTOP)
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    if whom != "minder":
        os.kill(trial.pid, signal.SIGCONT)
    assert trial.wait() == (-signal.SIGKILL if whom == "minder" else 1)
    eventually(trial.nothing_is_left)
    if whom != "minder":
        assert "the process that held the port was ended by signal 9" in trial.said


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_told_to_end_it_leaves_nothing_behind(trial: Try, signum: int) -> None:  # noqa: F811
    """Not even a process that has left the program's group and is deaf."""
    trial.open(program=(trial.home.python, "server.py", "{port}", "--hides"))
    trial.answers()
    assert len(trial.all()) > 3
    os.kill(trial.pid, signum)
    assert trial.wait() == 0
    assert trial.nothing_is_left()
    assert "is closed, and nothing is left" in trial.said


def test_ctrl_c_on_a_terminal_while_it_wakes(trial: Try) -> None:  # noqa: F811
    trial.open(program=("sh", "-c", "exec sleep 600 {port}"), terminal=True)
    with socket.create_connection(("127.0.0.1", trial.port), PATIENCE):
        trial.hear("still waking: it waits for the program to answer on 127.0.0.1:")
        os.write(trial.terminal, b"\x03")
        assert trial.wait() == 0
    assert trial.nothing_is_left()


def test_ctrl_c_before_anybody_came(trial: Try) -> None:  # noqa: F811
    trial.open(terminal=True)
    os.write(trial.terminal, b"\x03")
    assert trial.wait() == 0
    assert trial.nothing_is_left()


def test_a_second_ctrl_c_does_not_wait_for_a_program_that_is_deaf(trial: Try) -> None:  # noqa: F811
    trial.open(program=(trial.home.python, *STUBBORN), terminal=True)
    trial.answers()
    os.write(trial.terminal, b"\x03")
    trial.hear("stopping: the program is ended")
    os.write(trial.terminal, b"\x03")
    assert trial.wait() == 0
    assert trial.nothing_is_left()


def test_a_program_that_reads_its_port_from_the_environment(trial: Try) -> None:  # noqa: F811
    program = ("env", "ANY={port}", "sh", "-c", f'exec "{trial.home.python}" server.py "$PORT"')
    trial.open(program=program)
    assert trial.answers()


def test_whoever_started_it_may_have_ignored_that_children_end(trial: Try) -> None:  # noqa: F811
    """Ignored signals are inherited, and with this one nobody can wait for a child."""
    trial.open(before="import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)")
    trial.answers()
    os.kill(trial.pid, signal.SIGTERM)
    assert trial.wait() == 0
    assert trial.nothing_is_left()


@pytest.mark.parametrize(
    ("words", "code", "fact"),
    [
        (("server.py", "8000"), 2, "its words lack {port}"),
        (("no-such-program", "{port}"), 3, "there is no program no-such-program"),
    ],
)
def test_nothing_is_opened_for_what_cannot_work(
    trial: Try,  # noqa: F811
    words: tuple[str, ...],
    code: int,
    fact: str,
) -> None:
    trial.start(program=words)
    assert trial.wait() == code
    assert fact in trial.said
    assert trial.nothing_is_left()


def test_a_port_that_is_taken_says_by_whom(trial: Try) -> None:  # noqa: F811
    trial.open()
    trial.output.rename(trial.folder / "first")
    second = Try.__new__(Try)
    second.__dict__ |= trial.__dict__
    second.start()
    assert second.wait() == 5
    assert f"is taken by python3 (process {trial.worker}" in second.said
