"""Who is compared under another runtime than Docker: its own program's bare start, and wakeport's wake."""

from __future__ import annotations

import time
from typing import Final

from bench.contenders import TARGET, Contender, Stages, Wakeport
from bench.ground import Ground
from bench.visit import Address, insist
from lab import podman

PORT: Final = 84
ADDRESS: Final = "10.88.200.1"  # in Podman's own network: to ask for it would cost the yardstick a call


class PodmanBare:
    """`podman start`, then connecting until it answers: what a person waits for who has no wakeport."""

    name = container = "podman-bare"
    label = "bare start, podman start"
    units: tuple[str, ...] = ()
    address: Address | None = None

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    def prepare(self) -> None:
        podman.set_up(self.ground.lab)
        self.ground.lab.run(["podman", "create", "--name", self.container, "--ip", ADDRESS, "nginx"])

    def wake(self) -> tuple[float, Stages]:
        # The way into the lab is not Podman's: the clock begins behind it.
        start = f"date +%s.%N; exec podman start {self.container}"
        began = float(self.ground.lab.run(["sh", "-c", start]).stdout.split()[0])
        running = time.time()
        insist(self.ground.lab, (ADDRESS, TARGET))
        return time.time() - began, {"running": running - began}

    def sleep(self) -> bool:
        rest(self.ground, self.container, self.units)
        return False


class PodmanWakeport(Wakeport):
    """A service of ours whose container is Podman's; Podman's own service is asleep before each wake."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground, "podman", "wakeport, Podman", PORT, "wakeport")

    def prepare(self) -> None:
        lab = self.ground.lab
        lab.run(["podman", "create", "--name", self.container, "nginx"])
        lab.run(["wakeport", "add", self.name, "--listen", str(PORT), "--runtime", "podman"])

    def sleep(self) -> bool:
        self.ground.systemctl("stop", *self.units)
        rest(self.ground, self.container, self.units)
        return False


def rest(ground: Ground, container: str, units: tuple[str, ...]) -> None:
    """Return when it has stopped and nothing of it goes on any more, Podman's service included."""
    ground.lab.run(["podman", "stop", container])
    ground.rest_without([*units, "podman.service"])


def runtimes(ground: Ground) -> list[Contender]:
    """The yardstick first."""
    return [PodmanBare(ground), PodmanWakeport(ground)]
