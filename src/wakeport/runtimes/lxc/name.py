"""Which unit a container of LXC has. Built-in modules only: the start call needs it."""

from __future__ import annotations


def unit_of(name: str) -> str:
    """As LXC ships it. Nothing is escaped: the unit hands its %i on, as it stands, as the container."""
    return f"lxc@{name}.service"
