"""Whether a cgroup is frozen, told as soon as that changes, and having it so: cgroup-v2, cgroup.events.

Not every runtime tells of it: systemd 252 sends no signal when a unit is frozen or thawed. The files are
root's, and writing them takes no capability.
"""

from __future__ import annotations

import os
import select

from wakeport.loop import Future, Loop
from wakeport.runtimes.changes import FROZEN, THAWED
from wakeport.runtimes.problems import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

WITHIN = 5.0  # seconds; a process that waits for its disk is frozen only behind that
FILE_SIZE = 4096  # bytes; two lines of "key number"


def is_frozen(directory: str) -> bool:
    """Whether all of it is, by itself or by a group above it; False where it is gone."""
    try:
        with open(f"{directory}/cgroup.events", "rb") as file:
            return _says_frozen(file.read())
    except OSError:
        return False


def write_frozen(directory: str, frozen: bool) -> None:
    """Begin it. Raises OSError."""
    fd = os.open(f"{directory}/cgroup.freeze", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, b"1" if frozen else b"0")
    finally:
        os.close(fd)


async def set_frozen(loop: Loop, directory: str, frozen: bool) -> None:
    """Return when it is so. Raises Refused; there is nothing to thaw where it is gone."""
    reached: Future[None] = Future()
    wanted = FROZEN if frozen else THAWED
    freezer = Freezer(loop, lambda word: reached.set(None) if word == wanted else None)
    freezer.follow(directory)
    try:
        write_frozen(directory, frozen)
        if is_frozen(directory) != frozen:
            await loop.within(WITHIN, _done(reached))
    except TimeoutError:
        try:
            write_frozen(directory, not frozen)  # or it would come to pass when nobody reckons with it
        except OSError:
            pass  # it is gone
        raise Refused(f"{directory} is not {wanted} within {WITHIN:.0f} s") from None
    except OSError as error:
        if frozen or os.path.exists(directory):
            raise Refused(f"{directory}/cgroup.freeze: {error.strerror}") from error
    finally:
        freezer.follow(None)


class Freezer:
    """Tells FROZEN and THAWED of the group that it follows; of what was so before it tells nothing."""

    def __init__(self, loop: Loop, tell: Callable[[str], None]) -> None:
        self.loop = loop
        self.tell = tell
        self.directory: str | None = None
        self.fd = -1
        self.frozen = False

    def follow(self, directory: str | None) -> None:
        """Another group from now on, or the same; None for none."""
        if directory == self.directory and (directory is None or self._look()):
            return
        self._close()
        if directory is None:
            return
        try:
            self.fd = os.open(f"{directory}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return  # it has ended, or there is no cgroup2
        self.directory = directory
        if self._look(silently=True):
            self.loop.watch(self.fd, select.EPOLLPRI, lambda _events: self._changed())

    def _changed(self) -> None:
        if not self._look():
            self._close()

    def _look(self, silently: bool = False) -> bool:
        """Read it, and tell of a change. False where the group is gone: a new one may have its name."""
        try:
            text = os.pread(self.fd, FILE_SIZE, 0)
        except OSError:
            return False
        frozen = _says_frozen(text)
        if frozen != self.frozen:
            self.frozen = frozen
            if not silently:
                self.tell(FROZEN if frozen else THAWED)
        return True

    def _close(self) -> None:
        if self.fd >= 0:
            self.loop.unwatch(self.fd)
            os.close(self.fd)
        self.fd, self.directory, self.frozen = -1, None, False


def _says_frozen(text: bytes) -> bool:
    return b"\nfrozen 1" in b"\n" + text


async def _done(future: Future[None]) -> None:
    await future
