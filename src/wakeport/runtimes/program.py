"""Programs: one that is run beside the loop, and whose rights another one has."""

from __future__ import annotations

import os

from wakeport.light import signal
from wakeport.loop import Loop
from wakeport.runtimes.problems import Refused

# What is ours alone: a child that had it would speak to systemd in our name.
OURS = ("NOTIFY_SOCKET", "INVOCATION_ID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_USEC")


async def run(loop: Loop, command: list[str]) -> int:
    """Its exit code; its output is dropped. Raises Refused where it cannot be executed."""
    environment = {key: value for key, value in os.environ.items() if key not in OURS}
    nowhere = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    try:
        pid = os.posix_spawnp(command[0], command, environment, file_actions=nowhere, setsigmask=[])
    except OSError as error:
        raise Refused(f"{command[0]} cannot be executed: {error.strerror}") from error
    fd = os.pidfd_open(pid)
    try:
        await loop.readable(fd)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(fd)
        _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


async def process_ended(loop: Loop, pid: int) -> None:
    """Return when a process has ended, whosever child it is: a pidfd tells at once, pidfd_open(2)."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        await loop.readable(fd)
    finally:
        os.close(fd)


def name_of(pid: int, root: str = "") -> str:
    """What the kernel calls a process, proc(5); empty where it has ended."""
    try:
        with open(f"{root}/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""


def ids(pid: int) -> tuple[int, int]:
    """The effective user and group of a process, proc(5). Raises Refused where it has ended."""
    found = {"Uid": 0, "Gid": 0}
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key in found:
                    found[key] = int(value.split()[1])
    except OSError as error:
        raise Refused(f"process {pid} is gone: {error.strerror}") from error
    return found["Uid"], found["Gid"]
