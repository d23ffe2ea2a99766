"""One command at a time changes units."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from wakeport.errors import InTheWay
from wakeport.install import files
from wakeport.layout import Layout

PATIENCE = 60.0  # seconds; the other one may be waiting for a container to stop


@contextmanager
def held(layout: Layout) -> Iterator[None]:
    """Hold the lock; raises InTheWay where another command keeps it for too long.

    The directory of the units is itself the lock: no file is left behind, and the
    kernel releases it with the process.
    """
    files.make_directory(layout.units)  # a user who has no units yet may have no directory for them
    directory = os.open(layout.units, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _wait_for(directory)
        yield
    finally:
        os.close(directory)


def _wait_for(directory: int) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise InTheWay("another wakeport is changing units", "try again when it has ended") from None
            time.sleep(0.1)
        else:
            return
