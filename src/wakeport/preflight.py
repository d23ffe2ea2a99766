"""What is looked at before anything is written: would this service work on this machine?"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from wakeport import facts, needs, ports, user_rights
from wakeport.errors import BadInput, InTheWay, NoRights, NotThere
from wakeport.layout import Layout
from wakeport.listener import Owner, visible
from wakeport.place import Place
from wakeport.proxy.watch.connections import Connections
from wakeport.runtimes.container import Container
from wakeport.service import Service
from wakeport.socket_unit import GROUP
from wakeport.targets import targets

Mistake = tuple[str, str]  # what is, and what to do


def require_root(layout: Layout, command: str) -> None:
    """Raises NoRights where the services are the system's, and the caller is not root."""
    if not layout.scope.user and os.geteuid() != 0:
        raise NoRights(
            "only root changes the system's units",
            f"sudo {command}; or services of your own, without root: wakeport --user",
        )


def manager_has(layout: Layout, service: Service) -> None:
    """Raises BadInput where services of this kind are the system's alone."""
    layout.scope.package(service.runtime)
    if layout.scope.user and service.per_connection:
        raise BadInput(*user_rights.PER_CONNECTION)


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
        shared = not (other.per_connection or service.per_connection)
        if shared and other.container == service.container:
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


def needs_fit(layout: Layout, service: Service, others: list[Service]) -> None:
    """Raises BadInput where its needs form a circle, NotThere where there is no such service."""
    for mistake in circles(service, others):
        raise BadInput(*mistake)
    for mistake in missing_needs(layout, service):
        raise NotThere(*mistake)
    for mistake in needs_of_another_mode(service, others):
        raise BadInput(*mistake)


def circles(service: Service, others: list[Service]) -> list[Mistake]:
    """At most one."""
    found = needs.circle(service, others)
    return [(f"each waits for the next: {found}", "take one of them out")] if found else []


def missing_needs(layout: Layout, service: Service) -> list[Mistake]:
    there = layout.services()
    return [
        (f"there is no service {need}, which {service.name} needs", f"make it first: wakeport add {need}")
        for need in service.needs
        if need not in there and need != service.name
    ]


def needs_of_another_mode(service: Service, others: list[Service]) -> list[Mistake]:
    """What has a container for each connection has no container that could be awake."""
    each = {one.name for one in others if one.per_connection}
    return [
        (
            f"{need} gives each connection a container: there is none to be awake before",
            f"take {need} out of needs",
        )
        for need in service.needs
        if need in each
    ]


def needed_by_none(name: str, others: list[Service]) -> None:
    """Raises InTheWay where a service could not wake any more without the service `name`."""
    needing = needs.needed_by(name, [one for one in others if one.name != name])
    if needing:
        raise InTheWay(
            f"{name} is needed by {' and '.join(needing)}",
            f"take it out of needs there, or remove {'that' if len(needing) == 1 else 'those'} first",
        )


def container_fits(layout: Layout, service: Service, container: Container) -> None:
    """Raises InTheWay or BadInput where the container can never be served behind these listeners."""
    for clash in published_clashes(layout, service, container):
        raise InTheWay(*clash)
    for mistake in (
        network_mistake(layout, service, container),
        readiness_mistake(service, container),
        removal_mistake(layout, service, container),
        bypass_mistake(service, container),
    ):
        if mistake is not None:
            raise BadInput(*mistake)


def host_fits(layout: Layout, service: Service) -> None:
    """Raises BadInput where this machine lacks what the listeners name, or its user the right to that."""
    for mistake in host_mistakes(layout, service):
        raise BadInput(*mistake)


def host_mistakes(layout: Layout, service: Service) -> list[Mistake]:
    """Owners and files that the listeners name and that do not fit, each with what to do."""
    found: list[Mistake] = _unwatched() if service.pass_fd else []
    if layout.scope.user:
        return found + user_rights.mistakes(service)
    for listener in service.listener:
        if listener.owner is not None:
            found += _missing_accounts(listener.owner)
        if listener.page_file is not None:
            found += _hidden(listener.page_file) or _unreadable(listener.page_file)
        if isinstance(listener.to, str):
            found += _hidden(listener.to)
    return found


def _unwatched() -> list[Mistake]:
    """Whoever accepts its clients itself is known to be idle by the kernel alone."""
    try:
        with closing(Connections([])) as connections:
            connections.ask_of_none()
    except OSError as error:
        fact = f"pass_fd: this kernel does not tell who is connected (sock_diag: {error.strerror})"
        return [(fact, "modprobe tcp_diag, or leave pass_fd out")]
    return []


def _missing_accounts(owner: Owner) -> list[Mistake]:
    """systemd takes numbers as they are, and fails the socket at a name that it does not find."""
    found = []
    users, groups = {one.pw_name for one in pwd.getpwall()}, {one.gr_name for one in grp.getgrall()}
    if owner.user and not owner.user.isdecimal() and owner.user not in users:
        fact = f"there is no user {owner.user}, who is to own a listener"
        found.append((fact, f"useradd --system {owner.user}"))
    if owner.group and not owner.group.isdecimal() and owner.group not in groups:
        fact = f"there is no group {owner.group}, which is to own a listener"
        found.append((fact, f"groupadd --system {owner.group}"))
    return found


