"""A container of Docker for each connection: its client, which passes on what the Engine says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wakeport.runtimes.docker.host import AFTER
from wakeport.runtimes.docker.look import has_image
from wakeport.runtimes.per_connection import SCRATCH, Asked, Start

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAKE", "PROGRAM", "has_image", "refused", "start"]

PROGRAM: Final = "/usr/bin/docker"
MAKE: Final = "pull or build it: no client's connection does that"


def refused(_asked: Asked) -> Iterator[tuple[str, str]]:
    """Settings that it cannot fulfil, each with its reason."""
    return iter(())


def start(asked: Asked) -> Start:
    memory = [f"--memory={asked.memory_max}", f"--memory-swap={asked.memory_max}"] if asked.memory_max else []
    options = [
        *(PROGRAM, "run", "--rm", "--interactive"),
        # To fetch an image, or to keep on disk what a stranger is told, is nothing that a client may cause.
        *("--pull=never", "--log-driver=none", "--no-healthcheck"),
        f"--label=wakeport={asked.service}",
        # From systemd, as inetd's successors have it; a Unix socket has none.
        *("--env=REMOTE_ADDR", "--env=REMOTE_PORT"),
        f"--network={asked.network}",
        "--security-opt=no-new-privileges",
        f"--pids-limit={asked.processes_max}",
        *memory,
        *([f"--cpus={asked.cpu_max:g}"] if asked.cpu_max else []),
        *(["--read-only", f"--tmpfs={SCRATCH}"] if asked.read_only else []),
    ]
    return Start(
        options,
        name=f"--name=wakeport-{asked.service}-",
        what=[asked.image, *asked.command],
        settings=[("Type", "exec")],
        after=AFTER,
        confined=True,
    )
