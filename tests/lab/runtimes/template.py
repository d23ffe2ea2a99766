"""Containers that are instances of a unit template, as far as systemctl(1) handles them all alike."""

from __future__ import annotations

import itertools

from lab import Lab, rootfs
from tests.lab.homes import OfSystem
from tests.lab.runtimes import DIES_AT_ONCE, STOP_TIMEOUT
from tests.lab.waiting import eventually

_NUMBERS = itertools.count(2)


class Instances:
    template = ""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.home = OfSystem(lab)
        self.made: dict[str, tuple[str, str]] = {}  # their names, their images, and their layers
        self.addresses: dict[str, str] = {}
        self.started: dict[str, str] = {}  # when each was started last, as far as anybody asked

    def make_root(self, name: str, image: str) -> str:
        """Its address. Its root is in place on return."""
        number = next(_NUMBERS) % 250 + 2
        self.made[name] = image, f"{self.template}{number}"
        rootfs.bridge(self.lab)
        rootfs.layer(self.lab, image, self.made[name][1], self.root(name))
        self.addresses[name] = f"{rootfs.NETWORK}.{number}"
        return self.addresses[name]

    def target(self, _name: str, port: int) -> int:
        return port

    def drop_root(self, name: str) -> None:
        if name in self.made:
            rootfs.drop_layer(self.lab, self.made.pop(name)[1], self.root(name))

    def start(self, name: str) -> None:
        self.do("start", name)

    def stop(self, name: str) -> None:
        self.do("stop", name)

    def kill(self, name: str) -> None:
        killed = self.show(name, "InvocationID")
        self.send_kill(name)

        def has_ended() -> bool:
            return self.show(name, "InvocationID") != killed or self.show(name, "MainPID") == "0"

        eventually(f"{name} has ended", has_ended)

    def send_kill(self, name: str) -> None:
        self.do("kill", "--signal=KILL", name)

    def restart(self, name: str) -> None:
        self.do("restart", name)

    def running(self) -> list[str]:
        listed = self.lab.run(
            ["systemctl", "list-units", "--plain", "--no-legend", "--state=active,deactivating,activating"]
        )
        up = {line.split()[0] for line in listed.stdout.splitlines()}
        return [name for name in self.made if self.unit(name) in up]

    def started_at(self, name: str) -> str:
        shown = self.show(name, "InactiveExitTimestampMonotonic")
        # systemd forgets a unit that is down, and all that it knew of it.
        self.started[name] = shown if shown != "0" else self.started.get(name, "")
        return self.started[name]

    def clean_up(self) -> None:
        for name in list(self.made):
            self.remove(name)

    def remove(self, name: str) -> None:
        raise NotImplementedError

    def root(self, name: str) -> str:
        raise NotImplementedError

    def unit(self, name: str) -> str:
        return f"{self.template}@{name}.service"

    def drop_in(self, name: str) -> str:
        return f"/etc/systemd/system/{self.unit(name)}.d/test.conf"

    def write(self, path: str, *lines: str) -> None:
        file = rootfs.host_path(self.lab, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n")

    def set(self, name: str, text: str) -> None:
        """Add settings to its unit, as a person does with `systemctl edit`."""
        with rootfs.host_path(self.lab, self.drop_in(name)).open("a") as file:
            file.write(f"{text}\n")
        self.reload()

    def reload(self) -> None:
        self.lab.run(["systemctl", "daemon-reload"])

    def do(self, *words: str) -> None:
        *verb, name = words
        self.lab.run(["systemctl", *verb, self.unit(name)])

    def show(self, name: str, key: str) -> str:
        return self.lab.run(
            ["systemctl", "show", "--value", f"--property={key}", self.unit(name)]
        ).stdout.strip()


def stop_timeout(options: tuple[str, ...]) -> str:
    """In seconds; empty where there is none among docker's options."""
    for option in options:
        if option != DIES_AT_ONCE:
            assert option.startswith(STOP_TIMEOUT), f"{option}: Docker alone has that"
            return option.removeprefix(STOP_TIMEOUT)
    return ""
