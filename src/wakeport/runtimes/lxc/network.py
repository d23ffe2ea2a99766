"""Which network a container of LXC has, by its config; lxc.container.conf(5), "NETWORK". Pure."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

TYPE = re.compile(r"lxc\.net\.(\d+)\.type")

HOST, NOTHING = "none", "empty"
UNLINKED = ("macvlan", "ipvlan", NOTHING)  # the host cannot reach what it carries by these


def types(entries: Iterable[tuple[str, str]]) -> list[str]:
    """The types of its interfaces, in their order; none where it has a network with a loopback alone."""
    found: dict[str, str] = {}
    for key, value in entries:
        if key == "lxc.net" and not value:
            found.clear()
        elif number := TYPE.fullmatch(key):
            found[number[1]] = value
    return list(found.values())


def shared_with(entries: Iterable[tuple[str, str]]) -> bool:
    """Whether it has the network of another process or container."""
    return any(key == "lxc.namespace.share.net" and value for key, value in entries)
