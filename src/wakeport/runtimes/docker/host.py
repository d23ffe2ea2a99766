"""What the command line has to know of Docker: its container, what to advise, and what its units name."""

from __future__ import annotations

from typing import Final

from wakeport.runtimes.advice import Advice
from wakeport.runtimes.container import Container
from wakeport.runtimes.docker.container import Inspected
from wakeport.runtimes.docker.look import look_at
from wakeport.runtimes.docker.look import subnets as _subnets
from wakeport.runtimes.docker.look import why_unreachable as _why_unreachable
from wakeport.runtimes.docker.project import members
from wakeport.runtimes.problems import Refused

__all__ = [
    "ADVICE",
    "AFTER",
    "WANTS",
    "journal",
    "look",
    "members",
    "passed_to",
    "subnets",
    "why_unreachable",
]

ADVICE: Final = Advice(
    title="Docker",
    make="docker create --name {name} IMAGE makes one",
    reach="systemctl start docker",
    ask="docker inspect {name} tells more",
    stop="docker stop {name}",
    leave_at_boot="docker update --restart=no {name}",
    keep="make it anew without --rm",
    forward_chain="DOCKER-USER",
    let_forward="make the container anew with -p 127.0.0.1::{port}: Docker itself lets through to it then",
)
AFTER: Final = ("docker.service", "docker.socket")  # units that the supervisor starts behind
WANTS: Final[tuple[str, ...]] = ()


def journal(_name: str) -> list[str]:
    """The units that its output is found under, beside its supervisor's."""
    return []


def look(name: str) -> Container:
    """Raises RuntimeProblem."""
    return look_at(name)


def passed_to(_name: str) -> str:
    """Raises Refused."""
    raise Refused("Docker starts containers without it, and has nothing to pass to them")


def why_unreachable(found: Container) -> str | None:
    """Why the host can never reach it; None where it can, or where nobody can tell."""
    assert isinstance(found, Inspected), "looked at by another runtime"
    return _why_unreachable(found)


def subnets(found: Container) -> list[tuple[str, str]]:
    """Of the bridge networks that it is on: each with its gateway, as far as they are known."""
    assert isinstance(found, Inspected), "looked at by another runtime"
    return _subnets(found)
