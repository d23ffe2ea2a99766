"""The services whose settings stand in /etc/wakeport: found by name, or told apart from what is missing."""

from __future__ import annotations

from wakeport.errors import BadInput, NoRights, NotThere, Problem
from wakeport.layout import Layout
from wakeport.service import Service, check_name, read


def load(layout: Layout, name: str) -> Service:
    """The service `name`. Raises NotThere, BadInput or NoRights."""
    path = layout.settings(check_name(name))
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        raise NotThere(f"there is no service {name}", _what_there_is(layout)) from None
    except PermissionError:
        raise NoRights(f"{path} is closed to you", "run it as root, with sudo") from None
    return read(name, text, str(path))


def load_shared(layout: Layout, name: str) -> Service:
    """The same, where it is a service that can be awake; BadInput where each connection has a container."""
    service = load(layout, name)
    if service.per_connection:
        raise BadInput(
            f"{name} gives each connection a container of its own: it neither wakes nor sleeps",
            f"wakeport status {name} tells how many run",
        )
    return service


def readable(layout: Layout) -> list[Service]:
    """All services but those with settings that make no sense; doctor tells of them."""
    found = []
    for name in layout.services():
        try:
            found.append(load(layout, name))
        except Problem:
            continue
    return found


def chosen(layout: Layout, names: tuple[str, ...]) -> list[str]:
    """`names`, or all services where there are none."""
    return list(names) or layout.services()


def _what_there_is(layout: Layout) -> str:
    there = layout.services()
    return f"there is {', '.join(there)}" if there else "make one: wakeport add NAME --listen PORT"
