"""What a service of the host is called. Built-in modules only: the start call needs it."""

from __future__ import annotations


def unit_of(name: str) -> str:
    """As systemctl(1) has it: without an ending it is a service."""
    return name if name.endswith(".service") else f"{name}.service"
