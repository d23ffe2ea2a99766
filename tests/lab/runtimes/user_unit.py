"""Services of a user's own manager. They have the network of the lab itself, and so a port of their own."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from lab import Lab, rootfs, user
from tests.lab.homes import OfUser
from tests.lab.runtimes import DIES_AT_ONCE, STOP_TIMEOUT
from tests.lab.runtimes.unit import Unit
from wakeport.quoting import command as quoted

_PORTS = itertools.count(20_000)

_NGINX = """
daemon off;
pid {run}/{name}.pid;
error_log stderr;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    {places}
    server {{ listen {port} backlog=4096; root {root}; }}
}}
"""
_PLACES = "".join(
    f"{kind}_temp_path {{run}}/test-temp; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)


class UserUnit(Unit):
    home: OfUser

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.user = user.set_up(lab)
        self.home = OfUser(self.user)
        self.home.run(["mkdir", "-p", self._directory()])

    def create(self, name: str, *options: str, image: str = "nginx", command: Sequence[str] = ()) -> None:
        port = self.made.setdefault(name, str(next(_PORTS)))
        # What listens on port 80 in a container of its own is to listen there.
        words = [re.sub(r"\b80\b", port, word) for word in command or rootfs.COMMANDS[image]]
        if not command and image == "nginx":
            self.user.run(["tee", self._settings(name)], input=self._nginx(name, port))
            words = ["/usr/sbin/nginx", "-c", self._settings(name)]
        lines = [
            "[Service]",
            f"Environment={' '.join(f'{key}={value}' for key, value in rootfs.ENVIRONMENT.items())}",
            f"ExecStart={quoted(*words)}",
        ]
        for option in options:
            kill, seconds = option == DIES_AT_ONCE, option.removeprefix(STOP_TIMEOUT)
            lines.append("KillSignal=SIGKILL" if kill else f"TimeoutStopSec={seconds}")
        self._file(name).write_text("\n".join(lines) + "\n")
        self._reload()

    def target(self, name: str, _port: int) -> int:
        return int(self.made[name])

    def remove(self, name: str) -> None:
        self._end(name)

    def run_in(self, _name: str, *command: str) -> str:
        return self.home.run(command).stdout

    def clean_up(self) -> None:
        self.home.clean_up()
        for name in list(self.made):
            self.remove(name)
        self.made.clear()

    def _nginx(self, name: str, port: str) -> str:
        places = _PLACES.format(run=self.user.run_directory)
        page = f"{rootfs.unpack(self.lab, 'nginx')}/usr/share/nginx/html"
        return _NGINX.format(run=self.user.run_directory, name=name, port=port, root=page, places=places)

    def _settings(self, name: str) -> str:
        return f"{self.user.run_directory}/test-{name}.conf"

    def _directory(self) -> str:
        return f"{self.user.home}/.config/systemd/user"

    def _file(self, name: str) -> Path:
        return self.lab.root / self._directory()[1:] / self._unit(name)
