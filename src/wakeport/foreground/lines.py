"""What the programs of a wake write on their standard error, line by line."""

from __future__ import annotations

import os
from collections.abc import Callable

from wakeport.loop import READ, Loop

CHUNK = 65536  # bytes


class Lines:
    """A pipe: whatever is written to `write_end` is said, a line at a time."""

    def __init__(self, loop: Loop, say: Callable[[str], None]) -> None:
        self.say = say
        self.pending = b""
        self.read_end, self.write_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.read_end, False)
        loop.watch(self.read_end, READ, self._read)

    def _read(self, _events: int) -> None:
        *lines, self.pending = (self.pending + os.read(self.read_end, CHUNK)).split(b"\n")
        for line in lines:
            self.say(line.decode(errors="replace"))


def for_program(text: str) -> str:
    """The supervisor speaks of containers; here it is a plain program that it starts."""
    return text.replace("the container", "the program").replace("the runtime to start it", "its start")
