"""Remove one of Podman's containers where its own unit did not come to that; of built-ins alone.

Not over Podman's service: at a shutdown systemd does not start that any more, and where it has to stop a unit
that is ordered behind the service, it does so before it starts the service.
"""

from __future__ import annotations

from posix import O_RDWR, POSIX_SPAWN_OPEN, environ, posix_spawn, waitpid

PROGRAM = "/usr/bin/podman"

MADE_WITHIN = 0.0  # whoever makes one is in the unit's own group, and gone by now

# Of it and of what may be left of one that was half made; it says nothing of one that is not there.
_REMOVE = (PROGRAM, "--events-backend=none", "rm", "--force", "--ignore", "--time=0", "--volumes")


def remove(name: str) -> bool:
    """Gone on return. Raises OSError where Podman does not do it."""
    if (environ.get(b"EXIT_CODE"), environ.get(b"EXIT_STATUS")) == (b"exited", b"0"):
        return True  # the main process was in the end the Podman that removed it
    # Our own input and output are the client's connection.
    nowhere = [(POSIX_SPAWN_OPEN, fd, "/dev/null", O_RDWR, 0) for fd in (0, 1)]
    pid = posix_spawn(PROGRAM, [*_REMOVE, name], environ, file_actions=nowhere)
    _, status = waitpid(pid, 0)
    if status:
        raise OSError(f"podman rm has failed, wait status {status}")
    return True
