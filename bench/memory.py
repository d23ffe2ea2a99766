"""What a service costs in memory: every process that runs for it, asleep and awake."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from bench.contenders import Contender
from bench.ground import Ground
from bench.visit import visitor


class Process(NamedTuple):
    """Bytes. `rss` counts what it shares in full, `pss` by its share; man 5 proc_pid_smaps."""

    name: str
    rss: int
    pss: int


def asleep(ground: Ground, contender: Contender) -> list[Process]:
    """Call it when the contender sleeps."""
    return _processes(ground, contender)


def awake(ground: Ground, contender: Contender) -> list[Process]:
    """Wakes it, looks while one client is connected, and lets it sleep. Raises Unserved."""
    assert contender.address is not None
    try:
        with visitor(ground.lab, contender.address):
            return _processes(ground, contender)
    finally:
        contender.sleep()


def _processes(ground: Ground, contender: Contender) -> list[Process]:
    found = [pid for unit in contender.units for pid in ground.processes(unit)]
    # One for each published port and address family; nobody else in this lab publishes any.
    found += [pid for pid in ground.processes("docker.service") if _name(pid) == "docker-proxy"]
    return [Process(_name(pid), *size(pid)) for pid in found]


def _name(pid: int) -> str:
    """The program, as a person would call it: `supervisor` for Python that runs supervisor.py."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    if "python" in Path(words[0]).name:
        return next(Path(word).stem for word in words if word.endswith(".py"))
    return " ".join([Path(words[0]).name, *words[1:3]]) if words[1:2] == ["start"] else Path(words[0]).name


def size(pid: int) -> tuple[int, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {key: int(rest.split()[0]) for key, _, rest in (line.partition(":") for line in lines)}
    return kilobytes["Rss"] * 1024, kilobytes["Pss"] * 1024
