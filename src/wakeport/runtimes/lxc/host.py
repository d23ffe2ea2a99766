"""What the command line has to know of a container of LXC."""

from __future__ import annotations

from typing import Final

from wakeport.runtimes.advice import Advice
from wakeport.runtimes.container import Container
from wakeport.runtimes.lxc.config import config, directory, refuse_where_unit_does_not_run_it
from wakeport.runtimes.lxc.group import PAYLOAD
from wakeport.runtimes.lxc.name import unit_of
from wakeport.runtimes.lxc.network import HOST, NOTHING, UNLINKED, shared_with, types
from wakeport.runtimes.problems import Refused
from wakeport.runtimes.systemd.look import look_at
from wakeport.runtimes.systemd.machine import below

ADVICE: Final = Advice(
    title="LXC",
    make="lxc-create -n {name} -t TEMPLATE makes one",
    reach="systemd has to run this machine; scripts/lab boots one to try wakeport in",
    ask="lxc-info -n {name} and systemctl status lxc@{name} tell more",
    stop="systemctl stop lxc@{name}",
    leave_at_boot="systemctl disable lxc@{name}, and no lxc.start.auto in its config",
)
AFTER: Final[tuple[str, ...]] = ()
WANTS: Final[tuple[str, ...]] = ()


def look(name: str) -> Container:
    """Raises RuntimeProblem."""
    unit = look_at(unit_of(name))
    directory(name)
    if not unit.running:
        refuse_where_unit_does_not_run_it(name)
    found = below(unit, PAYLOAD)
    found.name = name
    told = config(name)
    found.on_host_network = HOST in types(told)
    if [value for key, value in told if key == "lxc.start.auto"][-1:] == ["1"]:
        found.starts_at_boot = "its config has lxc.start.auto = 1"
    return found


def passed_to(_name: str) -> str:
    """Raises Refused."""
    raise Refused("LXC's own program starts the container, and closes what it does not know")


def why_unreachable(found: Container) -> str | None:
    """A network of its own that nothing connects to the host."""
    told = config(found.name)
    kinds = types(told)
    if not kinds and any(key == "lxc.include" for key, _ in told):
        return None  # it may be in there
    if shared_with(told) or any(kind not in UNLINKED for kind in kinds):
        return None
    what = " and ".join(dict.fromkeys(kinds)) or NOTHING
    return f"its network ({what}) has no link to this host: lxc.net.0.type = veth, with a bridge, makes one"


def journal(name: str) -> list[str]:
    """The units that its output is found under: of LXC's own, since the container's goes to its console."""
    return [unit_of(name)]
