"""What the command line has to know of a user's own Podman: its container, and what to advise."""

from __future__ import annotations

from typing import Final

from wakeport.runtimes.advice import Advice
from wakeport.runtimes.container import Container
from wakeport.runtimes.docker.look import look_at
from wakeport.runtimes.podman import host
from wakeport.runtimes.podman.begin import TITLE
from wakeport.runtimes.podman.host import AFTER, WANTS, journal, passed_to
from wakeport.runtimes.rootless.begin import socket
from wakeport.runtimes.rootless.container import RootlessInspected

__all__ = ["ADVICE", "AFTER", "WANTS", "journal", "look", "passed_to", "why_unreachable"]

ADVICE: Final[Advice] = host.ADVICE._replace(
    make="podman create --name {name} -p 127.0.0.1:PORT:80 IMAGE makes one; with --user yours alone count",
    other_port="make it anew with another port in front: -p 127.0.0.1:PORT:{port}; or --listen another",
)


def look(name: str) -> Container:
    """Raises RuntimeProblem."""
    return look_at(name, socket(), TITLE, RootlessInspected)


def why_unreachable(_found: Container) -> str | None:
    """Of each port it says so itself."""
    return None
