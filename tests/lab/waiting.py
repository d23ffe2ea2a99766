"""How long a test waits for what another machine does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from lab import Lab

PATIENCE: Final = 60.0  # seconds; how long a state may take to come that has no time of its own


def eventually(what: str, holds: Callable[[], object], within: float = PATIENCE) -> float:
    """Wait until `holds()`, and return the seconds it took; a state in another machine sends no event."""
    began = time.monotonic()
    while not holds():
        waited = time.monotonic() - began
        assert waited < within, f"{what}: not within {within:g} s"
        time.sleep(min(0.02 + waited / 50, 0.25))
    return time.monotonic() - began


def listens(lab: Lab, container: str, port: int = 80) -> None:
    """Wait until a container of Docker's that has been started listens; nobody connects to it for that."""
    pid = lab.docker("inspect", "--format={{.State.Pid}}", container)
    table = lab.root / f"proc/{pid}/net/tcp"
    eventually(f"{container} listens", lambda: f":{port:04X} 00000000:0000 0A " in table.read_text())
