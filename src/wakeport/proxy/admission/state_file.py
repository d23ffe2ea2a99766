"""Whether the container is awake, without asking for it: to hold a lease would wake it.

The supervisor publishes its state in a file, which it replaces atomically: readers see all of it or nothing.
"""

from __future__ import annotations

from wakeport.lease import AWAKE
from wakeport.light import json

SIZE_MAX = 1_048_576  # bytes; a thousand clients by name, and a few facts, are a twentieth of it


def says_awake(path: str) -> bool:
    """What the file says. Where there is none, or nothing to be made of it, nobody has been awake yet.

    A supervisor that was killed leaves its last word. So it may say awake of a container that is not,
    for as long as systemd needs to start the next supervisor; a lease is answered correctly all the same.
    """
    try:
        with open(path, "rb") as file:
            published = json.loads(file.read(SIZE_MAX))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(published, dict) and published.get("state") == AWAKE
