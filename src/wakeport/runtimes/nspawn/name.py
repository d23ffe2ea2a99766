"""Which unit a machine has. Built-in modules only: the start call needs it."""

from __future__ import annotations


def unit_of(name: str) -> str:
    """As machinectl(1) has it. Nothing is escaped: the unit hands its %i on, as it stands, as the machine."""
    return f"systemd-nspawn@{name}.service"
