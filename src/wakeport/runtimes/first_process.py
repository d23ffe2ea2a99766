"""The first process of a container whose unit runs a program that keeps watch over it.

systemd-nspawn and `lxc-start -F` are such programs: the container's processes are below them, in a numbering
of their own, in which the first has the number 1. proc(5) shows that to everybody. `root` is for tests.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def first_process(keeper: int, root: str = "") -> int:
    """The child of process `keeper` that is number 1 in its own numbering; 0 where there is none yet."""
    for pid in children(keeper, root):
        if _is_number_one(pid, root):
            return pid
    return 0


def children(pid: int, root: str = "") -> Iterator[int]:
    """Those that its main thread has started."""
    for child in _read(f"{root}/proc/{pid}/task/{pid}/children").split():
        yield int(child)


def _is_number_one(pid: int, root: str) -> bool:
    for line in _read(f"{root}/proc/{pid}/status").splitlines():
        key, _, numbers = line.partition(":")
        if key == "NSpid":  # outermost first, as far as we see it
            seen = numbers.split()
            return len(seen) > 1 and seen[-1] == "1"
    return False


def _read(path: str) -> str:
    """Empty where the process is gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
