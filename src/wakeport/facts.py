"""What is true of this machine and of a container: the facts that units and checks are made from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import wakeport
from wakeport import programs
from wakeport.errors import NoRights, NotThere, OutOfReach, Problem
from wakeport.layout import Layout
from wakeport.loop import Loop
from wakeport.runtimes.docker.container import Container, unreachable_network
from wakeport.runtimes.docker.engine import Engine
from wakeport.runtimes.problems import Missing, RuntimeProblem, Unreachable
from wakeport.units import DEFAULT_STOP_TIMEOUT, STOP_MARGIN, Facts, names

RELAYS: Final = ("/lib/systemd/systemd-socket-proxyd", "/usr/lib/systemd/systemd-socket-proxyd")


def machine(layout: Layout, service: str, container: Container | None, *, needs_within: float = 0.0) -> Facts:
    """What the units of `service` depend on. `container` is None where there is none to look at;
    `needs_within` are the seconds that what it needs may take to wake.
    """
    copy = layout.programs / programs.directory_name(programs.collect())
    return Facts(
        programs=layout.inside(copy),
        version=wakeport.__version__,
        exposed=None if container is None else tuple(container.exposed),
        stop_timeout=_last_stop_timeout(layout, service) if container is None else container.stop_timeout,
        relay=next((path for path in RELAYS if Path(path).exists()), RELAYS[0]),
        needs_within=needs_within,
    )


def _last_stop_timeout(layout: Layout, service: str) -> int:
    """What the units on disk were made with: that Docker is away is no reason to forget it."""
    try:
        text = layout.unit(names(service).supervisor).read_text()
    except OSError:
        return DEFAULT_STOP_TIMEOUT
    found = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    return int(found[1]) - STOP_MARGIN if found else DEFAULT_STOP_TIMEOUT


def container(name: str) -> Container:
    """What Docker says of the container `name`. Raises NotThere, NoRights, OutOfReach or Problem."""
    loop = Loop()
    try:
        return Container(loop.run(Engine(loop).inspect(name)))
    except Missing:
        raise NotThere(
            f"there is no container {name}", f"docker create --name {name} IMAGE makes one"
        ) from None
    except Unreachable as problem:
        if isinstance(problem.__cause__, PermissionError):
            raise NoRights("Docker's socket is closed to you", "run it as root, with sudo") from None
        raise OutOfReach(str(problem), "systemctl start docker") from None
    except RuntimeProblem as problem:
        raise Problem(f"Docker: {problem}", "docker inspect tells more") from None
    finally:
        loop.close()


def why_unreachable(found: Container) -> str | None:
    """Why the host can never reach the container; None where it can, or where nobody can tell."""
    return unreachable_network(found.network_mode, _drivers(found))


def _drivers(found: Container) -> dict[str, str]:
    loop = Loop()
    try:
        return loop.run(Engine(loop).drivers(found.networks))
    except RuntimeProblem:
        return {}
    finally:
        loop.close()


def container_or_none(name: str) -> Container | None:
    """The same, but None where there is no such container or no Docker to ask."""
    try:
        return container(name)
    except (NotThere, OutOfReach):
        return None
