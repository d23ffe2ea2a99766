"""What is true of this machine and of a container: the facts that units and checks are made from."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Final

import wakeport
from wakeport import programs
from wakeport.errors import BadInput, NoRights, NotThere, OutOfReach, Problem
from wakeport.layout import Layout
from wakeport.runtimes import choice
from wakeport.runtimes.advice import Advice
from wakeport.runtimes.container import Container
from wakeport.runtimes.problems import Missing, RuntimeProblem, Unreachable
from wakeport.runtimes.project import Member
from wakeport.service import DEFAULTS, Service
from wakeport.units import DEFAULT_STOP_TIMEOUT, STOP_MARGIN, Facts, names

RELAYS: Final = ("/lib/systemd/systemd-socket-proxyd", "/usr/lib/systemd/systemd-socket-proxyd")


def _host(layout: Layout, runtime: str) -> ModuleType:
    """Raises BadInput where its manager has no such runtime."""
    return choice.host(layout.scope.package(runtime))


def machine(
    layout: Layout, service: Service, container: Container | None, *, needs_within: float = 0.0
) -> Facts:
    """What the units of `service` depend on. `container` is None where there is none to look at;
    `needs_within` are the seconds that what it needs may take to wake.
    """
    host = _host(layout, service.runtime)
    copy = layout.programs / programs.directory_name(programs.collect())
    return Facts(
        programs=layout.inside(copy),
        version=wakeport.__version__,
        scope=layout.scope,
        exposed=None if container is None else tuple(container.exposed),
        stop_timeout=_last_stop_timeout(layout, service.name)
        if container is None
        else container.stop_timeout,
        relay=next((path for path in RELAYS if Path(path).exists()), RELAYS[0]),
        after=host.AFTER,
        wants=host.WANTS,
        needs_within=needs_within,
        passed_to=_passed_to(layout, service) if service.pass_fd else "",
    )


def _passed_to(layout: Layout, service: Service) -> str:
    """Raises BadInput where its runtime passes no socket to what it starts."""
    try:
        unit: str = _host(layout, service.runtime).passed_to(service.container)
    except RuntimeProblem as problem:
        hint = 'mend that, leave it out, or make a unit of systemd of it (runtime = "unit")'
        raise BadInput(f"pass_fd: {problem}", hint) from None
    return unit


def _last_stop_timeout(layout: Layout, service: str) -> int:
    """What the units on disk were made with: that the runtime is away is no reason to forget it."""
    try:
        text = layout.unit(names(service).supervisor).read_text()
    except OSError:
        return DEFAULT_STOP_TIMEOUT
    found = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    return int(found[1]) - STOP_MARGIN if found else DEFAULT_STOP_TIMEOUT


def container(layout: Layout, runtime: str, name: str) -> Container:
    """What its runtime says of a container. Raises NotThere, NoRights, OutOfReach or Problem."""
    host = _host(layout, runtime)
    with _asked(host.ADVICE.for_name(name)):
        found: Container = host.look(name)
    return found


def image(runtime: str, name: str) -> None:
    """Raises NotThere where its runtime has no such image or no client, NoRights, OutOfReach or Problem."""
    each = choice.per_connection(runtime)
    assert each is not None, "refused where it was set"
    if not Path(each.PROGRAM).exists():
        raise NotThere(f"there is no {each.PROGRAM}, which each connection starts", "install it")
    with _asked(choice.host(runtime).ADVICE.for_name(name)):
        if not each.has_image(name):
            raise NotThere(f"there is no image {name}", each.MAKE)


@contextmanager
def _asked(advice: Advice) -> Iterator[None]:
    """What goes wrong with a runtime, told with what to do."""
    try:
        yield
    except Missing as problem:
        raise NotThere(str(problem), advice.make) from None
    except Unreachable as problem:
        if isinstance(problem.__cause__, PermissionError):
            raise NoRights(f"{advice.title}'s socket is closed to you", "run it as root, with sudo") from None
        raise OutOfReach(str(problem), advice.reach) from None
    except RuntimeProblem as problem:
        raise Problem(f"{advice.title}: {problem}", advice.ask) from None


def members(layout: Layout, project: str) -> list[Member]:
    """The containers of a Compose project. Raises as `container` does."""
    host = _host(layout, DEFAULTS["runtime"])
    with _asked(host.ADVICE.for_name(project)):
        found: list[Member] = host.members(project)
    return found


def advice(layout: Layout, service: Service) -> Advice:
    """What to advise about the container of `service`."""
    told: Advice = _host(layout, service.runtime).ADVICE
    return told.for_name(service.container)


def journal(layout: Layout, service: Service) -> list[str]:
    """The units under which the output of its container is found, where that is not its supervisor."""
    found: list[str] = _host(layout, service.runtime).journal(service.container)
    return found


def why_unreachable(layout: Layout, runtime: str, found: Container) -> str | None:
    """Why the host can never reach the container; None where it can, or where nobody can tell."""
    reason: str | None = _host(layout, runtime).why_unreachable(found)
    return reason


def spare_address(layout: Layout, service: Service, found: Container) -> str:
    """One on the network of a container that sleeps, which hardly anybody has: the last; "" for none."""
    for subnet, gateway in _host(layout, service.runtime).subnets(found):
        network = ipaddress.ip_network(subnet)
        for at in (-2, -3):
            if network.num_addresses > 4 and str(network[at]) != gateway:
                return str(network[at])
    return ""


def container_or_none(layout: Layout, runtime: str, name: str) -> Container | None:
    """The same as `container`, but None where there is no such container or no runtime to ask."""
    try:
        return container(layout, runtime, name)
    except (NotThere, OutOfReach):
        return None
