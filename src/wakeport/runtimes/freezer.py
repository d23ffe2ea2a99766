"""Freezing a group of processes, and hearing when somebody else does: the kernel's own files, cgroup-v2.

They are root's, and writing them takes no capability.
"""

from __future__ import annotations

import contextlib
import os

from wakeport.loop import Future, Loop
from wakeport.runtimes.problems import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PRIORITY = 2  # EPOLLPRI; cgroup-v2: "a file modified event" of cgroup.events
WITHIN = 5.0  # seconds; a process that waits for its disk freezes only behind that


def is_frozen(directory: str) -> bool:
    """Whether all of it is, by itself or by a group above it; False where it is gone."""
    try:
        with open(f"{directory}/cgroup.events", encoding="ascii") as file:
            return _says_frozen(file.read())
    except OSError:
        return False


async def set_frozen(loop: Loop, directory: str, frozen: bool) -> None:
    """Return when it is so. Raises Refused; nothing to thaw where it is gone."""
    reached: Future[None] = Future()
    watch = Watch(loop, directory, lambda now: reached.set(None) if now == frozen else None)
    try:
        _write(f"{directory}/cgroup.freeze", "1" if frozen else "0")
        if is_frozen(directory) != frozen:
            await loop.within(WITHIN, _done(reached))
    except TimeoutError:
        what = "frozen" if frozen else "thawed"
        raise Refused(f"{directory} is not {what} within {WITHIN:.0f} s") from None
    except OSError as error:
        if frozen or os.path.exists(directory):
            raise Refused(f"{directory}/cgroup.freeze: {error.strerror}") from error
    finally:
        watch.close()


class Watch:
    """Tells of every change, until it is closed or the group is gone."""

    def __init__(self, loop: Loop, directory: str, tell: Callable[[bool], None]) -> None:
        self.loop = loop
        self.tell = tell
        self.fd = -1
        self.was = False
        with contextlib.suppress(OSError):
            self.fd = os.open(f"{directory}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
            self.was = _says_frozen(os.pread(self.fd, 256, 0).decode())
            loop.watch(self.fd, PRIORITY, self._on_change)

    def close(self) -> None:
        if self.fd >= 0:
            self.loop.unwatch(self.fd)
            os.close(self.fd)
            self.fd = -1

    def _on_change(self, _events: int) -> None:
        try:
            now = _says_frozen(os.pread(self.fd, 256, 0).decode())
        except OSError:  # ENODEV: the group has been removed
            self.close()
            return
        was, self.was = self.was, now
        if now != was:
            self.tell(now)


def _says_frozen(events: str) -> bool:
    return "frozen 1" in events.splitlines()


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


async def _done(future: Future[None]) -> None:
    await future
