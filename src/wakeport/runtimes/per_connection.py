"""What a runtime says that can give each connection a container: for its settings and its unit.

Such a runtime has two modules more. per_connection.py is for the command line alone: PROGRAM, which systemd
starts for each, MAKE, what to do where there is no such image, has_image(name), refused(asked) and
start(asked). removal.py removes a container whose connection is over: remove(name), and MADE_WITHIN, the
seconds in which one may yet come whose making was cut off.
"""

from __future__ import annotations

from typing import Final, NamedTuple

# What a program that writes to no volume may need, in memory and small.
SCRATCH: Final = "/tmp:size=64M"  # of the container


class Asked(NamedTuple):
    """What a service wants each of its containers to be."""

    service: str
    image: str
    command: tuple[str, ...]  # empty: the image's own
    network: str
    memory_max: str | None  # as in "256M"
    cpu_max: float | None  # of one processor, so 1.5 is one and a half
    processes_max: int
    read_only: bool


class Start(NamedTuple):
    """The command line that systemd runs, in three parts, and the settings that it needs of its unit."""

    options: list[str]  # the program first
    name: str  # the option that gives the container its name, and the part of that which all have
    what: list[str]
    settings: list[tuple[str, str]]
    after: tuple[str, ...]  # units of the runtime that the removal of a container needs, also at a shutdown
    confined: bool  # whether it does no more than to talk to a socket, and can be locked up


def limits(asked: Asked, own: int) -> list[tuple[str, str]]:
    """By systemd itself, where all runs in the unit's own group; `own` processes of the runtime come on top.

    What the kernel cannot limit it passes over in silence; systemd.resource-control(5).
    """
    memory, cpu = asked.memory_max, asked.cpu_max
    return [
        ("TasksMax", str(asked.processes_max + own)),
        *([("MemoryMax", memory), ("MemorySwapMax", "0")] if memory else []),
        *([("CPUQuota", f"{round(cpu * 100)}%")] if cpu else []),
    ]
