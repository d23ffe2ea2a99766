"""An ordinary user in a lab, with a systemd of their own: set up for whoever asks, once after each boot."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lab.machine import CHECKOUT, Lab, LabError

NAME = "ann"
MANAGER_WITHIN = 60.0  # seconds
UP = ("running", "degraded")  # systemctl(1); the second where some service has failed

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

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        input: str | None = None,  # noqa: A002 - subprocess.run's own word
        check: bool = True,
        timeout: float | None = 60.0,
    ) -> subprocess.CompletedProcess[str]:
        """As the lab's own, in the user's home."""
        inside = ["env", f"--chdir={self.home}", *argv]
        return self.lab.run(
            inside, input=input, check=check, timeout=timeout, user=self.name, env=self.environment
        )

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
    _let_in(lab)
    lab.run(["loginctl", "enable-linger", name])
    user = User(lab, name)
    _await_manager(user)
    return user


def _let_in(lab: Lab) -> None:
    """Let an ordinary user come to the program `wakeport` and its Python, which may lie in root's home.

    The directories above them are the lab's own, on its disk.
    """
    above = {parent for path in (CHECKOUT, sys.prefix, sys.base_prefix) for parent in Path(path).parents}
    closed = ["find", *map(str, sorted(above)), "-maxdepth", "0", "!", "-perm", "-o+x"]
    lab.run([*closed, "-exec", "chmod", "o+x", "{}", "+"])


def _await_manager(user: User) -> None:
    until = time.monotonic() + MANAGER_WITHIN
    asking = ["systemctl", "--user", "is-system-running"]
    while user.run(asking, check=False).stdout.strip() not in UP:
        if time.monotonic() > until:
            raise LabError(f"the manager of {user.name} does not run after {MANAGER_WITHIN:.0f} s")
        time.sleep(0.05)
