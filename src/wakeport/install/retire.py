"""How units go while others stay: stopped and disabled as long as systemd has their files, then forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from wakeport.errors import Problem
from wakeport.install.host import Host


def stop(host: Host, units: Sequence[str]) -> None:
    """Stop and disable `units`, before their files are removed."""
    if units:
        # Sockets first and all in one job: nothing can wake what is being stopped.
        host.systemd.stop(*sorted(units, key=lambda name: not name.endswith(".socket")))
    sockets = [name for name in units if name.endswith(".socket")]
    if sockets:
        host.systemd.disable(*sockets)


def forget(host: Host, units: Sequence[str]) -> None:
    """Let systemd forget how they ended; their files are gone, and it has been told."""
    for unit in units:
        try:
            host.systemd.forget_failures(unit)
        except Problem:
            continue  # it had none: systemd has forgotten the whole unit
