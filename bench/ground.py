"""The ground that all contenders run on: one lab, and when it has come to rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.engine import Engine
from lab import Lab

REST_WITHIN = 60.0  # seconds
LOOK_EVERY = 0.01  # seconds
QUIET_FOR = 0.1  # seconds
QUIET = 0.05  # of one processor; a lab with a sleeping Docker Engine uses 0.02 (measured)


class Restless(Exception):
    """The lab did not come to rest; `str()` of it is what was still going on."""


class Ground:
    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.engine = Engine(lab.root / "run/docker.sock")
        self.networks_kept = 0  # of containers that doze

    def close(self) -> None:
        self.engine.close()

    def systemctl(self, *arguments: str) -> str:
        return self.lab.run(["systemctl", *arguments]).stdout.strip()

    def property(self, unit: str, name: str) -> str:
        return self.systemctl("show", "--value", f"--property={name}", unit)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the lab's."""
        file = self.lab.root / path.lstrip("/")
        file.write_text(text)
        file.chmod(mode)

    def read(self, path: str) -> str:
        """Read a file of the lab's. Raises OSError."""
        return (self.lab.root / path.lstrip("/")).read_text()

    def processes(self, unit: str) -> list[int]:
        """Of a unit of the lab's, as the host numbers them; none where it does not run."""
        group = self.lab.root / "sys/fs/cgroup/system.slice" / unit / "cgroup.procs"
        try:
            return [int(line) for line in group.read_text().split()]
        except OSError:
            return []

    def rest(self, container: str, units: Iterable[str]) -> None:
        """Return when the container has stopped and these units are down, with all that follows from it.

        A start right after a stop would share the machine with the stop's after-work: the Engine takes
        the network apart, the kernel its namespaces. Raises Restless.
        """
        wanted = list(units)
        self._until(lambda: not self.engine.is_running(container), f"container {container} runs")
        self.rest_without(wanted)

    def rest_without(self, units: Iterable[str]) -> None:
        """The same, where Docker has no part in it."""
        wanted = list(units)
        self._until(lambda: not self._up(wanted), f"units are up: {' '.join(wanted)}")
        kept = self.networks_kept
        self._until(lambda: self._interfaces().count("veth") <= kept, "the container's network is there")
        self._until(self._is_quiet, "something in the lab is busy")

    def rest_frozen(self, container: str) -> None:
        """Return when the container is frozen and nothing else is going on. Raises Restless."""
        self._until(lambda: self.engine.is_frozen(container), f"container {container} is not frozen")
        self._until(self._is_quiet, "something in the lab is busy")

    def _up(self, units: list[str]) -> bool:
        if not units:
            return False
        states = self.systemctl("show", "--value", "--property=ActiveState", *units).split()
        return any(state not in ("inactive", "failed") for state in states)

    def _interfaces(self) -> str:
        return Path(f"/proc/{self.lab.pid}/net/dev").read_text()

    def _is_quiet(self) -> bool:
        before = self.processor_time()
        time.sleep(QUIET_FOR)
        return self.processor_time() - before < QUIET * QUIET_FOR

    def processor_time(self) -> float:
        """What the lab has used so far, in seconds of one processor; cgroup-v2, cpu.stat."""
        return int(self.read("/sys/fs/cgroup/cpu.stat").split()[1]) / 1_000_000

    def _last_words(self) -> str:
        """What the lab has said of late: of what keeps it busy there is no other trace."""
        return self.lab.run(["journalctl", "--no-pager", "--output=short-precise", "--lines=60"]).stdout

    def _until(self, holds: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + REST_WITHIN
        while not holds():
            if time.monotonic() > deadline:
                raise Restless(f"after {REST_WITHIN:.0f} s {otherwise}\n{self._last_words()}")
            time.sleep(LOOK_EVERY)
