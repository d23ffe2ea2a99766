"""What the supervisor lets the world see: status.json for programs, STATUS= for `systemctl status`."""

from __future__ import annotations

import os
import time

from wakeport.activation import notify
from wakeport.light import json
from wakeport.loop import Loop, Timer
from wakeport.supervisor.options import Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wakeport.runtimes.container import Target

PUBLISH_EVERY = 0.2  # seconds at least between two writes that only follow the leases


class Status:
    """The facts as of now. `show` changes some of them; readers see all or nothing of a change."""

    def __init__(self, loop: Loop, options: Options, kept: list[dict[str, Any]]) -> None:
        self.loop = loop
        self.service = options.name
        self.path = options.state + "/status.json"
        self.soon: Timer | None = None
        self.facts: dict[str, Any] = {
            "state": "asleep",
            "since": time.time(),
            "container": options.container,
            "container_id": None,
            "owned": False,
            "waits_for": None,
            "targets": {},
            "last_wake": None,
            "leases": [],
            "bypass": None,
            "kept": kept,
            "dozes_at": None,
            "sleeps_at": None,
            "at_work": None,
            "memory": None,
            "failure": None,
        }
        published = self._published()
        self.before: str = str(published.get("state", ""))  # as a predecessor has left it
        self.targets_before: dict[str, Target] = published.get("targets") or {}
        # An older self that became this process left in the same state; from any other
        # predecessor only the last wake is worth knowing.
        for key in ["last_wake", "state", "since"] if options.takes_over else ["last_wake"]:
            if key in published:
                self.facts[key] = published[key]

    def _published(self) -> dict[str, Any]:
        try:
            with open(self.path, encoding="utf-8") as file:
                published = json.load(file)
        except (OSError, ValueError):
            return {}
        return published if isinstance(published, dict) else {}

    def show(self, *assignments: str, at: float | None = None, **facts: Any) -> None:
        """Publish `facts`, and tell systemd `assignments` ("READY=1") beside the status line.

        A new state began now, or `at` (seconds since 1970).
        """
        if facts.get("state", self.facts["state"]) != self.facts["state"]:
            self.facts["since"] = time.time() if at is None else at
        self.facts.update(facts)
        self._write()
        notify(*assignments, f"STATUS={self._line()}")

    def show_soon(self, **facts: Any) -> None:
        """Publish `facts` before long; for what changes often."""
        self.facts.update(facts)
        if self.soon is None:
            self.soon = self.loop.call_in(PUBLISH_EVERY, self._write)

    def _write(self) -> None:
        if self.soon is not None:
            self.soon.cancel()
            self.soon = None
        fresh = self.path + ".new"
        with open(fresh, "w", encoding="utf-8") as file:
            # Not dump(): it encodes in Python, and leaves circles to the garbage collector.
            file.write(json.dumps(self.facts))
        os.rename(fresh, self.path)

    def _line(self) -> str:
        state: str = self.facts["state"]
        if state == "failed":
            return f"failed: {self.facts['failure']['reason']}"
        if self.facts["waits_for"]:
            return f"{state}, waits for {self.facts['waits_for']}"
        return state
