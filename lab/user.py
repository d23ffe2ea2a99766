"""An ordinary user in a lab, with a systemd of their own: set up for whoever asks, once after each boot."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from lab.machine import Lab, LabError

NAME = "ann"
MANAGER_WITHIN = 60.0  # seconds

# What a login brings in: the service that starts a user's manager, and which the lab masks for all others.
_LOGIN = """
systemctl unmask systemd-logind.service dbus-org.freedesktop.login1.service 2>/dev/null
systemctl start systemd-logind.service
"""


class User:
    """Runs commands as the user does who has logged in."""

    def __init__(self, lab: Lab, name: str = NAME) -> None:
        self.lab = lab
        self.name = name
        self.uid = int(lab.run(["id", "-u", name]).stdout)
        self.home = f"/home/{name}"
        self.run_directory = f"/run/user/{self.uid}"
        self.environment = {"XDG_RUNTIME_DIR": self.run_directory}

    def run(self, argv: Sequence[str | Path], *, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.lab.run(argv, check=check, user=self.name, env=self.environment)

    @property
    def group(self) -> Path:
        """The cgroup of their manager, as the host sees it."""
        slices = self.lab.root / "sys/fs/cgroup/user.slice"
        return slices / f"user-{self.uid}.slice" / f"user@{self.uid}.service"


def set_up(lab: Lab, name: str = NAME) -> User:
    """Make the user, and let them linger; nothing to do where that is so. Their manager runs on return."""
    if lab.run(["id", name], check=False).returncode != 0:
        lab.run(["useradd", "--create-home", "--shell=/bin/bash", name])
    lab.run(["sh", "-c", _LOGIN])
    lab.run(["loginctl", "enable-linger", name])
    user = User(lab, name)
    _await_manager(user)
    return user


def _await_manager(user: User) -> None:
    until = time.monotonic() + MANAGER_WITHIN
    while user.run(["systemctl", "--user", "is-system-running"], check=False).stdout.strip() != "running":
        if time.monotonic() > until:
            raise LabError(f"the manager of {user.name} does not run after {MANAGER_WITHIN:.0f} s")
        time.sleep(0.05)
