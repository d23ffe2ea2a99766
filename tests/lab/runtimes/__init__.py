"""What runs the containers of a test: each runtime as a person uses it, with its own programs.

A test that is marked `every_runtime` runs once for each of RUNTIMES. The others know Docker only, since
they are about something that Docker alone has.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from lab import Lab
from tests.lab.homes import Home

# docker create: Python as a container's first process does not hear SIGTERM, and nobody needs it to.
DIES_AT_ONCE: Final = "--stop-signal=KILL"
STOP_TIMEOUT: Final = "--stop-timeout="  # seconds behind it


class Containers(Protocol):
    """The containers of one runtime in a lab. They have an address of their own, and serve port 80 there."""

    runtime: str
    lab: Lab

    @property
    def home(self) -> Home:
        """Whose services wake them."""

    def create(self, name: str, *options: str, image: str = "nginx", command: Sequence[str] = ()) -> None:
        """Make one, without starting it, from an image of `lab.images`. Of docker's options DIES_AT_ONCE and
        STOP_TIMEOUT are known to all.
        """

    def target(self, name: str, port: int) -> int:
        """Where it listens for what is port 80 to others, as its service is told."""

    def remove(self, name: str) -> None:
        """Also where it runs, or is not there."""

    def start(self, name: str) -> None: ...

    def stop(self, name: str) -> None: ...

    def kill(self, name: str) -> None: ...

    def restart(self, name: str) -> None: ...

    def freeze(self, name: str) -> None: ...

    def thaw(self, name: str) -> None: ...

    def rename(self, old: str, new: str) -> None:
        """Move it away, or back."""

    def run_in(self, name: str, *command: str) -> str:
        """What a command says inside."""

    def running(self) -> list[str]:
        """The names of all that run."""

    def is_frozen(self, name: str) -> bool: ...

    def started_at(self, name: str) -> str:
        """Another text after each start."""

    def first_process(self, name: str) -> int:
        """As the lab numbers it."""

    def group(self, name: str) -> Path:
        """Its own directory below /sys/fs/cgroup of the lab, as the host sees it."""

    def clean_up(self) -> None:
        """Remove all that a test has made."""
