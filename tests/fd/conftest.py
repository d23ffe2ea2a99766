"""A proxy in a process of its own, with a supervisor and targets that a test plays itself."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"

PATIENCE = 60.0  # seconds; no test measures time, so a slow machine only makes them slower

# A proxy leaves when nobody is there for a second, also before its first client. A test that gets no
# processor for so long would then wait for a proxy that nobody starts again, as systemd does.
LEAVES_AFTER = 3.0  # seconds
LINGERS = f"import wakeport.proxy.linger as linger; linger.LEAVE_AFTER = {LEAVES_AFTER};"

# A target that refuses is given up after a second, in which a test may have to make it listen.
DIALS_ON = "import wakeport.proxy.dialer as dialer; dialer.REFUSED_FOR = 60.0;"

# Who is turned away is given a fifth of a second to say in which language; a test may need longer.
PATIENT = "import wakeport.proxy.refusal as refusal; refusal.FIRST_BYTES_WITHIN = 20.0;"


class Program:
    """One wake-path program as systemd starts it: isolated, with the listeners from descriptor 3 on."""

    def __init__(
        self, entry: str, words: list[str], listeners: list[socket.socket], before: str = ""
    ) -> None:
        code = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); {before}\nfrom {entry} import main; main()"
        argv = ["/usr/bin/python3", "-ISc", code, *words]
        # A file, for a pipe would be kept open by what a program leaves behind.
        self.stderr = os.memfd_create("stderr")
        # Above every number that is about to be overwritten.
        copies = [os.dup(listener.fileno()) for listener in listeners]
        self.pid = os.fork()
        if self.pid == 0:
            self._become(argv, copies, self.stderr)
        for fd in copies:
            os.close(fd)
        self.status: int | None = None

    @staticmethod
    def _become(argv: list[str], copies: list[int], stderr: int) -> None:
        try:
            os.dup2(stderr, 2)
            high = [os.dup2(fd, 500 + index) for index, fd in enumerate(copies)]
            for index, fd in enumerate(high):
                os.dup2(fd, 3 + index)
            os.closerange(3 + len(copies), 4096)
            environment = {
                "LISTEN_PID": str(os.getpid()),
                "LISTEN_FDS": str(len(copies)),
                "PATH": "/usr/bin:/bin",
            }
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            os.execve(argv[0], argv, environment)
        finally:
            os._exit(99)

    @property
    def said(self) -> bytes:
        return os.pread(self.stderr, 1 << 20, 0)

    def wait(self) -> int:
        """The exit code, negative for a signal."""
        if self.status is None:
            pidfd = os.pidfd_open(self.pid)
            try:
                assert select.select([pidfd], [], [], PATIENCE)[0], "the program did not end"
            finally:
                os.close(pidfd)
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            sys.stderr.write(self.said.decode())
        return self.status

    def lives_on(self, seconds: float) -> bool:
        """Whether it runs for that long."""
        pidfd = os.pidfd_open(self.pid)
        try:
            return not select.select([pidfd], [], [], seconds)[0]
        finally:
            os.close(pidfd)

    def has_ended(self) -> bool:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def clean_up(self) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()
        os.close(self.stderr)

    def memory(self, key: str = "VmRSS") -> int:
        """KiB, from /proc/PID/status."""
        return next(
            int(line.split()[1])
            for line in Path(f"/proc/{self.pid}/status").read_text().splitlines()
            if line.startswith(key + ":")
        )

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def processor_time(self) -> int:
        """In ticks of 10 ms, user and system together; proc(5)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])


class Holder:
    """The supervisor's end of one lease."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE)
        self.lines = sock.makefile("rb")

    def tell(self, state: str, **more: Any) -> None:
        self.sock.sendall(json.dumps({"state": state, **more}).encode() + b"\n")

    def awake(self, *ports: int, host: str = "127.0.0.1") -> None:
        self.tell("awake", targets={f"{80 + index}/tcp": [host, port] for index, port in enumerate(ports)})

    def hear(self) -> dict[str, Any] | None:
        """The next message, None at the end."""
        line = self.lines.readline()
        message: dict[str, Any] | None = json.loads(line) if line else None
        return message

    def hear_until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while (message := self.hear()) is not None:
            if wanted(message):
                return message
        raise AssertionError("the lease ended before it was said")

    def hear_end(self) -> None:
        while self.hear() is not None:
            pass

    def close(self) -> None:
        self.lines.close()
        self.sock.close()


class LeaseSocket:
    """The listening end of a lease, as systemd holds it; a test is the supervisor."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(64)
        self.listener.settimeout(PATIENCE)
        self.holders: list[Holder] = []

    def accept(self) -> Holder:
        holder = Holder(self.listener.accept()[0])
        self.holders.append(holder)
        return holder

    def nobody_asks(self, seconds: float) -> bool:
        return not select.select([self.listener], [], [], seconds)[0]

    def close(self) -> None:
        for holder in self.holders:
            holder.close()
        self.listener.close()


