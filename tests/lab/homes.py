"""Whose services a test is about: the system's, or those of a user with a systemd of their own."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lab import Lab
from lab.user import User
from wakeport import units


class Home(Protocol):
    """How commands are given there, and where all lies, as the host sees it: elsewhere after a reboot."""

    @property
    def group(self) -> Path:
        """Above the cgroups of its units."""

    @property
    def configuration(self) -> Path: ...

    @property
    def unit_directory(self) -> Path: ...

    def names(self, service: str) -> units.Names: ...

    def run(
        self, argv: Sequence[str | Path], *, check: bool = True, timeout: float | None = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """As whoever owns the services; of wakeport and systemd's programs, their services are meant."""


class OfSystem:
    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    @property
    def group(self) -> Path:
        return self.lab.root / "sys/fs/cgroup/system.slice"

    @property
    def configuration(self) -> Path:
        return self.lab.root / "etc/wakeport"

    @property
    def unit_directory(self) -> Path:
        return self.lab.root / "etc/systemd/system"

    def names(self, service: str) -> units.Names:
        return units.names(service)

    def run(
        self, argv: Sequence[str | Path], *, check: bool = True, timeout: float | None = 60.0
    ) -> subprocess.CompletedProcess[str]:
        return self.lab.run(argv, check=check, timeout=timeout)


# Of those that take it, the option that means a user's services.
_TAKES_USER = ("wakeport", "systemctl", "journalctl")

_CLEAN_UP = """
systemctl --user stop --no-block 'wakeport-*'
systemctl --user kill --signal=KILL 'wakeport-*' 2>/dev/null
systemctl --user stop 'wakeport-*'
rm -rf ~/.config/wakeport ~/.local/lib ~/.config/systemd/user/*wakeport-* ~/.config/systemd/user/*/*wakeport-*
rm -rf "$XDG_RUNTIME_DIR/wakeport"
systemctl --user daemon-reload
systemctl --user reset-failed
exit 0
"""


class OfUser:
    """May listen on port 80, as tests do, for as long as it is there: the lab's network allows it."""

    def __init__(self, user: User) -> None:
        self.user = user
        self._first_port(80)

    @property
    def group(self) -> Path:
        return self.user.group / "app.slice"

    @property
    def configuration(self) -> Path:
        return self.user.lab.root / self.user.home[1:] / ".config/wakeport"

    @property
    def unit_directory(self) -> Path:
        return self.user.lab.root / self.user.home[1:] / ".config/systemd/user"

    def names(self, service: str) -> units.Names:
        return units.names(service, f"{self.user.run_directory}/wakeport")

    def run(
        self, argv: Sequence[str | Path], *, check: bool = True, timeout: float | None = 60.0
    ) -> subprocess.CompletedProcess[str]:
        program, *rest = argv
        options = ["--user"] if program in _TAKES_USER else []
        return self.user.run([program, *options, *rest], check=check, timeout=timeout)

    def clean_up(self) -> None:
        self.user.run(["sh", "-c", _CLEAN_UP])
        self._first_port(1024)

    def _first_port(self, port: int) -> None:
        self.user.lab.run(["sysctl", "--quiet", f"net.ipv4.ip_unprivileged_port_start={port}"])
