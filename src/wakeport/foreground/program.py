"""Which program is tried, and where it is to listen: `{port}` in its words becomes a port of loopback."""

from __future__ import annotations

import os
import random
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from wakeport.errors import BadInput, NotThere, OutOfReach
from wakeport.runtimes.network import LOOPBACK

HERE: Final = "{port}"
LOWEST: Final = 10_000  # below are ports that people know by heart
TRIES: Final = 64

RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def resolved(words: Sequence[str]) -> str:
    """The path of the program that `words` begin with. Raises BadInput or NotThere."""
    if not any(HERE in word for word in words):
        raise BadInput(
            f"nothing tells {words[0]} on which port to listen: its words lack {HERE}",
            f"write {HERE} where its port goes; for one that reads PORT: "
            f"wakeport try -- env PORT={HERE} {words[0]} …",
        )
    found = shutil.which(words[0])
    if found is None:
        raise NotThere(
            f"there is no program {words[0]}", "is it installed, executable, and in PATH, or its path right?"
        )
    return os.path.abspath(found)  # noqa: PTH100  # a link stays one: some programs go by their name


def filled(text: str, port: int) -> str:
    return text.replace(HERE, str(port))


def free_port(local_range: Path = RANGE) -> int:
    """One of loopback that nobody has.

    Below those that the kernel gives to whoever connects: there, one may be taken while the program sleeps,
    and who connects to it then may reach himself (a TCP connection can have one socket for both its ends).
    """
    lowest = int(local_range.read_text().split()[0])
    below = range(LOWEST, lowest)
    for port in [*random.sample(below, min(TRIES, len(below))), 0]:
        with socket.socket() as sock:
            try:
                sock.bind((LOOPBACK, port))
            except OSError:
                continue
            chosen: int = sock.getsockname()[1]
            return chosen
    raise OutOfReach(f"no port of {LOOPBACK} is free for the program", "ss -ltn lists who has them")
