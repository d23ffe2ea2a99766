"""How the supervisor handles a service of the user's own manager."""

from __future__ import annotations

import os

from wakeport.runtimes.own import systemd_socket
from wakeport.runtimes.problems import Refused
from wakeport.runtimes.systemd.runtime import UnitRuntime
from wakeport.runtimes.unit.name import unit_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.runtimes.systemd.unit import Unit

# namespaces(7), and what nsenter(1) calls them. The first gives the right to enter the others.
SPACES = {"user": "--user", "mnt": "--mount", "net": "--net", "ipc": "--ipc", "uts": "--uts"}


class Runtime(UnitRuntime):
    by_systemd = ("systemd-run", "--user", "--quiet", "--wait", "--collect", "--")

    def unit_of(self, name: str) -> str:
        return unit_of(name)

    def systemd_socket(self) -> str:
        return systemd_socket()

    def inside(self, unit: Unit) -> list[str]:
        """In the namespaces that it has of its own: a user may enter no other, and is in those already."""
        spaces = [option for space, option in SPACES.items() if _differs(unit.pid, space)]
        if spaces:
            spaces += ["--root", "--preserve-credentials"]
        return ["nsenter", f"--target={unit.pid}", *spaces, "--wd", "--"]


def _differs(pid: int, space: str) -> bool:
    """Raises Refused where that cannot be known."""
    try:
        return os.readlink(f"/proc/{pid}/ns/{space}") != os.readlink(f"/proc/self/ns/{space}")
    except OSError as error:
        raise Refused(f"process {pid}: {error.strerror}") from error
