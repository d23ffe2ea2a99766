"""What a container has used: its processor time and its memory, as the kernel counts them (cgroups(7)).

Nobody else is asked, and no capability is needed. Of the hierarchies that
`/proc/PID/cgroup` names only those count in which the container has a group of
its own: in the others it is in one with its runtime or with the whole machine,
whose figures are not its own. `root` is for tests.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOUNT = "/sys/fs/cgroup"  # where systemd mounts it, https://systemd.io/CGROUP_DELEGATION

ID_SIZE = 64  # hexadecimal digits


class OwnGroup:
    """How a container's own group is found in the path of its first process's.

    `ends` says of the parts of a path whether they lead to it. Of several such paths the longest is it, or
    the shortest where what is inside has such names too: what follows is made inside, and is a part of it.
    """

    def __init__(self, ends: Callable[[list[str]], bool], outermost: bool = False) -> None:
        self.ends = ends
        self.outermost = outermost

    def find(self, path: str) -> str | None:
        """The part of `path` that leads to it. Not where a "/.." leads out of our namespace."""
        found, parts = None, []
        for part in path.split("/")[1:]:
            if part in ("", ".."):
                break
            parts.append(part)
            if self.ends(parts):
                found = "/" + "/".join(parts)
                if self.outermost:
                    break
        return found


def _has_id(parts: list[str]) -> bool:
    """ "/docker/ID", "/system.slice/docker-ID.scope": every runtime that has such ids names the group so."""
    if len(parts[-1]) < ID_SIZE:
        return False
    words = "".join(letter if letter.isalnum() or letter == "_" else " " for letter in parts[-1]).split()
    return any(len(word) == ID_SIZE and not word.strip("0123456789abcdef") for word in words)


def is_service(parts: list[str]) -> bool:
    """ "/system.slice/app.service", "/user.slice/user-1000.slice/user@1000.service/app.slice/app.service"."""
    return parts[-1:] != [".service"] and "".join(parts[-1:]).endswith(".service")


NAMED_BY_ID = OwnGroup(_has_id)
SERVICE = OwnGroup(is_service)

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Usage:
    """`cpu` is in seconds since the container started, `memory` in bytes now; None where it is not known."""

    __slots__ = ("cpu", "memory")

    def __init__(self, cpu: float | None, memory: int | None) -> None:
        self.cpu = cpu
        self.memory = memory


def usage(pid: int, root: str = "", own: OwnGroup = NAMED_BY_ID) -> Usage | None:
    """What the container whose first process is `pid` has used; None where it is gone, or has no group."""
    groups = _groups(pid, root, own)
    cpu, memory = _cpu(groups), _memory(groups, root)
    return None if cpu is None and memory is None else Usage(cpu, memory)


def cpu_seconds(pid: int, root: str = "", own: OwnGroup = NAMED_BY_ID) -> float | None:
    """The processor time alone, which costs two small reads (30 µs, measured)."""
    return _cpu(_groups(pid, root, own))


def group_of(pid: int, root: str = "", own: OwnGroup = NAMED_BY_ID) -> str | None:
    """The directory of the container's group in cgroup2; None where it has none of its own."""
    return _groups(pid, root, own).get("")


def _groups(pid: int, root: str, own: OwnGroup) -> dict[str, str]:
    """The directory of the container's group by controller; "" is that of cgroup2."""
    found: dict[str, str] = {}
    for line in _read(f"{root}/proc/{pid}/cgroup").splitlines():
        _number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        found_own = own.find(path)
        if found_own is None:
            continue
        if controllers:
            for controller in controllers.split(","):
                found[controller] = f"{root}{MOUNT}/{controller}{found_own}"
        elif os.path.exists(f"{root}{MOUNT}/cgroup.procs"):
            found[""] = f"{root}{MOUNT}{found_own}"
        else:  # beside version 1
            found[""] = f"{root}{MOUNT}/unified{found_own}"
    return found


def _cpu(groups: dict[str, str]) -> float | None:
    if "" in groups:
        microseconds = _entry(f"{groups['']}/cpu.stat", "usage_usec")
        if microseconds is not None:
            return microseconds / 1e6
    if "cpuacct" in groups:
        nanoseconds = _number(_read(f"{groups['cpuacct']}/cpuacct.usage"))
        if nanoseconds is not None:
            return nanoseconds / 1e9
    return None


def _memory(groups: dict[str, str], root: str) -> int | None:
    """Without the files that it has read and that the kernel would drop at need, as `docker stats` has it.

    They do not go with the container either.
    """
    for controller, total, cache in (
        ("", "memory.current", "inactive_file"),
        ("memory", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        if controller in groups:
            directory = groups[controller]
            used = _number(_read(f"{directory}/{total}"))
            if used is not None:
                return max(0, used - (_entry(f"{directory}/memory.stat", cache) or 0))
    return _resident(next(iter(groups.values())), root) if groups else None


def _resident(directory: str, root: str) -> int | None:
    """The anonymous memory of all its processes, and once what they may share: the largest such part.

    For kernels without the memory controller. None where it has no process.
    """
    anonymous, shared, counted = 0, 0, False
    for pid in _processes(directory):
        fields = _read(f"{root}/proc/{pid}/statm").split()
        if len(fields) >= 3:  # size, resident, shared: pages, proc(5)
            anonymous += max(0, int(fields[1]) - int(fields[2]))
            shared = max(shared, int(fields[2]))
            counted = True
    return (anonymous + shared) * _PAGE if counted else None


def _processes(directory: str) -> Iterator[str]:
    for below, _directories, files in os.walk(directory):
        if "cgroup.procs" in files:
            yield from _read(f"{below}/cgroup.procs").split()


def _entry(path: str, key: str) -> int | None:
    """The number behind `key` in a file of "key number" lines."""
    for line in _read(path).splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return _number(value)
    return None


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isdecimal() and text.isascii() else None


def _read(path: str) -> str:
    """Empty where there is nothing to read: a container may end between two looks at it."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""
