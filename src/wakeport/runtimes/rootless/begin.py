"""The first act of a wake: ask the user's own Podman to start the container, before anything is imported."""

from __future__ import annotations

from wakeport.runtimes.own import run_directory
from wakeport.runtimes.podman import begin as podman

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.runtimes.docker.begin import Begun


def socket() -> str:
    """podman-system-service(1)"""
    return f"{run_directory()}/podman/podman.sock"


def begin(container: str) -> Begun:
    return podman.begin(container, socket())
