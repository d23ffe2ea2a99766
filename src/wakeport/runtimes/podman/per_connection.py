"""A container of Podman for each connection, which is its program's own standard input and output.

Podman itself is gone when the container runs: what stays is conmon, the main process of the unit, which at
the end becomes the Podman that removes the container. All of it is in the unit's own group, so that what ends
the unit ends the container.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wakeport.runtimes.docker import look
from wakeport.runtimes.per_connection import SCRATCH, Asked, Start, limits
from wakeport.runtimes.podman.begin import SOCKET, TITLE
from wakeport.runtimes.podman.removal import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAKE", "PROGRAM", "has_image", "refused", "start"]

MAKE: Final = "pull or build it as root: no client's connection does that"

OWN: Final = 64  # threads of Podman and runc while they start it


def has_image(name: str) -> bool:
    """Raises RuntimeProblem."""
    return look.has_image(name, SOCKET, TITLE)


def refused(_asked: Asked) -> Iterator[tuple[str, str]]:
    """Settings that it cannot fulfil, each with its reason."""
    return iter(())


def start(asked: Asked) -> Start:
    options = [
        # Nobody waits for its events, and each would be a line in the journal.
        *(PROGRAM, "--events-backend=none", "run", "--rm", "--interactive"),
        *("--detach", "--sdnotify=conmon", "--cgroups=split"),
        # Hands on the connection itself; and what goes for Docker's goes here.
        *("--log-driver=passthrough", "--pull=never", "--no-healthcheck"),
        f"--label=wakeport={asked.service}",
        *("--env=REMOTE_ADDR", "--env=REMOTE_PORT"),
        f"--network={asked.network}",
        "--security-opt=no-new-privileges",
        "--pids-limit=0",  # the unit has it
        *(["--read-only", "--read-only-tmpfs=false", f"--tmpfs={SCRATCH}"] if asked.read_only else []),
    ]
    return Start(
        options,
        name=f"--name=wakeport-{asked.service}-",
        what=[asked.image, *asked.command],
        settings=[
            ("Type", "notify"),
            ("NotifyAccess", "all"),
            ("Delegate", "yes"),
            *limits(asked, OWN),
        ],
        after=(),
        confined=False,
    )
