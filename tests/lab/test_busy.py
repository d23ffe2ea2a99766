"""What keeps a container awake, and what does not: exactly as each setting says."""

from __future__ import annotations

import subprocess
import time

import pytest

from lab import Lab
from tests.lab import clients
from tests.lab.applications import OBEDIENT
from tests.lab.programs import ECHOES, POURS, python
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.services import AddService, Service
from tests.lab.waiting import eventually

FEW_BYTES = 'connections = "1K in 1s"'

# A job of five seconds for each GET, which goes on after the answer; GET /busy says 200 while there is one,
# and so does the file /tmp/busy.
JOB = 5.0  # seconds

WORKS = f"""
{OBEDIENT}
import http.server, os, threading, time

class Work(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        busy = os.path.exists("/tmp/busy")
        self.send_response(200 if busy or self.path != "/busy" else 204)
        self.end_headers()
        if self.path != "/busy":
            open("/tmp/busy", "w").close()
            threading.Thread(target=self.work).start()

    def work(self):
        until = time.monotonic() + {JOB:g}
        while time.monotonic() < until:
            pass
        os.unlink("/tmp/busy")

http.server.ThreadingHTTPServer(("", 80), Work).serve_forever()
"""


def echo(client: object, text: bytes) -> bytes:
    client.sendall(text)  # type: ignore[attr-defined]
    return bytes(client.recv(len(text)))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "setting", ['cpu = "5%"', 'check = "http:/busy"', 'check = "exec:test -e /tmp/busy"']
)
def test_a_job_that_nobody_waits_for_is_seen_through(service: AddService, setting: str) -> None:
    """Without the setting it would be stopped half a second after its only client.

    Of a busy machine's processors a job that wants all may get a tenth.
    """
    job = service("job", command=python(WORKS), idle="500ms")
    job.settings(f"[busy]\n{setting}")
    answer = job.get()
    assert answer.status == 200
    eventually("what keeps it awake is told", lambda: job.status.get("at_work"))
    eventually("the stop begins", lambda: job.status["state"] in ("stopping", "asleep"))
    assert time.monotonic() - answer.at > JOB
    job.falls_asleep()


def test_a_job_does_not_count_where_nobody_asked_for_that(service: AddService) -> None:
    job = service("job", command=python(WORKS), idle="500ms")
    assert job.get().status == 200
    gone = time.monotonic()
    eventually("the stop begins", lambda: job.status["state"] in ("stopping", "asleep"))
    assert time.monotonic() - gone < JOB
    job.falls_asleep()


def test_an_open_connection_counts_and_its_silence_is_told(service: AddService) -> None:
    web = service("web", "--doze=300ms", idle="1s")
    with clients.connect(web.lab) as silent:
        web.reaches("awake")
        web.stays_awake(2.5)
        eventually("the client is named", lambda: "1 connection from 127.0.0.1:" in _told(web))
        assert clients.ask(silent)
    web.falls_asleep()


def test_a_pool_that_never_closes_is_put_to_sleep(service: AddService) -> None:
    """And cut by that, as the setting says; the next connection wakes it again."""
    pool = service("pool", command=python(ECHOES), create=[DIES_AT_ONCE], idle="3s")
    pool.settings(f"[busy]\n{FEW_BYTES}")
    with clients.connect(pool.lab) as first, clients.connect(pool.lab) as second:
        assert echo(first, b"query") == b"query"
        assert echo(second, b"query") == b"query"
        pool.reaches("asleep")
        assert (first.recv(1), second.recv(1)) == (b"", b"")
    with clients.connect(pool.lab) as third:
        assert echo(third, b"again") == b"again"
    pool.falls_asleep()


def test_a_pool_may_be_let_doze_and_never_be_cut(service: AddService) -> None:
    pool = service("pool", "--doze=500ms", command=python(ECHOES), create=[DIES_AT_ONCE], idle="1s")
    pool.settings(f'[busy]\n{FEW_BYTES}\nsilent = "doze"')
    with clients.connect(pool.lab) as first, clients.connect(pool.lab) as second:
        for _ in range(3):
            began = time.time()
            assert echo(first, b"query") == b"query"
            pool.reaches("dozing", after=began)
            time.sleep(1.5)  # longer than idle: nothing happens, and nothing tells of that
            assert pool.status["state"] == "dozing"
            assert echo(second, b"another") == b"another"
    pool.falls_asleep()


def test_heartbeats_wake_from_a_doze_but_keep_nothing_awake(service: AddService) -> None:
    """Each is answered, and the time until the stop runs on."""
    pool = service("pool", "--doze=200ms", command=python(ECHOES), create=[DIES_AT_ONCE], idle="8s")
    pool.settings(f"[busy]\n{FEW_BYTES}")
    with clients.connect(pool.lab) as beating:
        assert echo(beating, b"query") == b"query"
        pool.reaches("dozing")
        began = time.monotonic()
        beats = 0
        while time.monotonic() - began < 20:
            try:
                answer = echo(beating, b"beat")
            except (BrokenPipeError, ConnectionResetError):
                break
            if not answer:
                break
            assert answer == b"beat"
            beats += 1
            time.sleep(0.5)
        assert beats > 3
    pool.falls_asleep()


def test_a_slow_download_counts_for_as_long_as_enough_passes(service: AddService) -> None:
    """A client that reads some KiB a second is never cut, at a tenth of that it would be."""
    pours = service("pours", "--doze=300ms", command=python(POURS), create=[DIES_AT_ONCE], idle="1s")
    pours.settings('[busy]\nconnections = "1K in 4s"')
    with clients.connect(pours.lab) as client:
        client.sendall(b"64\n")
        received = 0
        began = time.monotonic()
        while time.monotonic() - began < 4:
            received += len(client.recv(262_144))
            assert pours.status.get("state", "waking") in ("waking", "awake")
            time.sleep(0.05)
        while data := client.recv(1 << 20):
            received += len(data)
        assert received == 64 * ((256 * 4096) + 8)
    pours.falls_asleep()


@pytest.fixture(scope="module")
def sshd(shared_lab: Lab) -> str:
    shared_lab.load("sshd")
    return "sshd"


def test_a_quiet_ssh_session_outlives_a_doze(service: AddService, sshd: str, lab: Lab) -> None:
    lab.run(["mkdir", "-p", "/run/ssh"])
    lab.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/run/ssh/key"])
    key = ["--volume=/run/ssh/key.pub:/root/.ssh/authorized_keys:ro"]
    shell = service("shell", "--doze=500ms", listen=2222, to=22, image=sshd, create=key, idle="1s")
    shell.settings('[busy]\nconnections = "1K in 1s"\nsilent = "doze"')
    options = ["-F", "none", "-i", "/run/ssh/key", "-o", "UserKnownHostsFile=/dev/null"]
    options += ["-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"]
    with lab.popen(["ssh", *options, "-p2222", "lab", "cat"], stdin=subprocess.PIPE) as session:
        assert session.stdin is not None
        assert session.stdout is not None
        began = 0.0
        for line in ("anybody there?\n", "still?\n"):
            shell.reaches("dozing", after=began)
            began = time.time()
            session.stdin.write(line)
            session.stdin.flush()
            assert session.stdout.readline() == line
        session.stdin.close()
        assert session.wait(30) == 0
    shell.falls_asleep()
    lab.run(["rm", "-r", "/run/ssh"])


def _told(web: Service) -> str:
    return web.lab.run(["wakeport", "status", web.name]).stdout
