"""How units go while others stay: stopped and disabled as long as systemd has their files, then forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from wakeport.errors import Problem
from wakeport.install.host import Host
from wakeport.units import Names


def stop(host: Host, called: Names, units: Sequence[str]) -> None:
    """Stop and disable `units`, before their files are removed: then systemd knows where they are enabled."""
    stopped = [called.instances if name == called.template else name for name in units]
    if stopped:
        # What starts others first, and all in one job: nothing can wake what is being stopped.
        host.systemd.stop(*sorted(stopped, key=lambda name: name.endswith(".service")))
    installed = [name for name in units if name in called.installed]
    if installed:
        host.systemd.disable(*installed)


def forget(host: Host, units: Sequence[str]) -> None:
    """Let systemd forget how they ended; their files are gone, and it has been told."""
    for unit in units:
        try:
            host.systemd.forget_failures(unit)
        except Problem:
            continue  # it had none: systemd has forgotten the whole unit
