"""A socket and the program that it starts: what systemd does for a .socket with Accept=no and its .service.

systemd.socket(5): while the program runs, the socket is its own affair; when it has ended, the next
connection starts it again, or at once the one that waits. A program that failed comes back by itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from wakeport.activation import FIRST_FD
from wakeport.foreground import family
from wakeport.loop import READ, Loop, Timer

RESTART_AFTER: Final = 0.25  # seconds, as RestartSec= of the units
CLEAN: Final = (0, -signal.SIGHUP, -signal.SIGINT, -signal.SIGTERM, -signal.SIGPIPE)  # SuccessExitStatus=
DATAGRAM: Final = 65536  # bytes; sd_notify(3) has no more to say


class Unit:
    """`told` hears the lines of sd_notify(3), `ended` the exit code, negative for a signal.

    `stderr` is where the program's goes.
    """

    def __init__(
        self,
        loop: Loop,
        name: str,
        listener: socket.socket,
        command: Sequence[str],
        notify: Path,
        stderr: int,
        environment: Mapping[str, str],
        told: Callable[[str], None],
        ended: Callable[[int], None],
    ) -> None:
        self.loop = loop
        self.name = name
        self.listener = listener
        self.command = list(command)
        self.stderr = stderr
        self.environment = {**environment, "NOTIFY_SOCKET": str(notify)}
        self.told = told
        self.ended = ended
        self.pid = 0
        self.back: Timer | None = None
        self.stopping = False
        self.channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.channel.bind(str(notify))
        loop.watch(self.channel.fileno(), READ, self._hear)

    def wait(self, wanted: Callable[[], None]) -> None:
        """Call `wanted` when somebody connects; it has to start the program."""
        self.wanted = wanted
        self.loop.watch(self.listener.fileno(), READ, lambda _events: wanted())

    def start(self) -> None:
        """Unless it runs, or is about to come back."""
        if not (self.pid or self.back or self.stopping):
            self._execute()

    def stop(self) -> None:
        """For good; `ended` hears when that has been done, unless it does not run."""
        self.stopping = True
        self.loop.unwatch(self.listener.fileno())
        if self.back is not None:
            self.back.cancel()
            self.back = None
        self.signal(signal.SIGTERM)

    def signal(self, signum: int) -> None:
        if self.pid:
            os.kill(self.pid, signum)

    def _execute(self) -> None:
        self.back = None
        self.loop.unwatch(self.listener.fileno())
        parent = os.getpid()
        self.loop.hold_signals()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(parent)
        self.loop.release_signals()
        pidfd = os.pidfd_open(self.pid)
        self.loop.watch(pidfd, READ, lambda _events: self._end(pidfd))

    def _become(self, parent: int) -> None:
        """In the child: never returns."""
        try:
            for signum in self.loop.signals:
                signal.signal(signum, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            family.end_with(parent)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(self.stderr, 2)
            os.dup2(self.listener.fileno(), FIRST_FD)
            os.set_inheritable(FIRST_FD, True)  # where it had that number already
            passed = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": self.name}
            os.execve(self.command[0], self.command, {**self.environment, **passed})
        except OSError as error:
            os.write(2, f"{self.command[0]}: {error.strerror}\n".encode())
        finally:
            os._exit(203)  # EXIT_EXEC, systemd.exec(5)

    def _end(self, pidfd: int) -> None:
        self.loop.unwatch(pidfd)
        os.close(pidfd)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        self._hear(READ)
        self.ended(code)
        if self.stopping:
            return
        if code in CLEAN:
            self.wait(self.wanted)
        else:
            self.back = self.loop.call_in(RESTART_AFTER, self._execute)

    def _hear(self, _events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, descriptors, _flags, _address = socket.recv_fds(self.channel, DATAGRAM, 8)
                for fd in descriptors:
                    os.close(fd)  # a barrier is passed by that, and what was to be stored is dropped
                for line in data.decode(errors="replace").splitlines():
                    self.told(line)
