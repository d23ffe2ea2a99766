"""Whether a person's `podman stop` is at work: Podman has no event for it, unlike for kill and restart.

The program waits until all is cleared away that belonged to the container, so it is there at the
container's end and for a while after it. Nobody else is asked, and no capability is needed. `root` is for
tests.
"""

from __future__ import annotations

import os

STOPPING = {b"stop", b"restart", b"rm", b"down"}  # also behind "container" and "pod"


def is_stopping(root: str = "") -> bool:
    """Whether such a program runs, for whatever container: by its pattern or its pod it may mean any."""
    for pid in filter(str.isdecimal, os.listdir(f"{root}/proc")):
        try:
            with open(f"{root}/proc/{pid}/cmdline", "rb") as file:
                program, *words = file.read().split(b"\0")
        except OSError:
            continue  # it has ended meanwhile
        if program.rpartition(b"/")[2] == b"podman" and STOPPING.intersection(words):
            return True
    return False
