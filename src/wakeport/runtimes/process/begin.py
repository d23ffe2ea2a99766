"""The first act of a wake: execute the program, before anything is imported.

Its words stand in a file, each ended by a zero byte as in /proc/PID/cmdline: the path of the program
first, then its arguments with its name before them.
"""

from __future__ import annotations

import posix
import time

# What systemd, or who stands in for it, says to the supervisor alone.
OURS = (b"NOTIFY_SOCKET", b"LISTEN_PID", b"LISTEN_FDS", b"LISTEN_FDNAMES")

FIRST_FD = 3  # SD_LISTEN_FDS_START, sd_listen_fds(3)

IGNORED = (13, 25)  # SIGPIPE, SIGXFSZ: Python ignores them, and a program that is executed would too

WORDS_MAX = 4 * 1024 * 1024  # bytes; execve(2) takes 6 MiB at most, environment included


class Begun:
    """`pid` is that of the program, 0 where it could not be executed: `error` says why. `at` is when, in
    nanoseconds since 1970.
    """

    __slots__ = ("at", "error", "path", "pid")

    def __init__(self) -> None:
        self.path = ""
        self.pid = 0
        self.error: OSError | None = None
        self.at = time.time_ns()


def begin(words: str) -> Begun:
    """Execute the program whose words stand in the file `words`."""
    begun = Begun()
    try:
        path, *arguments = _read(words)
        begun.path = path.decode(errors="replace")
        _keep_sockets()
        begun.pid = posix.posix_spawn(
            path,
            arguments,
            {key: value for key, value in posix.environ.items() if key not in OURS},
            file_actions=[
                (posix.POSIX_SPAWN_OPEN, 0, "/dev/null", posix.O_RDONLY, 0),
                (posix.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=IGNORED,
        )
    except OSError as error:
        begun.error = error
    return begun


def _read(path: str) -> list[bytes]:
    fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return posix.read(fd, WORDS_MAX).split(b"\0")[:-1]
    finally:
        posix.close(fd)


def _keep_sockets() -> None:
    """The sockets that were passed to us are not for the program."""
    for index in range(int(posix.environ.get(b"LISTEN_FDS", b"0"))):
        posix.set_inheritable(FIRST_FD + index, False)
