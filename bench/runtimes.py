"""Who is compared under each runtime: a bare start, and wakeport's wake of another container like it.

A bare start is what a person waits for who has no wakeport: from the runtime's own command, as its user
types it (`podman start`, `machinectl start`, `lxc-start`, `systemctl start`), or for Docker the call of the
Engine's API, which its command would only delay, to the first byte that the container answers on its own
address. wakeport's begins with the client's connect. Both ask for the page again a millisecond after each
refusal, and from the moment at which the container has its address: who knocks before waits for a second.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bench.contenders import TARGET, Bare, Contender, Stages, Wakeport
from bench.ground import Ground
from bench.guests import GUESTS, Guest
from bench.visit import Address, Visit, insist
from wakeport.runtimes import network

PORT: Final = 91  # and the next ones
NUMBER: Final = 11  # of the first container, in its address
LOOK_EVERY: Final = 0.001  # seconds
STARTED_WITHIN: Final = 60.0  # seconds
DOCKER: Final = "docker"
NAMES: Final = (DOCKER, *(guest.runtime for guest in GUESTS))


class BareDocker(Bare):
    name = container = "docker-bare"


class BareGuest:
    """The container's own start command."""

    address: Address | None = None
    units: tuple[str, ...] = ()

    def __init__(self, ground: Ground, guest: Guest) -> None:
        self.ground = ground
        self.guest = guest
        self.name = self.container = guest.name
        self.label = f"bare start, {guest.start[0]}{' start' if 'start' in guest.start else ''}"

    def prepare(self) -> None:
        self.guest.make()

    def wake(self) -> tuple[float, Stages]:
        # The way into the lab is not the runtime's: the clock begins behind it.
        words = ["sh", "-c", 'date +%s.%N; exec "$@"', "sh", *self.guest.start]
        starting = self.ground.lab.popen(words)
        assert starting.stdout is not None
        began = float(starting.stdout.readline())
        try:
            while not self._has_address():
                time.sleep(LOOK_EVERY)
            insist(self.ground.lab, (self.guest.address, TARGET))
            return time.time() - began, {}
        finally:
            _, errors = starting.communicate(timeout=STARTED_WITHIN)
            assert starting.returncode == 0, errors

    def sleep(self) -> bool:
        self.ground.lab.run(self.guest.stop)
        self.ground.rest_without(self.guest.units)
        return False

    def _has_address(self) -> bool:
        group = self.ground.lab.root / "sys/fs/cgroup" / self.guest.group / "cgroup.procs"
        try:
            processes = group.read_text().split()
        except OSError:
            return False
        return any(network.address(int(pid)) == self.guest.address for pid in processes[:1])


class Woken(Wakeport):
    """A service of ours, with the stages of its two processes as systemd saw them."""

    def __init__(self, ground: Ground, runtime: str, port: int) -> None:
        super().__init__(ground, runtime, f"wakeport, {runtime}", port, "wakeport")

    def _stages(self, visited: Visit) -> Stages:
        """The supervisor's own stamps are on its own clock; systemd's are in microseconds since 1970."""
        stages = super()._stages(visited)
        for stage, unit, key in (
            ("proxy forked", self.units[0], "ExecMainStartTimestamp"),
            ("proxy serves", self.units[0], "ActiveEnterTimestamp"),
            ("supervisor forked", self.supervisor, "ExecMainStartTimestamp"),
        ):
            shown = self.ground.systemctl("show", "--value", f"--property={key}", "--timestamp=us+utc", unit)
            stages[stage] = _epoch(shown) - visited.at
        return stages


class WokenGuest(Woken):
    def __init__(self, ground: Ground, guest: Guest, port: int) -> None:
        super().__init__(ground, guest.runtime, port)
        self.guest = guest
        self.container = guest.name

    def prepare(self) -> None:
        self.guest.make()
        listen = f"--listen={self.address[1]}={TARGET}"
        self.ground.lab.run(
            ["wakeport", "add", self.name, listen, f"--runtime={self.name}", f"--container={self.container}"]
        )

    def sleep(self) -> bool:
        self.ground.systemctl("stop", *self.units)
        self.ground.rest_without([*self.units, *self.guest.units])
        return False


def runtimes(ground: Ground, wanted: Sequence[str] = NAMES) -> list[tuple[Contender, Contender]]:
    """The bare start and ours, for each of the `wanted`."""
    pairs: list[tuple[Contender, Contender]] = []
    if DOCKER in wanted:
        pairs.append((BareDocker(ground), Woken(ground, DOCKER, PORT)))
    for step, kind in enumerate(GUESTS, start=1):
        if (runtime := kind.runtime) in wanted:
            bare = kind(ground.lab, f"{runtime}-bare", NUMBER + 2 * step)
            ours = kind(ground.lab, f"{runtime}-ours", NUMBER + 2 * step + 1)
            pairs.append((BareGuest(ground, bare), WokenGuest(ground, ours, PORT + step)))
    return pairs


def _epoch(shown: str) -> float:
    """Of "Thu 2026-11-26 13:40:00.123456 UTC"."""
    return datetime.strptime(f"{shown} +0000", "%a %Y-%m-%d %H:%M:%S.%f UTC %z").timestamp()
