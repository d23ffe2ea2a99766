"""Docker's containers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab import Lab
from tests.lab.homes import OfSystem


class Docker:
    runtime = "docker"

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.home = OfSystem(lab)

    def create(self, name: str, *options: str, image: str = "nginx", command: Sequence[str] = ()) -> None:
        self.lab.create(name, *options, image=image, command=command)

    def target(self, _name: str, port: int) -> int:
        return port

    def remove(self, name: str) -> None:
        self.lab.run(["docker", "rm", "--force", name], check=False)

    def start(self, name: str) -> None:
        self.lab.docker("start", name)

    def stop(self, name: str) -> None:
        self.lab.docker("stop", name)

    def kill(self, name: str) -> None:
        self.lab.docker("kill", name)

    def restart(self, name: str) -> None:
        self.lab.docker("restart", name)

    def freeze(self, name: str) -> None:
        self.lab.docker("pause", name)

    def thaw(self, name: str) -> None:
        self.lab.docker("unpause", name)

    def rename(self, old: str, new: str) -> None:
        self.lab.docker("rename", old, new)

    def run_in(self, name: str, *command: str) -> str:
        return self.lab.docker("exec", name, *command)

    def running(self) -> list[str]:
        return self.lab.docker("ps", "--format={{.Names}}").split()

    def is_frozen(self, name: str) -> bool:
        return self._inspect(name, "{{.State.Paused}}") == "true"

    def started_at(self, name: str) -> str:
        return self._inspect(name, "{{.State.StartedAt}}")

    def first_process(self, name: str) -> int:
        return int(self._inspect(name, "{{.State.Pid}}"))

    def group(self, name: str) -> Path:
        found = self._inspect(name, "{{.Id}}")
        [group] = (self.lab.root / "sys/fs/cgroup/system.slice").glob(f"docker-{found}*.scope")
        return group

    def clean_up(self) -> None:
        """The lab does that for Docker itself."""

    def _inspect(self, name: str, template: str) -> str:
        return self.lab.docker("inspect", f"--format={template}", name)
