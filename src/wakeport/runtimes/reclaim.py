"""Pushing the memory of a frozen container out to swap, as far as the kernel lets us.

cgroup-v2, memory.reclaim: a write blocks until so much has been pushed out, and fails with EAGAIN where less
could be. The file is root's, and writing it takes no capability. `root` is for tests.
"""

from __future__ import annotations

import errno
import os

from wakeport.runtimes.cgroup import NAMED_BY_ID, group_of, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from wakeport.runtimes.cgroup import OwnGroup

STEP = 16 * 1024 * 1024  # bytes; some 20 ms to zram, and so long nobody who comes is heard
WORTH_A_STEP = 1024 * 1024  # bytes; what is left of a process is mostly page tables and the like


class CannotReclaim(Exception):
    """Why its memory stays, for people."""


def steps(pid: int, root: str = "", own: OwnGroup = NAMED_BY_ID) -> Iterator[None]:
    """Push out a piece at each step, until no more goes. Raises CannotReclaim before the first."""
    directory = _group(pid, root, own)
    before, left = None, _charged(directory)
    # What it has read from files goes first, and is not worth counting otherwise: hence not memory_of().
    while left > WORTH_A_STEP and (before is None or left <= before - WORTH_A_STEP):
        try:
            _write(f"{directory}/memory.reclaim", min(STEP, left))
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EINTR):
                raise CannotReclaim(f"memory.reclaim: {error.strerror}") from error
        before, left = left, _charged(directory)
        yield


def memory_of(pid: int, root: str = "", own: OwnGroup = NAMED_BY_ID) -> int:
    """What it has now, in bytes; 0 where that is not known."""
    found = usage(pid, root, own)
    return found.memory or 0 if found is not None else 0


def _charged(directory: str) -> int:
    """Bytes, files that it has read included; 0 where the container is gone."""
    try:
        with open(f"{directory}/memory.current", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def _group(pid: int, root: str, own: OwnGroup) -> str:
    with open(f"{root}/proc/swaps", encoding="utf-8") as file:
        if len(file.readlines()) < 2:  # a heading, and a line for each; proc(5)
            raise CannotReclaim("this machine has no swap to push it to (zram is enough)")
    directory = group_of(pid, root, own)
    if directory is None:
        raise CannotReclaim("the container has no cgroup of its own")
    if not os.path.exists(f"{directory}/memory.reclaim"):
        raise CannotReclaim("it takes Linux 5.19, and the memory controller in cgroup2")
    return directory


def _write(path: str, size: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, str(size).encode())
    finally:
        os.close(fd)