class Target:
    """A server on loopback or, where `host` is a path, on that: `serve` runs in a thread for each
    connection, and is handed its socket.
    """

    def __init__(self, serve: Callable[[socket.socket], None], host: str = "127.0.0.1") -> None:
        if "/" in host:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(host)
            self.listener.listen(512)
            self.port = 0
        else:
            self.listener = socket.create_server(
                (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512
            )
            self.port = self.listener.getsockname()[1]
        self.serve = serve
        self.served = 0
        self.threads: list[threading.Thread] = []
        self.acceptor = threading.Thread(target=self._accept)
        self.acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.served += 1
            sock.settimeout(PATIENCE)
            thread = threading.Thread(target=self._serve, args=(sock,))
            self.threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            try:
                self.serve(sock)
            except OSError:
                return

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.acceptor.join(PATIENCE)
        for thread in self.threads:
            thread.join(PATIENCE)


def echo(sock: socket.socket) -> None:
    while data := sock.recv(65536):
        sock.sendall(data)


def everything(sock: socket.socket) -> bytes:
    """All bytes up to the end that the other side gives."""
    received = b""
    while data := sock.recv(65536):
        received += data
    return received


class House:
    """Listeners, a lease socket and a proxy, with everything ended when the test is over."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lease = LeaseSocket(str(folder / "web.lease"))
        self.listeners: list[socket.socket] = []
        self.programs: list[Program] = []
        self.targets: list[Target] = []
        self.clients: list[socket.socket] = []
        self.reserved: list[socket.socket] = []

    def refusing(self) -> socket.socket:
        """Bound to a port of loopback, which refuses until somebody listens on it.

        A port that was only looked up and closed may be another test's target a moment later.
        """
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(PATIENCE)
        self.reserved.append(sock)
        return sock

    def listen(self, host: str = "127.0.0.1", backlog: int = 512) -> socket.socket:
        family = socket.AF_UNIX if "/" in host else socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.bind(host if family == socket.AF_UNIX else (host, 0))
        listener.listen(backlog)
        self.listeners.append(listener)
        return listener

    def proxy(
        self,
        *words: str,
        entry: str = "wakeport.proxy.main",
        before: str = "",
        one_target: bool = False,
        targets: Sequence[str] = (),
    ) -> Program:
        """`targets` has a word for each listener, with those of its own behind it; else 80/tcp, 81/tcp..."""
        if not self.listeners:
            self.listen()
        ports = (80 if one_target else 80 + index for index in range(len(self.listeners)))
        targets = targets or [f"target={port}/tcp" for port in ports]
        words = ("name=web", f"lease={self.lease.path}", "ready_within=60", *targets, *words)
        if entry == "wakeport.proxy.main":
            before = LINGERS + before
        program = Program(entry, list(words), self.listeners, before)
        self.programs.append(program)
        return program

    def target(self, serve: Callable[[socket.socket], None] = echo, host: str = "127.0.0.1") -> Target:
        target = Target(serve, host)
        self.targets.append(target)
        return target

    def client(self, listener: socket.socket | None = None, say: bytes = b"") -> socket.socket:
        door = listener or self.listeners[0]
        sock = socket.socket(door.family, socket.SOCK_STREAM)
        sock.settimeout(PATIENCE)
        sock.connect(door.getsockname())
        if say:
            sock.sendall(say)
        self.clients.append(sock)
        return sock

    def close(self) -> None:
        for sock in (*self.clients, *self.reserved):
            sock.close()
        for program in self.programs:
            program.clean_up()
        self.lease.close()
        for target in self.targets:
            target.close()
        for listener in self.listeners:
            listener.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def eventually(condition: Callable[[], bool]) -> None:
    """For what another process does of its own and reports to nobody."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)
