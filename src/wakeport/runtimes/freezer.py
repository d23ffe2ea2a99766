"""Whether a cgroup is frozen, told as soon as that changes: cgroup-v2, cgroup.events.

Not every runtime tells of it: systemd 252 sends no signal when a unit is frozen or thawed.
"""

from __future__ import annotations

import os
import select

from wakeport.loop import Loop
from wakeport.runtimes.changes import FROZEN, THAWED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FILE_SIZE = 4096  # bytes; two lines of "key number"


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
        frozen = b"\nfrozen 1" in b"\n" + text
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
