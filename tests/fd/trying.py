"""`wakeport try` as an ordinary user has it: the command, what it prints, and all that it starts."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import uuid
from collections.abc import Iterator
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.fd.conftest import PATIENCE, SOURCE, eventually
from wakeport.foreground.program import free_port

NOBODY = 65534  # a user who owns nothing

# Tells who answers, and on which port. It cannot start while there is a file `broken`.
SERVER = """
import http.server, os, sys, subprocess
if os.path.exists("broken"):
    sys.exit("it is broken")
if "--stubborn" in sys.argv:
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "--hides" in sys.argv:
    subprocess.Popen(["sh", "-c", "trap '' TERM HUP; while :; do sleep 60; done"], start_new_session=True)
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = f"{os.getpid()} {os.environ['PORT']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *_):
        pass
Server(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


class Home:
    """A copy of the command where an ordinary user can run it, and a Python that they may run it with."""

    def __init__(self, path: Path) -> None:
        self.path = path
        shutil.copytree(SOURCE / "wakeport", path / "wakeport", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("click", "msgspec"):
            found = find_spec(name)
            assert found is not None
            assert found.origin is not None
            shutil.copytree(Path(found.origin).parent, path / name)
        for one in (path, *path.rglob("*")):
            os.chown(one, self.user, self.user)
        fit = [one for one in (sys.executable, "/usr/bin/python3") if self._runs(one)]
        assert fit, "an ordinary user may run no Python here that this project's packages fit"
        self.python = fit[0]

    @property
    def user(self) -> int:
        return NOBODY if os.geteuid() == 0 else os.geteuid()

    def popen(self, command: list[str], **more: object) -> subprocess.Popen[bytes]:
        who = {"user": self.user, "group": self.user, "extra_groups": []} if os.geteuid() == 0 else {}
        return subprocess.Popen(command, **who, **more)  # type: ignore[call-overload,no-any-return]

    def _runs(self, python: str) -> bool:
        """Also compiles what is needed, so that no test waits for that."""
        code = "import wakeport.cli, wakeport.cli.try_, wakeport.proxy.main, wakeport.supervisor.life"
        try:
            return self.popen([python, "-c", code], cwd=self.path, env={}).wait(60) == 0
        except PermissionError:
            return False


class Try:
    """One command in the foreground. `words` come behind `try`."""

    def __init__(self, home: Home, folder: Path) -> None:
        self.home = home
        self.mark = uuid.uuid4().hex
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        (folder / "server.py").write_text(SERVER)
        for one in (folder, self.temporary):
            os.chown(one, home.user, home.user)
        self.output = folder / "output"
        self.port = free_port()
        self.command: subprocess.Popen[bytes] | None = None
        self.terminal = -1

    def start(
        self, *options: str, program: tuple[str, ...] = (), terminal: bool = False, before: str = "pass"
    ) -> None:
        """`before` is run in the command's process first."""
        words = program or (self.home.python, "server.py", "{port}")
        code = f"{before}; import sys; from wakeport.cli import main; sys.exit(main())"
        command = [self.home.python, "-c", code]
        command += ["try", "--listen", str(self.port), *options, "--", *words]
        # No HOME, no XDG_RUNTIME_DIR.
        environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(self.home.path),
            "TMPDIR": str(self.temporary),
            "MARK": self.mark,
        }
        stdin: int = subprocess.DEVNULL
        take = _hear_all
        if terminal:
            self.terminal, stdin = os.openpty()
            take = _take_terminal
        with self.output.open("wb") as output:
            self.command = self.home.popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=stdin,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=take,
            )
        if terminal:
            os.close(stdin)

    def open(
        self, *options: str, program: tuple[str, ...] = (), terminal: bool = False, before: str = "pass"
    ) -> None:
        self.start(*options, program=program, terminal=terminal, before=before)
        self.hear("is open, and no process is behind it; open")

    @property
    def said(self) -> str:
        return self.output.read_text()

    def hear(self, text: str, times: int = 1) -> None:
        try:
            eventually(lambda: self.said.count(text) >= times)
        except AssertionError:
            raise AssertionError(f"{text!r} was not said {times} times:\n{self.said}") from None

    def get(self) -> tuple[int, str]:
        """Status and text of one request, on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def answers(self) -> int:
        """Who serves it: a process id."""
        status, text = self.get()
        assert status == 200, text
        return int(text.split()[0])

    @property
    def pid(self) -> int:
        assert self.command is not None
        return self.command.pid

    def all(self) -> dict[int, str]:
        """Every process that belongs to it, and its command line; not the dead."""
        return {pid: line for pid, (line, mark) in _processes().items() if f"MARK={self.mark}" in mark}

    def one(self, text: str) -> int:
        """The process with `text` in its command line."""
        eventually(lambda: any(text in line for line in self.all().values()))
        return next(pid for pid, line in self.all().items() if text in line)

    @property
    def worker(self) -> int:
        """Who holds the port: the same command, as the child of the one that was started."""
        return next(pid for pid, line in self.all().items() if "wakeport.cli" in line and pid != self.pid)

    def wait(self) -> int:
        assert self.command is not None
        return self.command.wait(PATIENCE)

    def nothing_is_left(self) -> bool:
        return not self.all() and not any(self.temporary.iterdir()) and not _listens(self.port)

    def close(self) -> None:
        for pid in self.all():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.command is not None:
            self.wait()
        if self.terminal >= 0:
            os.close(self.terminal)
        sys.stderr.write(self.said if self.output.exists() else "")


def _hear_all() -> None:
    """Whoever runs the tests may have them ignore some: as nohup(1) does, and a shell in the background."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(signum, signal.SIG_DFL)


def _take_terminal() -> None:
    _hear_all()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def _processes() -> dict[int, tuple[str, list[str]]]:
    """Command line and environment of each that lives."""
    found = {}
    for directory in Path("/proc").iterdir():
        if directory.name.isdecimal():
            try:
                line = (directory / "cmdline").read_text(errors="replace").replace("\0", " ")
                environment = (directory / "environ").read_text(errors="replace").split("\0")
            except OSError:
                continue
            if line:
                found[int(directory.name)] = (line, environment)
    return found


@pytest.fixture(scope="session")
def home() -> Iterator[Home]:
    path = Path(tempfile.mkdtemp(prefix="wakeport-home-"))
    path.chmod(0o755)
    yield Home(path)
    shutil.rmtree(path)


@pytest.fixture
def trial(home: Home) -> Iterator[Try]:
    folder = Path(tempfile.mkdtemp(prefix="wakeport-trial-"))
    trial = Try(home, folder)
    yield trial
    trial.close()
    shutil.rmtree(folder)
