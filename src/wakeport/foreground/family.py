"""Processes and their parents: who ends with whom, and who is left over.

A process that outlives its parent becomes a child of the next one above that adopts (PR_SET_CHILD_SUBREAPER);
so whatever a program has started, and however it hides, it can be found below us and ended.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Collection
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1  # prctl(2)
PR_SET_CHILD_SUBREAPER: Final = 36

_libc: Final = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Be the parent of whoever loses theirs below us."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_with(parent: int) -> None:
    """From now on, get SIGTERM when `parent` ends; it may have done so already."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def children(proc: Path = Path("/proc")) -> list[int]:
    """Of this process, those included that have ended and are not waited for."""
    me = os.getpid()
    return [int(one.name) for one in proc.iterdir() if one.name.isdecimal() and _parent(one) == me]


def _parent(directory: Path) -> int:
    """0 where the process has gone. proc(5): its name, which may contain anything, stands in brackets."""
    try:
        text = (directory / "stat").read_text(errors="replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])


def end_strays(keep: Collection[int] = ()) -> None:
    """Kill all children but those to `keep`, then the children that they leave to us, until none is left."""
    others = set(keep)
    while strays := [pid for pid in children() if pid not in others]:
        for pid in strays:
            try:
                os.kill(pid, signal.SIGKILL)
            except PermissionError:
                others.add(pid)  # it has become another user, and goes its own way
        for pid in strays:
            if pid not in others:
                os.waitpid(pid, 0)


def bury(keep: Collection[int]) -> None:
    """Wait for those children who have ended, but for those to `keep`."""
    for pid in children():
        if pid not in keep:
            os.waitpid(pid, os.WNOHANG)
