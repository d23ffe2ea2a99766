"""A service in the lab, as a test sees it: its container, its four units, the state that it is in."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.lab import clients
from tests.lab.runtimes import Containers
from tests.lab.waiting import PATIENCE, eventually
from wakeport.proxy.traffic import SEEN_AFTER
from wakeport.supervisor.doze import TOLD_WITHIN

RELAY, CLASSIC = SHAPES = ("wakeport", "systemd-socket-proxyd")  # the values of `proxy`


class Service:
    def __init__(self, containers: Containers, name: str, container: str, port: int) -> None:
        self.lab = containers.lab
        self.containers = containers
        self.name = name
        self.container = container
        self.port = port
        self.home = containers.home
        self.units = self.home.names(name)
        self.added_at = self.visited_at = time.time()

    # Its clients.

    def get(self, within: float = PATIENCE) -> clients.Answer:
        self.visited_at = time.time()
        return clients.get(self.lab, self.port, within)

    def crowd(self, count: int, over: float = 0.0, within: float = 60.0) -> list[clients.Answer]:
        return clients.crowd(self.lab, count, self.port, within, over)

    @property
    def processor_time(self) -> int:
        """What its container has used since it was started, in microseconds; cgroup-v2, cpu.stat."""
        return int((self.containers.group(self.container) / "cpu.stat").read_text().split()[1])

    def ticks(self, pid: int) -> int:
        """What a process has used, in hundredths of a second; proc(5)."""
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    # What it is doing.

    @property
    def status(self) -> dict[str, Any]:
        """status.json; empty before the first supervisor has written one."""
        try:
            facts = json.loads((self.lab.root / f"{self.units.state[1:]}/status.json").read_text())
        except FileNotFoundError:
            return {}
        return dict(facts)

    @property
    def phase(self) -> str:
        """How far the supervisor has come by its record, which is for its successor alone."""
        record = (self.lab.root / f"{self.units.state[1:]}/record").read_text()
        return record.partition("phase ")[2].partition("\n")[0]

    def moments(self, unit: str, text: str) -> list[float]:
        """When a unit wrote a line with `text` to the journal, on the clock that answers are timed by."""
        journal = self.home.run(
            ["journalctl", "--output=json", f"--since=@{self.added_at:.6f}", f"--unit={unit}"]
        )
        entries = map(json.loads, journal.stdout.splitlines())
        return [int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6 for entry in entries if text in entry["MESSAGE"]]

    @property
    def container_runs(self) -> bool:
        return self.container in self.containers.running()

    @property
    def started_at(self) -> str:
        """When its container was started last: another text after each start."""
        return self.containers.started_at(self.container)

    def pids(self, unit: str) -> list[int]:
        """The processes of one of its units, as the host numbers them: no program has to be started."""
        group = self.home.group / unit / "cgroup.procs"
        try:
            return [int(pid) for pid in group.read_text().split()]
        except OSError:
            return []

    def active(self, unit: str) -> str:
        return self._show(unit, "ActiveState")

    def restarts(self, unit: str) -> int:
        """How often Restart= has brought it back."""
        return int(self._show(unit, "NRestarts"))

    def _show(self, unit: str, key: str) -> str:
        return self.home.run(["systemctl", "show", "--value", f"--property={key}", unit]).stdout.strip()

    @property
    def processes(self) -> list[int]:
        """Every process of its units, as the host numbers them."""
        return self.pids(self.units.proxy) + self.pids(self.units.supervisor)

    @property
    def is_asleep(self) -> bool:
        """The container stopped, no process of ours, and both sockets waiting for clients."""
        return (
            not self.processes
            and not self.container_runs
            and {self.active(self.units.socket), self.active(self.units.lease)} == {"active"}
            and {self.active(self.units.proxy), self.active(self.units.supervisor)} == {"inactive"}
        )

    def falls_asleep(self, within: float = PATIENCE) -> float:
        """Wait for that, and return the seconds it took."""
        return eventually(f"{self.name} asleep", lambda: self.is_asleep, within)

    @property
    def is_frozen(self) -> bool:
        """As its runtime has it."""
        return self.containers.is_frozen(self.container)

    def freezes(self, within: float = PATIENCE) -> None:
        eventually(f"{self.name} frozen", lambda: self.is_frozen, within)

    def reaches(self, state: str, within: float = PATIENCE, after: float = 0.0) -> float:
        """A doze is one that began after the last get(), or `after` (seconds since 1970): of the one before
        the file tells for a moment longer, for a client has its answer before it is written anew.
        """
        if state == "dozing":
            after = max(after, self.visited_at)

        def has_come() -> bool:
            status = self.status
            return status.get("state") == state and float(status["since"]) > after

        return eventually(f"{self.name} {state}", has_come, within)

    def stays_awake(self, seconds: float) -> None:
        """Look for so long whether anything puts it to sleep, once its status says that it is awake."""
        self.reaches("awake")
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            assert self.status["state"] == "awake"
            time.sleep(0.1)

    # What is done to it.

    def kill(self, unit: str) -> bool:
        """Kill a unit's processes with -9; False where there was none to kill."""
        killed = 0
        for pid in self.pids(unit):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        return killed > 0

    def frozen_by_a_person(self) -> None:
        """Freeze it behind the supervisor's back, at a moment that leaves it frozen.

        Right behind a client it may have caught that client: the proxy then asks for the container back.
        """
        time.sleep(max(SEEN_AFTER, TOLD_WITHIN))
        self.containers.freeze(self.container)
        self.reaches("dozing")

    def systemctl(self, verb: str, *units: str, within: float = 60.0) -> None:
        self.home.run(["systemctl", verb, *units], timeout=within)

    def settings(self, text: str) -> None:
        """Add lines to the end of its settings, and apply them."""
        path = self.home.configuration / f"{self.name}.toml"
        path.write_text(f"{path.read_text()}\n{text}\n")
        self.home.run(["wakeport", "apply", self.name])

    def drop_in(self, unit: str, text: str) -> None:
        """Change a unit as `systemctl edit` does; an empty `text` takes the change back."""
        directory = self.home.unit_directory / f"{unit}.d"
        path = directory / "test.conf"
        if text:
            directory.mkdir(exist_ok=True)
            path.write_text(text)
        else:
            path.unlink()
        self.systemctl("daemon-reload")


AddService = Callable[..., Service]  # what the fixture `service` gives; its parameters stand there
