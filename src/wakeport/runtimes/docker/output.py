"""How a container's output reaches the journal: the Engine's two stream formats, copied to one descriptor."""

from __future__ import annotations

import os

from wakeport.loop import Loop
from wakeport.runtimes.docker.engine import Exchange

FRAME_HEADER = 8  # bytes: stream, three zeros, length (Engine API, ContainerAttach, "Stream format")


async def copy_frames(loop: Loop, exchange: Exchange, to: int) -> None:
    """Copy the output of a container without a TTY, where every write of its arrives as a frame."""
    pending = b""
    while data := await exchange.read():
        pending += data
        text = []
        while len(pending) >= FRAME_HEADER:
            end = FRAME_HEADER + int.from_bytes(pending[4:FRAME_HEADER], "big")
            if len(pending) < end:
                break
            text.append(pending[FRAME_HEADER:end])
            pending = pending[end:]
        await _write(loop, to, b"".join(text))


async def copy_raw(loop: Loop, exchange: Exchange, to: int) -> None:
    """Copy the output of a container with a TTY: plain bytes, with lines that end as on a terminal."""
    held = b""
    while data := await exchange.read():
        data = held + data
        # A CR at the end may belong to a CR LF that was cut in two.
        held = b"\r" if data.endswith(b"\r") else b""
        await _write(loop, to, data[: len(data) - len(held)].replace(b"\r\n", b"\n"))
    await _write(loop, to, held)


async def _write(loop: Loop, to: int, data: bytes) -> None:
    """Write all of it; where the journal is slow the container waits, and nothing is lost."""
    while data:
        try:
            data = data[os.write(to, data) :]
        except BlockingIOError:
            await loop.writable(to)
