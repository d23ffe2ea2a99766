"""What a service of the host is called. Built-in modules only: the start call needs it."""

from __future__ import annotations

from wakeport.runtimes.systemd.begin import OURS


def unit_of(name: str) -> str:
    """As systemctl(1) has it: without an ending it is a service."""
    return name if name.endswith(".service") else f"{name}.service"


def not_ours(name: str) -> str:
    """The same, where it is none of wakeport's own units. Raises Refused."""
    unit = unit_of(name)
    if unit.startswith(OURS):
        from wakeport.runtimes.problems import Refused  # the start call has no need of it

        raise Refused(f"{unit} is one of wakeport's own, which would wake itself")
    return unit
