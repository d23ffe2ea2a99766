"""Podman's containers, of root."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lab import Lab, podman
from tests.lab.homes import Home, OfSystem
from tests.lab.waiting import eventually

UP = ("running", "paused", "stopping")  # the last of them is its word while a stop is under way


class Podman:
    runtime = "podman"

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.home: Home = OfSystem(lab)
        self.set_up(lab)

    def set_up(self, lab: Lab) -> None:
        podman.set_up(lab)

    def create(self, name: str, *options: str, image: str = "nginx", command: Sequence[str] = ()) -> None:
        self._podman("create", "--name", name, *options, image, *command)

    def target(self, _name: str, port: int) -> int:
        return port

    def remove(self, name: str) -> None:
        self.home.run(["podman", "rm", "--force", "--time=0", name], check=False)

    def start(self, name: str) -> None:
        self._podman("start", name)

    def stop(self, name: str) -> None:
        self._thaw(name)
        self._podman("stop", name)

    def kill(self, name: str) -> None:
        """It returns before the container has ended, and somebody may start that again at once."""
        before = self.started_at(name)
        self._podman("kill", name)
        eventually("it has ended", lambda: name not in self.running() or self.started_at(name) != before)

    def restart(self, name: str) -> None:
        self._thaw(name)
        self._podman("restart", name)

    def freeze(self, name: str) -> None:
        self._podman("pause", name)

    def thaw(self, name: str) -> None:
        self._podman("unpause", name)

    def rename(self, old: str, new: str) -> None:
        self._podman("rename", old, new)

    def run_in(self, name: str, *command: str) -> str:
        return self._podman("exec", name, *command)

    def running(self) -> list[str]:
        """Also those that are being stopped, which Podman has a word of its own for."""
        # Its {{.State}} is a sentence.
        listed = json.loads(self._podman("ps", "--all", "--format=json"))
        return [name for one in listed if one["State"] in UP for name in one["Names"]]

    def is_frozen(self, name: str) -> bool:
        return self._inspect(name, "{{.State.Paused}}") == "true"

    def started_at(self, name: str) -> str:
        return self._inspect(name, "{{.State.StartedAt}}")

    def first_process(self, name: str) -> int:
        return int(self._inspect(name, "{{.State.Pid}}"))

    def group(self, name: str) -> Path:
        found = self._inspect(name, "{{.Id}}")
        return self.lab.root / f"sys/fs/cgroup/machine.slice/libpod-{found}.scope"

    def clean_up(self) -> None:
        self._podman("rm", "--all", "--force", "--time=0")

    def _thaw(self, name: str) -> None:
        """Podman neither stops nor restarts what is paused."""
        self.home.run(["podman", "unpause", name], check=False)

    def _inspect(self, name: str, template: str) -> str:
        return self._podman("inspect", f"--format={template}", name)

    def _podman(self, *arguments: str) -> str:
        return self.home.run(["podman", *arguments]).stdout.strip()
