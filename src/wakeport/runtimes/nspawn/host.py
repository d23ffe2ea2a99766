"""What the command line has to know of a machine of systemd-nspawn."""

from __future__ import annotations

from typing import Final

from wakeport.runtimes.advice import Advice
from wakeport.runtimes.container import Container
from wakeport.runtimes.nspawn.group import PAYLOAD
from wakeport.runtimes.nspawn.name import unit_of
from wakeport.runtimes.nspawn.network import has_stub, network
from wakeport.runtimes.nspawn.place import image, settings
from wakeport.runtimes.problems import Refused
from wakeport.runtimes.systemd.look import look_at
from wakeport.runtimes.systemd.machine import below

ADVICE: Final = Advice(
    title="systemd-nspawn",
    make="machinectl list-images lists those that are there; a link in /var/lib/machines adds one",
    reach="systemd has to run this machine; scripts/lab boots one to try wakeport in",
    ask="machinectl status {name} and systemctl status systemd-nspawn@{name} tell more",
    stop="machinectl stop {name}",
    leave_at_boot="machinectl disable {name}",
)
AFTER: Final[tuple[str, ...]] = ()
WANTS: Final[tuple[str, ...]] = ()


def look(name: str) -> Container:
    """Raises RuntimeProblem."""
    unit = look_at(unit_of(name))
    if not unit.running:
        image(name)
    found = below(unit, PAYLOAD)
    found.name = name
    told = network(settings(name))
    found.on_host_network = not told.own
    found.published = told.published
    return found


def passed_to(name: str) -> str:
    """The unit whose process gets the service's sockets, where the program takes its clients itself.

    Raises Refused: LISTEN_PID says 1 inside, sd_listen_fds(3).
    """
    if has_stub(settings(name)):
        raise Refused("with ProcessTwo= in its settings the socket would be passed to the stub before it")
    return unit_of(name)


def why_unreachable(found: Container) -> str | None:
    """A network of its own that nothing connects to the host."""
    told = network(settings(found.name))
    if told.linked or not told.own:
        return None
    return (
        "it has a network of its own without a link to this host: VirtualEthernet=, Bridge= or Zone= make one"
    )


def journal(name: str) -> list[str]:
    """The units that its output is found under."""
    return [unit_of(name)]
