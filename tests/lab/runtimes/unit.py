"""Services of the lab itself, each with a root and a network of its own, so that all serve port 80."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from lab import Lab, rootfs, unit
from tests.lab.homes import Home, OfSystem
from tests.lab.runtimes import DIES_AT_ONCE, STOP_TIMEOUT
from tests.lab.waiting import eventually
from wakeport.quoting import command as quoted

_NUMBERS = itertools.count(2)


class Unit:
    runtime = "unit"

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.home: Home = OfSystem(lab)
        self.made: dict[str, str] = {}  # their names, and the names of their networks
        self.started: dict[str, str] = {}  # when each was started last, as far as anybody asked

    def create(self, name: str, *options: str, image: str = "nginx", command: Sequence[str] = ()) -> None:
        number = next(_NUMBERS) % 250 + 2
        self.made[name] = f"test{number}"
        rootfs.layer(self.lab, image, self.made[name], unit.root(name))
        network = rootfs.namespace(self.lab, self.made[name], number)
        lines = unit.service(name, network, quoted(*(command or rootfs.COMMANDS[image])))
        for option in options:
            if option == DIES_AT_ONCE:
                lines.append("KillSignal=SIGKILL")
            else:
                assert option.startswith(STOP_TIMEOUT), f"{option}: units have nothing like it"
                lines.append(f"TimeoutStopSec={option.removeprefix(STOP_TIMEOUT)}")
        self._file(name).write_text("\n".join(lines) + "\n")
        self._reload()

    def set(self, name: str, text: str) -> None:
        """Add settings, as a person does with `systemctl edit`."""
        with self._file(name).open("a") as file:
            file.write(f"{text}\n")
        self._reload()

    def target(self, _name: str, port: int) -> int:
        return port

    def _end(self, name: str) -> None:
        self.home.run(["systemctl", "kill", "--signal=KILL", self._unit(name)], check=False)
        self.home.run(["systemctl", "stop", self._unit(name)], check=False)
        self._file(name).unlink(missing_ok=True)
        self._reload()

    def remove(self, name: str) -> None:
        self._end(name)
        if name in self.made:
            known = self.made.pop(name)
            rootfs.drop_namespace(self.lab, known)
            rootfs.drop_layer(self.lab, known, unit.root(name))

    def start(self, name: str) -> None:
        self._do("start", name)

    def stop(self, name: str) -> None:
        self._do("stop", name)

    def kill(self, name: str) -> None:
        killed = self._show(name, "InvocationID")
        self._do("kill", "--signal=KILL", name)

        def has_ended() -> bool:
            return self._show(name, "InvocationID") != killed or self._show(name, "MainPID") == "0"

        eventually(f"{name} has ended", has_ended)

    def restart(self, name: str) -> None:
        self._do("restart", name)

    def freeze(self, name: str) -> None:
        self._do("freeze", name)

    def thaw(self, name: str) -> None:
        self._do("thaw", name)

    def rename(self, old: str, new: str) -> None:
        self._file(old).rename(self._file(new))
        self._reload()

    def run_in(self, name: str, *command: str) -> str:
        spaces = ["nsenter", f"--target={self.first_process(name)}", "--mount", "--net", "--root", "--wd"]
        return self.lab.run([*spaces, "--", *command]).stdout

    def running(self) -> list[str]:
        listed = self.home.run(
            ["systemctl", "list-units", "--plain", "--no-legend", "--state=active,deactivating,activating"]
        )
        up = {line.split()[0] for line in listed.stdout.splitlines()}
        return [name for name in self.made if self._unit(name) in up]

    def is_frozen(self, name: str) -> bool:
        return self._show(name, "FreezerState") == "frozen"

    def started_at(self, name: str) -> str:
        shown = self._show(name, "InactiveExitTimestampMonotonic")
        # systemd forgets a unit that is down, and all that it knew of it.
        self.started[name] = shown if shown != "0" else self.started.get(name, "")
        return self.started[name]

    def first_process(self, name: str) -> int:
        return int(self._show(name, "MainPID"))

    def group(self, name: str) -> Path:
        return self.lab.root / "sys/fs/cgroup/system.slice" / self._unit(name)

    def clean_up(self) -> None:
        for name in list(self.made):
            self.remove(name)

    def _unit(self, name: str) -> str:
        return f"{name}.service"

    def _file(self, name: str) -> Path:
        return self.lab.root / "etc/systemd/system" / self._unit(name)

    def _reload(self) -> None:
        self.home.run(["systemctl", "daemon-reload"])

    def _do(self, *words: str) -> None:
        *verb, name = words
        self.home.run(["systemctl", *verb, self._unit(name)])

    def _show(self, name: str, key: str) -> str:
        return self.home.run(
            ["systemctl", "show", "--value", f"--property={key}", self._unit(name)]
        ).stdout.strip()
