"""What is known of a container at one moment, whatever runs it."""

from __future__ import annotations

from wakeport.runtimes.cgroup import NAMED_BY_ID

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Where a container answers: an address and a port, or the path of a Unix socket on the host.
Target = tuple[str, int] | tuple[str]

# How a connection on this machine reaches what is bound to such an address.
LOOPBACKS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


class Container:
    """A runtime says what it knows; the rest is as it stands here.

    `started_at` is RFC 3339, UTC, to the nanosecond, without the Z, so that two can be compared as text.
    """

    id: str = ""
    name: str = ""
    running: bool = False
    paused: bool = False
    restarting: bool = False  # ended, and about to be started again
    restarts_itself: bool = False  # its runtime starts it again when it ends with a fault
    pid: int = 0  # its first process, as the host numbers it; 0 where it has none
    group = NAMED_BY_ID  # how its cgroup is found among the paths of that process
    started_at: str = ""
    also_at: str = ""  # its IPv6 address on the network where it is reached by IPv4, if it has both
    exit_code: int = 0
    error: str = ""
    health: str | None = None
    has_healthcheck: bool = False
    tty: bool = False  # its output comes from a terminal

    # What the command line asks beside.
    exposed: Sequence[str] = ()  # "80/tcp", as its image or its unit says
    stop_timeout: int = 10  # seconds until it is killed
    on_host_network: bool = False
    published: Mapping[str, list[tuple[str, int]]] = {}  # its port -> places of the host that it holds itself
    starts_at_boot: str = ""  # by what setting, where it does
    removed_when_stopped: bool = False

    def why_closed(self, _port: str) -> str | None:
        """Why one of its ports, as in "80/tcp", can never be reached; None where it can."""
        return None


def need_address(ports: Sequence[str]) -> bool:
    """Whether any of them is a port, and not a path on the host: else it may have no network at all."""
    return not all(port.startswith("/") for port in ports)


def targets_at(ports: Sequence[str], address: str) -> dict[str, Target]:
    """Where each of `ports` answers: "80/tcp" at `address`, "/app.sock" on the host."""
    return {
        port: (port,) if port.startswith("/") else (address, int(port.partition("/")[0])) for port in ports
    }
