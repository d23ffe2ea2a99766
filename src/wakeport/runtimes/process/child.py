"""A program that runs, or has run: a child of this process, first of a session and a group of its own."""

from __future__ import annotations

import os
import time

from wakeport.light import signal
from wakeport.loop import READ, Future, Loop


class Child:
    """`over` is done when it has ended, and `code` is then its exit code, negative for a signal."""

    def __init__(self, loop: Loop, pid: int, at: int) -> None:
        self.loop = loop
        self.pid = pid
        self.started_at = stamp(at)
        self.frozen = False
        self.code = 0
        self.over: Future[None] = Future()
        self.pidfd = os.pidfd_open(pid)
        loop.watch(self.pidfd, READ, self._end)

    def signal(self, signum: int) -> None:
        """To it and to whom it has started, as far as they have stayed in its group."""
        if not self.over.done:
            # A group of which all have become another user's is not ours to signal.
            try:
                os.killpg(self.pid, signum)
            except (ProcessLookupError, PermissionError):
                return

    async def end(self) -> None:
        await self.over

    def _end(self, _events: int) -> None:
        self.loop.unwatch(self.pidfd)
        os.close(self.pidfd)
        # Whom it leaves goes with it. Until it has been waited for, nobody else gets its number.
        self.signal(signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        self.code = os.waitstatus_to_exitcode(status)
        self.over.set(None)


def stamp(nanoseconds: int) -> str:
    """A time (since 1970) as Container.started_at has it."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}"
