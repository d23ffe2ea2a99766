"""What is looked at before anything is written: would this service work on this machine?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from wakeport import facts, ports
from wakeport.errors import BadInput, InTheWay, NoRights
from wakeport.layout import Layout
from wakeport.listener import Place
from wakeport.runtimes.docker.container import Container
from wakeport.service import Service
from wakeport.units import targets


def require_root(command: str) -> None:
    if os.geteuid() != 0:
        raise NoRights("only root changes units", f"sudo {command}")


def places_free(places: list[Place]) -> None:
    """Raises InTheWay where somebody listens on one of `places` already."""
    held = ports.listening()
    for place in places:
        for one in held:
            if place.overlaps(one.place):
                raise InTheWay(
                    f"{_said(place)} is taken by {ports.holder(one.inode)}",
                    "stop that, or listen elsewhere",
                )
        if place.path and os.path.lexists(place.path):
            raise InTheWay(f"{place.path} is there already, and nobody listens on it", f"rm {place.path}")
        directory = Path(place.path).parent
        if place.path and not directory.is_dir():
            raise BadInput(f"there is no directory for {place.path}", f"mkdir -p {directory}")


def other_services(layout: Layout, service: Service, others: list[Service]) -> None:
    """Raises InTheWay where another service wants the same place or the same container, awake or not."""
    for other in others:
        if other.name == service.name:
            continue
        if other.container == service.container:
            # Each supervisor would stop it under the other's clients.
            raise InTheWay(
                f"container {service.container} is the service {other.name}'s already",
                f"give that one another [[listener]] in {layout.settings(other.name)}",
            )
        for theirs in other.listener:
            for ours in service.listener:
                if ours.on.overlaps(theirs.on):
                    raise InTheWay(
                        f"{_said(ours.on)} belongs to the service {other.name}",
                        f"change it in {layout.settings(other.name)}, or listen on another",
                    )


def container_fits(service: Service, container: Container) -> None:
    """Raises InTheWay or BadInput where the container can never be served behind these listeners."""
    for clash in published_clashes(service, container):
        raise InTheWay(*clash)
    for mistake in (
        network_mistake(container),
        readiness_mistake(service, container),
        removal_mistake(container),
    ):
        if mistake is not None:
            raise BadInput(*mistake)


def network_mistake(container: Container) -> tuple[str, str] | None:
    """A network on which nothing can reach the container, and what to do."""
    reason = facts.why_unreachable(container)
    return (f"container {container.name} cannot be reached", reason) if reason else None


def readiness_mistake(service: Service, container: Container) -> tuple[str, str] | None:
    """A way to be ready that the container does not have, and what to do."""
    if service.ready != "health" or container.has_healthcheck:
        return None
    fact = f'ready = "health", but container {container.name} has no HEALTHCHECK: it can never be ready'
    return fact, 'use "connect", or give the image a HEALTHCHECK'


def removal_mistake(container: Container) -> tuple[str, str] | None:
    """A container that would not survive its first sleep, and what to do."""
    if not container.removed_when_stopped:
        return None
    fact = f"container {container.name} was made with --rm: Docker removes it when it sleeps"
    return fact, "make it anew without --rm"


def published_clashes(service: Service, container: Container) -> list[tuple[str, str]]:
    """Listeners that the container itself wants to hold too, each with what to do."""
    places = [listener.on for listener in service.listener if listener.on.port]
    found = []
    for inner, address, port in _published(container):
        if any(place.overlaps(Place(port=port, address=address)) for place in places):
            fact = f"container {container.name} publishes port {port} itself, which systemd is to hold"
            found.append(
                (fact, f"make it anew without -p {port}:{inner}, wakeport needs none; or --listen another")
            )
    if container.network_mode == "host":
        own = {int(target.partition("/")[0]) for target in targets(service, tuple(container.exposed))}
        for port in sorted(own & {place.port for place in places}):
            fact = (
                f"container {container.name} listens on the host's own port {port}, which systemd is to hold"
            )
            found.append((fact, "let it listen on another port, or give it a network of its own"))
    return found


def _published(container: Container) -> Iterator[tuple[str, str, int]]:
    """Container port, host address, host port, for TCP."""
    for inner, outer in container.published.items():
        port, _, protocol = inner.partition("/")
        if protocol == "tcp":
            yield from ((port, _plain(address), host_port) for address, host_port in outer)


def _plain(address: str) -> str:
    return "" if address in ("", "0.0.0.0", "::") else address


def _said(place: Place) -> str:
    return place.path or f"port {place}"
