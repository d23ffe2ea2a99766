"""What the command line has to know of a service of the host."""

from __future__ import annotations

from typing import Final

from wakeport.runtimes.advice import Advice
from wakeport.runtimes.container import Container
from wakeport.runtimes.systemd.look import look_at
from wakeport.runtimes.systemd.unit import Unit
from wakeport.runtimes.unit.name import not_ours, unit_of

ADVICE: Final = Advice(
    title="systemd",
    make="systemctl list-unit-files --type=service lists those that are there",
    reach="systemd has to run this machine; scripts/lab boots one to try wakeport in",
    ask="systemctl status {name} tells more",
    stop="systemctl stop {name}",
    leave_at_boot="systemctl disable {name}",
)
AFTER: Final[tuple[str, ...]] = ()
WANTS: Final[tuple[str, ...]] = ()


def look(name: str) -> Container:
    """Raises RuntimeProblem."""
    return look_at(not_ours(name))


def passed_to(name: str) -> str:
    """The unit whose process gets the service's sockets, where the program takes its clients itself."""
    return unit_of(name)


def why_unreachable(found: Container) -> str | None:
    """A network of its own that nobody has connected to anything."""
    assert isinstance(found, Unit), "looked at by another runtime"
    if not found.private_network:
        return None
    return 'it has PrivateNetwork=yes, so it can be reached over a Unix socket only: to = "/path.sock"'


def journal(name: str) -> list[str]:
    """The units that its output is found under."""
    return [unit_of(name)]
