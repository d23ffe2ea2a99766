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

# While they start it, Podman and runc are in the same group: their threads, and MiB.
OWN: Final = 64
LEAST: Final = 64


def has_image(name: str) -> bool:
    """Raises RuntimeProblem."""
    return look.has_image(name, SOCKET, TITLE)


def refused(asked: Asked) -> Iterator[tuple[str, str]]:
    """Settings that it cannot fulfil, each with its reason."""
    if asked.memory_max and _mebibytes(asked.memory_max) < LEAST:
        yield "memory_max", f"Podman itself needs {LEAST}M of it while it starts a container"


def _mebibytes(amount: str) -> float:
    return int(amount[:-1]) * {"K": 1 / 1024, "M": 1, "G": 1024}[amount[-1]]


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
