"""Step into another network namespace, for one thread and a moment."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

CLONE_NEWNET = 0x40000000  # man 2 setns

# os.setns came with Python 3.12.
_libc = ctypes.CDLL(None, use_errno=True)


def network_of(pid: int) -> AbstractContextManager[None]:
    """The same as `network_at`, in the network namespace of process `pid`."""
    return network_at(Path(f"/proc/{pid}/ns/net"))


@contextmanager
def network_at(path: Path) -> Iterator[None]:
    """Run the block in the network namespace that this file is; only the calling thread moves.

    A socket belongs to the namespace that it was made in, for as long as it lives; so does a thread that
    is started in the block. Raises OSError where the namespace is gone or the caller is not root.
    """
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _setns(before)
    finally:
        os.close(before)


def _setns(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"setns: {os.strerror(error)}")
