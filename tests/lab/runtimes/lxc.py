"""Containers of LXC in which one program runs, each with a veth pair to a bridge and a fixed address."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from lab import Lab
from tests.lab.runtimes import DIES_AT_ONCE, STOP_TIMEOUT, rootfs

_NUMBERS = itertools.count(2)


class Lxc:
    runtime = "lxc"

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.made: dict[str, str] = {}  # their names, and their layers

    def create(self, name: str, *options: str, image: str = "nginx", command: Sequence[str] = ()) -> None:
        number = next(_NUMBERS) % 250 + 2
        self.made[name] = f"lxc{number}"
        rootfs.bridge(self.lab)
        rootfs.layer(self.lab, image, self.made[name], self._root(name))
        # LXC has the halt signal sent to what runs inside, and waits 60 s for its end.
        signal = "SIGKILL" if DIES_AT_ONCE in options else "SIGTERM"
        self._write(
            f"{self._home(name)}/config",
            f"lxc.uts.name = {name}",
            f"lxc.rootfs.path = dir:{self._root(name)}",
            f"lxc.init.cmd = {rootfs.program(self.lab, self._root(name), image, command)}",
            *(f"lxc.environment = {key}={value}" for key, value in rootfs.ENVIRONMENT.items()),
            "lxc.mount.auto = proc:mixed sys:mixed",
            "lxc.pty.max = 16",
            f"lxc.console.logfile = {self._home(name)}/console.log",
            *("lxc.net.0.type = veth", "lxc.net.0.flags = up", "lxc.net.0.name = eth0"),
            f"lxc.net.0.link = {rootfs.BRIDGE}",
            f"lxc.net.0.ipv4.address = {rootfs.NETWORK}.{number}/24",
            f"lxc.net.0.ipv4.gateway = {rootfs.NETWORK}.1",
            f"lxc.signal.halt = {signal}",
        )
        for option in options:
            if option != DIES_AT_ONCE:
                assert option.startswith(STOP_TIMEOUT), f"{option}: LXC has nothing like it"
                seconds = option.removeprefix(STOP_TIMEOUT)
                stop = f"/usr/bin/lxc-stop --name=%i --timeout={seconds}"
                self._write(
                    self._drop_in(name),
                    *("[Service]", "ExecStop=", f"ExecStop={stop}", f"TimeoutStopSec={seconds}"),
                )
        self._reload()

    def remove(self, name: str) -> None:
        # Its processes are not in the group of its unit.
        self.lab.run(["lxc-stop", "--kill", f"--name={name}"], check=False)
        self.lab.run(["systemctl", "kill", "--signal=KILL", self._unit(name)], check=False)
        self.lab.run(["systemctl", "stop", self._unit(name)], check=False)
        rootfs.host_path(self.lab, self._drop_in(name)).unlink(missing_ok=True)
        self._reload()
        if name in self.made:
            rootfs.drop_layer(self.lab, self.made.pop(name), self._root(name))
            self.lab.run(["rm", "-rf", self._home(name)])

    def start(self, name: str) -> None:
        self._do("start", name)
        self.lab.run(["lxc-wait", f"--name={name}", "--state=RUNNING", "--timeout=30"])

    def stop(self, name: str) -> None:
        self._do("stop", name)

    def kill(self, name: str) -> None:
        self.lab.run(["lxc-stop", "--kill", f"--name={name}"])

    def restart(self, name: str) -> None:
        self._do("restart", name)

    def freeze(self, name: str) -> None:
        self.lab.run(["lxc-freeze", f"--name={name}"])

    def thaw(self, name: str) -> None:
        self.lab.run(["lxc-unfreeze", f"--name={name}"])

    def rename(self, old: str, new: str) -> None:
        """Its config is what makes a container."""
        home = rootfs.host_path(self.lab, self._home(new))
        home.mkdir(exist_ok=True)
        (rootfs.host_path(self.lab, self._home(old)) / "config").rename(home / "config")

    def run_in(self, name: str, *command: str) -> str:
        return self.lab.run(["lxc-attach", f"--name={name}", "--", *command]).stdout

    def running(self) -> list[str]:
        listed = self.lab.run(
            ["systemctl", "list-units", "--plain", "--no-legend", "--state=active,deactivating,activating"]
        )
        up = {line.split()[0] for line in listed.stdout.splitlines()}
        return [name for name in self.made if self._unit(name) in up]

    def is_frozen(self, name: str) -> bool:
        return self._info(name, "--state") == "FROZEN"

    def started_at(self, name: str) -> str:
        return self._show(name, "InactiveExitTimestampMonotonic")

    def first_process(self, name: str) -> int:
        return int(self._info(name, "--pid"))

    def group(self, name: str) -> Path:
        return self.lab.root / f"sys/fs/cgroup/lxc.payload.{name}"

    def clean_up(self) -> None:
        for name in list(self.made):
            self.remove(name)

    def _info(self, name: str, what: str) -> str:
        return self.lab.run(["lxc-info", "--no-humanize", what, f"--name={name}"], check=False).stdout.strip()

    def _unit(self, name: str) -> str:
        return f"lxc@{name}.service"

    def _home(self, name: str) -> str:
        return f"/var/lib/lxc/{name}"

    def _root(self, name: str) -> str:
        return f"/run/test-roots/lxc-{name}"

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
