"""Remove one of Podman's containers where its own unit did not come to that; of built-ins alone."""

from __future__ import annotations

from posix import environ

from wakeport.runtimes.docker.removal import removed
from wakeport.runtimes.podman.begin import SOCKET, TITLE

MADE_WITHIN = 0.0  # whoever makes one is in the unit's own group, and gone by now


def remove(name: str) -> bool:
    """False where there is none. Raises OSError where Podman does not do it."""
    if (environ.get(b"EXIT_CODE"), environ.get(b"EXIT_STATUS")) == (b"exited", b"0"):
        return True  # the main process was in the end the Podman that removed it
    return removed(SOCKET, f"/v4.0.0/libpod/containers/{name}?force=true&v=true&timeout=0", TITLE)
