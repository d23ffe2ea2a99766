"""What an ordinary user may not have in a service of their own, and what a login lacks for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from wakeport.listener import Listener
from wakeport.service import Service

UNPRIVILEGED: Final = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")  # ip(7); IPv6 too
LINGERING: Final = Path("/var/lib/systemd/linger")  # loginctl(1)
SUBORDINATE: Final = (Path("/etc/subuid"), Path("/etc/subgid"))  # subuid(5)

Mistake = tuple[str, str]  # what is, and what to do

PER_CONNECTION: Final[Mistake] = (
    'mode = "per-connection" is for services of the system alone',
    "without --user, as root; or a container for all: take mode out",
)


BYPASS: Final[Mistake] = (
    "bypass is for services of the system alone: the rule that it takes is root's to make",
    "take bypass out, or add the service without --user, as root",
)


def mistakes(service: Service, unprivileged: Path = UNPRIVILEGED) -> list[Mistake]:
    if service.per_connection:
        return [PER_CONNECTION]
    if service.bypass:
        return [BYPASS]
    first = _first_port(unprivileged)
    found = []
    for listener in service.listener:
        found += _owner(listener)
        found += _page_file(listener)
        if 0 < listener.on.port < first:
            fact = f"port {listener.on} is for root alone: a user's begin at {first}"
            least = f"sysctl net.ipv4.ip_unprivileged_port_start={listener.on.port}"
            found.append((fact, f"listen on a higher one, or let root allow it: {least}"))
    return found


def _owner(listener: Listener) -> list[Mistake]:
    if listener.owner is None:
        return []
    fact = f"{listener.on} cannot be given to {listener.owner}: a user's sockets are that user's"
    return [(fact, "take owner out; mode says whether others may connect")]


def _page_file(listener: Listener) -> list[Mistake]:
    if listener.page_file is None or os.access(listener.page_file, os.R_OK):
        return []
    fact = f"there is no file {listener.page_file} that you may read"
    return [(fact, "page_file is a page for browsers; without it there is our own")]


def _first_port(unprivileged: Path) -> int:
    try:
        return int(unprivileged.read_text())
    except (OSError, ValueError):
        return 1024


def not_lingering(user: str, lingering: Path = LINGERING) -> list[Mistake]:
    """At most one: without it a user's manager, and all that it runs, ends with the last login."""
    if (lingering / user).exists():
        return []
    fact = f"{user} does not linger: at the last logout all services stop, and their ports close"
    return [(fact, f"loginctl enable-linger {user}")]


def without_subordinates(user: str, uid: int, files: tuple[Path, ...] = SUBORDINATE) -> list[Mistake]:
    """Podman runs the users of a container under numbers that are set aside for its own user."""
    lacking = [path for path in files if not _has_range(path, user, uid)]
    if not lacking:
        return []
    fact = f"{user} has no range in {' and '.join(map(str, lacking))}: images with several users do not run"
    return [(fact, f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}")]


def _has_range(path: Path, user: str, uid: int) -> bool:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return False
    return any(line.partition(":")[0] in (user, str(uid)) for line in lines)
