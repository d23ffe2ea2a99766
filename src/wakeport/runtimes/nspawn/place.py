"""Where a machine and its settings are found; systemd-nspawn(1), "--machine" and systemd.nspawn(5)."""

from __future__ import annotations

import os

from wakeport.runtimes.problems import Missing

IMAGES = (
    *("/etc/machines", "/run/machines", "/var/lib/machines", "/var/lib/container"),
    *("/usr/local/lib/machines", "/usr/lib/machines"),
)
SETTINGS = ("/etc/systemd/nspawn", "/run/systemd/nspawn")


def image(name: str, root: str = "") -> str:
    """A directory, or a file with a disk in it. Raises Missing: the unit itself exists for every name."""
    for directory in IMAGES:
        for ending in ("", ".raw"):
            path = f"{root}{directory}/{name}{ending}"
            if os.path.exists(path):
                return path
    raise Missing(f"there is no machine {name} in /var/lib/machines")


def settings(name: str, root: str = "") -> str:
    """The text of its .nspawn file; empty where there is none."""
    beside = [f"{directory}/{name}.nspawn" for directory in (*SETTINGS, *IMAGES)]
    for path in beside:
        try:
            with open(root + path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            continue
    return ""
