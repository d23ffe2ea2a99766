"""How a container's output reaches the journal: the Engine's two stream formats, copied to one descriptor."""

from __future__ import annotations

import os

from wakeport.loop import Loop
from wakeport.runtimes.docker.engine import Exchange

FRAME_HEADER = 8  # bytes: stream, three zeros, length (Engine API, ContainerAttach, "Stream format")

LINE_MAX = 48 * 1024  # bytes; journald cuts a longer one, journald.conf(5)


async def copy_frames(loop: Loop, exchange: Exchange, to: int) -> None:
    """Copy the output of a container without a TTY, where every write of its arrives as a frame.

    Frames of stdout and stderr alternate anywhere, and a frame may end in the middle of a line. So only
    whole lines are passed on, or the journal would join the halves of two.
    """
    begun: dict[int, bytes] = {}  # the last line of each stream, as far as it has come
    pending = b""
    try:
        while data := await exchange.read():
            pending += data
            text = []
            while len(pending) >= FRAME_HEADER:
                end = FRAME_HEADER + int.from_bytes(pending[4:FRAME_HEADER], "big")
                if len(pending) < end:
                    break
                stream = pending[0]
                said = begun.pop(stream, b"") + pending[FRAME_HEADER:end]
                pending = pending[end:]
                whole = len(said) if len(said) > LINE_MAX else said.rfind(b"\n") + 1
                text.append(said[:whole])
                if whole < len(said):
                    begun[stream] = said[whole:]
            await _write(loop, to, b"".join(text))
    finally:
        # Also where this is not the end but a newer self takes over: the rest of the line comes after it.
        _write_at_once(to, b"\n".join(begun.values()))


async def copy_raw(loop: Loop, exchange: Exchange, to: int) -> None:
    """Copy the output of a container with a TTY: plain bytes, with lines that end as on a terminal."""
    held = b""
    while data := await exchange.read():
        data = held + data
        # A CR at the end may belong to a CR LF that was cut in two.
        held = b"\r" if data.endswith(b"\r") else b""
        await _write(loop, to, data[: len(data) - len(held)].replace(b"\r\n", b"\n"))
    await _write(loop, to, held)


def _write_at_once(to: int, data: bytes) -> None:
    try:
        os.write(to, data)
    except BlockingIOError:
        return  # half a line, for a journal that has 8 MB to read first


async def _write(loop: Loop, to: int, data: bytes) -> None:
    """Write all of it; where the journal is slow the container waits, and nothing is lost."""
    while data:
        try:
            data = data[os.write(to, data) :]
        except BlockingIOError:
            await loop.writable(to)
