"""What the command line has to know of a service of the user's own manager."""

from __future__ import annotations

from typing import Final

from wakeport.runtimes.advice import Advice
from wakeport.runtimes.container import Container
from wakeport.runtimes.own import systemd_socket
from wakeport.runtimes.systemd.look import look_at
from wakeport.runtimes.unit import host
from wakeport.runtimes.unit.host import AFTER, WANTS, journal, passed_to, why_unreachable
from wakeport.runtimes.unit.name import not_ours

__all__ = ["ADVICE", "AFTER", "WANTS", "journal", "look", "passed_to", "why_unreachable"]

ADVICE: Final[Advice] = host.ADVICE._replace(reach="log in anew, or as root: loginctl enable-linger $USER")


def look(name: str) -> Container:
    """Raises RuntimeProblem."""
    return look_at(not_ours(name), systemd_socket())
