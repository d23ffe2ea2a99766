"""What the command line has to know of Podman: its container, what to advise, and what its units name."""

from __future__ import annotations

from typing import Final

from wakeport.runtimes.advice import Advice
from wakeport.runtimes.container import Container
from wakeport.runtimes.docker.look import look_at
from wakeport.runtimes.docker.look import subnets as _subnets
from wakeport.runtimes.docker.look import why_unreachable as _why_unreachable
from wakeport.runtimes.podman.begin import SOCKET, TITLE
from wakeport.runtimes.podman.container import CONNECT, PodmanInspected
from wakeport.runtimes.problems import Refused

ADVICE: Final = Advice(
    title=TITLE,
    make="podman create --name {name} IMAGE makes one; wakeport sees those of root alone",
    reach="systemctl enable --now podman.socket",
    ask="podman inspect {name} tells more",
    stop="podman stop {name}",
    leave_at_boot="systemctl disable podman-restart.service, or make it anew without --restart",
    keep="make it anew without --rm",
)
AFTER: Final = ("podman.service", "podman.socket")  # units that the supervisor starts behind
WANTS: Final = ("podman.socket",)


def journal(_name: str) -> list[str]:
    """The units that its output is found under, beside its supervisor's."""
    return []


def look(name: str) -> Container:
    """Raises RuntimeProblem."""
    return look_at(name, SOCKET, TITLE, PodmanInspected)


def passed_to(_name: str) -> str:
    """Raises Refused."""
    raise Refused("Podman's service starts the container, and has nothing to pass to it")


def why_unreachable(found: Container) -> str | None:
    """Why the host can never reach it; None where it can, or where nobody can tell."""
    assert isinstance(found, PodmanInspected), "looked at by another runtime"
    return _why_unreachable(found, SOCKET, TITLE, CONNECT)


def subnets(found: Container) -> list[tuple[str, str]]:
    """Of the bridge networks that it is on: each with its gateway, as far as they are known."""
    assert isinstance(found, PodmanInspected), "looked at by another runtime"
    return _subnets(found, SOCKET, TITLE)
