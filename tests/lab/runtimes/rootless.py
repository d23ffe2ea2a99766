"""The containers of a user's own Podman, each behind a port of the loopback that it publishes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab import Lab, rootless
from tests.lab.homes import OfUser
from tests.lab.runtimes.podman import Podman


class Rootless(Podman):
    home: OfUser

    def set_up(self, lab: Lab) -> None:
        self.home = OfUser(rootless.set_up(lab))

    def create(self, name: str, *options: str, image: str = "nginx", command: Sequence[str] = ()) -> None:
        super().create(name, "--publish=127.0.0.1::80", *options, image=image, command=command)

    def group(self, name: str) -> Path:
        found = self._inspect(name, "{{.Id}}")
        return self.home.user.group / f"user.slice/libpod-{found}.scope"

    def clean_up(self) -> None:
        self.home.clean_up()
        super().clean_up()
