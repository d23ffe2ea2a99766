"""What the figures were measured on: without it they say little."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone

from bench.ground import Ground


def facts(ground: Ground) -> dict[str, str | int]:
    """Date (UTC), hardware, and the versions of everything that takes part."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "kernel": platform.release(),
        "processor": _processor(),
        "processors": os.cpu_count() or 0,
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.freedesktop_os_release()["PRETTY_NAME"],
        "systemd": ground.lab.run(["systemctl", "--version"]).stdout.split()[1],
        "docker": ground.engine.version(),
        "python": ground.lab.run(["/usr/bin/python3", "--version"]).stdout.split()[1],
        "nginx": ground.lab.run(["nginx", "-v"]).stderr.strip().rpartition("/")[2],
    }


def line(facts: dict[str, str | int]) -> str:
    """The facts that explain most, on one line for people."""
    return (
        f"{facts['system']}, kernel {facts['kernel']}, {facts['processors']} processors, systemd "
        f"{facts['systemd']}, Docker {facts['docker']}, Python {facts['python']}, nginx {facts['nginx']}"
    )


def _processor() -> str:
    with open("/proc/cpuinfo") as file:
        for entry in file:
            key, _, value = entry.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.machine()