def _unreadable(path: str) -> list[Mistake]:
    if not Path(path).is_file():
        return [(f"there is no file {path}", "page_file is a page for browsers; without it there is our own")]
    if not open_to_proxy(path, reading=True):
        return [(f"the proxy, which runs as {GROUP}, may not read {path}", f"chmod a+r {path}")]
    return []


def _hidden(path: str) -> list[Mistake]:
    """Also a link may lead to where the proxy's sandbox lets it see nothing."""
    real = os.path.realpath(path)
    try:
        visible(path)
    except ValueError as error:
        return [(str(error), "every key is explained in wakeport(1)")]
    try:
        visible(real)
    except ValueError as error:
        return [(f"{path} is a link to {error}", "the proxy cannot follow it there")]
    return []


def open_to_proxy(path: str, *, reading: bool) -> bool:
    """Whether the proxy's user may read a file, or connect to a socket, as far as the mode itself tells."""
    found = Path(path).stat()
    everybody = stat.S_IROTH if reading else stat.S_IWOTH
    if found.st_mode & everybody:
        return True
    ours = [one.gr_gid for one in grp.getgrall() if one.gr_name == GROUP]
    return found.st_gid in ours and bool(found.st_mode & (everybody << 3))


def hidden_places(service: Service) -> list[Mistake]:
    """What the settings alone tell of that: paths that no proxy of the system can see."""
    found: list[Mistake] = []
    for index, listener in enumerate(service.listener):
        for key, path in (("to", listener.to), ("page_file", listener.page_file)):
            if isinstance(path, str):
                try:
                    visible(path)
                except ValueError as error:
                    found.append(
                        (f"listener[{index}].{key}: {error}", "every key is explained in wakeport(1)")
                    )
    return found


def network_mistake(layout: Layout, service: Service, container: Container) -> Mistake | None:
    """A network on which nothing can reach the container, and what to do."""
    if service.pass_fd or all(listener.leads_to_path for listener in service.listener):
        return None  # it needs none
    ports = [f"{one.to}/{one.on.protocol}" for one in service.listener if isinstance(one.to, int)]
    reason = facts.why_unreachable(layout, service.runtime, container)
    reason = reason or next((why for port in ports if (why := container.why_closed(port))), None)
    return (f"container {container.name} cannot be reached", reason) if reason else None


def readiness_mistake(service: Service, container: Container) -> Mistake | None:
    """A way to be ready that the container does not have, and what to do."""
    if service.ready != "health" or container.has_healthcheck:
        return None
    fact = f'ready = "health", but container {container.name} has no HEALTHCHECK: it can never be ready'
    return fact, 'use "connect", or give the image a HEALTHCHECK'


def removal_mistake(layout: Layout, service: Service, container: Container) -> Mistake | None:
    """A container that would not survive its first sleep, and what to do."""
    if not container.removed_when_stopped:
        return None
    advice = facts.advice(layout, service)
    fact = f"container {container.name} was made with --rm: {advice.title} removes it when it sleeps"
    return fact, advice.keep


def bypass_mistake(service: Service, container: Container) -> Mistake | None:
    """A container that there is no way to but the host's own ports, and what to do."""
    if not service.bypass or not container.on_host_network:
        return None
    fact = f"bypass: container {container.name} is on the host's own network, so there is nothing to pass by"
    return fact, "take bypass out, or make it anew without --network host"


def published_clashes(layout: Layout, service: Service, container: Container) -> list[Mistake]:
    """Listeners that the container itself wants to hold too, each with what to do."""
    places = [listener.on for listener in service.listener if listener.on.port]
    found = []
    for inner, published in _published(container):
        if any(place.overlaps(published) for place in places):
            fact = (
                f"container {container.name} publishes {_said(published.everywhere)} itself, "
                "which systemd is to hold"
            )
            hint = facts.advice(layout, service).other_port
            found.append((fact, hint.replace("{outer}", str(published.port)).replace("{port}", inner)))
    if container.on_host_network:
        behind = targets(service, tuple(container.exposed))
        for place in sorted({place.everywhere for place in places}, key=str):
            if f"{place.port}/{place.protocol}" in behind:
                fact = (
                    f"container {container.name} listens on the host's own {_said(place)}, "
                    "which systemd is to hold"
                )
                found.append((fact, "let it listen on another port, or give it a network of its own"))
    return found


def _published(container: Container) -> Iterator[tuple[str, Place]]:
    """The container's port, as `-p` takes it, and where its runtime listens for it."""
    for inner, outer in container.published.items():
        port, _, protocol = inner.partition("/")
        if protocol in ("tcp", "udp"):
            for address, host_port in outer:
                place = Place(port=host_port, address=_plain(address), udp=protocol == "udp")
                yield inner if place.udp else port, place


def _plain(address: str) -> str:
    return "" if address in ("", "0.0.0.0", "::") else address


def _said(place: Place) -> str:
    return place.path or f"port {place}"
