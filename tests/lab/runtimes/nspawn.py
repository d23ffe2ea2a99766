"""Machines of systemd-nspawn in which one program runs, each with a veth pair to a bridge."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from lab import Lab
from tests.lab.runtimes import DIES_AT_ONCE, STOP_TIMEOUT, rootfs

_NUMBERS = itertools.count(2)

# No program inside does it: the image has one, and that is a server.
GIVE_ADDRESS = "/run/test-address"
_GIVE_ADDRESS = """
read -r first _ </proc/$MAINPID/task/$MAINPID/children
exec nsenter --target "$first" --net sh -ec "ip address add $1/24 dev host0; ip link set host0 up"
"""


class Nspawn:
    runtime = "nspawn"

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.made: dict[str, tuple[str, str]] = {}  # their names, their images, and their layers

    def create(self, name: str, *options: str, image: str = "nginx", command: Sequence[str] = ()) -> None:
        number = next(_NUMBERS) % 250 + 2
        self.made[name] = image, f"machine{number}"
        rootfs.bridge(self.lab)
        rootfs.layer(self.lab, image, self.made[name][1], self._root(name))
        program = rootfs.program(self.lab, self._root(name), image, command)
        self._write(GIVE_ADDRESS, _GIVE_ADDRESS)
        environment = [f"Environment={key}={value}" for key, value in rootfs.ENVIRONMENT.items()]
        # Without a signal of its own systemd-nspawn kills it at once.
        signal = [] if DIES_AT_ONCE in options else ["KillSignal=SIGRTMIN+4"]
        self._write(
            self._settings(name),
            *("[Exec]", "Boot=no", "ProcessTwo=yes", "PrivateUsers=no", "LinkJournal=no", *signal),
            *(*environment, f"Parameters={program}"),
            *("[Network]", f"Bridge={rootfs.BRIDGE}"),
        )
        lines = ["[Service]", f"ExecStartPost=/bin/sh {GIVE_ADDRESS} {rootfs.NETWORK}.{number}"]
        for option in options:
            if option != DIES_AT_ONCE:
                assert option.startswith(STOP_TIMEOUT), f"{option}: machines have nothing like it"
                lines.append(f"TimeoutStopSec={option.removeprefix(STOP_TIMEOUT)}")
        self._write(self._drop_in(name), *lines)
        self._reload()

    def remove(self, name: str) -> None:
        self.lab.run(["systemctl", "kill", "--signal=KILL", self._unit(name)], check=False)
        self.lab.run(["systemctl", "stop", self._unit(name)], check=False)
        for path in (self._settings(name), self._drop_in(name)):
            rootfs.host_path(self.lab, path).unlink(missing_ok=True)
        self._reload()
        if name in self.made:
            rootfs.drop_layer(self.lab, self.made.pop(name)[1], self._root(name))

    def start(self, name: str) -> None:
        self._do("start", name)

    def stop(self, name: str) -> None:
        self._do("stop", name)

    def kill(self, name: str) -> None:
        self._do("kill", "--signal=KILL", name)

    def restart(self, name: str) -> None:
        self._do("restart", name)

    def freeze(self, name: str) -> None:
        self._do("freeze", name)

    def thaw(self, name: str) -> None:
        self._do("thaw", name)

    def rename(self, old: str, new: str) -> None:
        """The directory is what makes a machine."""
        image, layer = self.made.get(old) or self.made[new]
        self.lab.run(["sh", "-ec", f"umount --lazy {self._root(old)}; rmdir {self._root(old)}"])
        rootfs.layer(self.lab, image, layer, self._root(new))

    def run_in(self, name: str, *command: str) -> str:
        spaces = ["nsenter", f"--target={self.first_process(name)}", "--all", "--root", "--wd"]
        return self.lab.run([*spaces, "--", *command]).stdout

    def running(self) -> list[str]:
        listed = self.lab.run(
            ["systemctl", "list-units", "--plain", "--no-legend", "--state=active,deactivating,activating"]
        )
        up = {line.split()[0] for line in listed.stdout.splitlines()}
        return [name for name in self.made if self._unit(name) in up]

    def is_frozen(self, name: str) -> bool:
        try:
            return "frozen 1" in (self.group(name) / "cgroup.events").read_text()
        except OSError:
            return False

    def started_at(self, name: str) -> str:
        return self._show(name, "InactiveExitTimestampMonotonic")

    def first_process(self, name: str) -> int:
        keeper = self._show(name, "MainPID")
        children = self.lab.run(["cat", f"/proc/{keeper}/task/{keeper}/children"]).stdout
        return int(children.split()[0])

    def group(self, name: str) -> Path:
        return self.lab.root / "sys/fs/cgroup/machine.slice" / self._unit(name) / "payload"

    def clean_up(self) -> None:
        for name in list(self.made):
            self.remove(name)

    def _unit(self, name: str) -> str:
        return f"systemd-nspawn@{name}.service"

    def _root(self, name: str) -> str:
        return f"/var/lib/machines/{name}"

    def _settings(self, name: str) -> str:
        return f"/etc/systemd/nspawn/{name}.nspawn"

    def _drop_in(self, name: str) -> str:
        return f"/etc/systemd/system/{self._unit(name)}.d/test.conf"

    def _write(self, path: str, *lines: str) -> None:
        file = rootfs.host_path(self.lab, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n")

    def _reload(self) -> None:
        self.lab.run(["systemctl", "daemon-reload"])

    def _do(self, *words: str) -> None:
        *verb, name = words
        self.lab.run(["systemctl", *verb, self._unit(name)])

    def _show(self, name: str, key: str) -> str:
        return self.lab.run(
            ["systemctl", "show", "--value", f"--property={key}", self._unit(name)]
        ).stdout.strip()
