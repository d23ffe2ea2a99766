"""What `docker inspect` says of a container, reduced to what a wake and a check need. Pure."""

from __future__ import annotations

from wakeport.runtimes.container import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

Inspection = dict[str, "Any"]

CONNECT = "docker network connect bridge CONTAINER"
KEPT_APART = ("macvlan", "ipvlan")  # drivers of networks that the kernel keeps apart from their own host


class Inspected(Container):
    """Facts at one moment. Times are the Engine's own text (RFC 3339, UTC), fit to be compared."""

    def __init__(self, inspection: Inspection) -> None:
        state = inspection["State"]
        config = inspection["Config"]
        host = inspection["HostConfig"]
        self.id = inspection["Id"]
        self.name = inspection["Name"].lstrip("/")
        self.running = state["Running"]
        self.paused = state["Paused"]
        self.restarting = state.get("Restarting", False)  # ended, and about to be started again
        self.pid = state["Pid"]
        self.exit_code = state["ExitCode"]
        self.error = " ".join(state.get("Error", "").split())
        self.started_at = state["StartedAt"].rstrip("Z")
        self.health = (state.get("Health") or {}).get("Status")
        self.has_healthcheck = _has_healthcheck(config.get("Healthcheck"))
        self.tty = config.get("Tty", False)
        self.image: str = config.get("Image", "")
        self.exposed = sorted(config.get("ExposedPorts") or {})
        self.stop_timeout = _stop_timeout(config.get("StopTimeout"))
        self.restart_policy: str = (host.get("RestartPolicy") or {}).get("Name") or "no"
        self.restarts_itself = self.restart_policy != "no"
        if self.restart_policy in ("always", "unless-stopped"):
            self.starts_at_boot = f"restart policy {self.restart_policy}"
        self.removed_when_stopped = host.get("AutoRemove", False)
        self.published = _published(host.get("PortBindings") or {})
        self.network_mode: str = host.get("NetworkMode", "default")
        self.on_host_network = self.network_mode == "host"
        networks = sorted((inspection.get("NetworkSettings", {}).get("Networks") or {}).items())
        self.networks: dict[str, str] = {
            name: network.get("IPAddress") or network.get("GlobalIPv6Address") or ""
            for name, network in networks
        }
        self.also_at = {
            network["IPAddress"]: network.get("GlobalIPv6Address") or ""
            for _, network in networks
            if network.get("IPAddress")
        }.get(self.address({}) or "", "")

    @property
    def shares_network_of(self) -> str | None:
        """The other container whose network this one uses (`--network container:OTHER`)."""
        mode, _, other = self.network_mode.partition(":")
        return other if mode == "container" else None

    def address(self, drivers: Mapping[str, str]) -> str | None:
        """Where the container answers its host now; None while it has no such address.

        Of several networks the one that it was created on counts, since its
        default route is there; else the first by name that has an address.
        `drivers` gives the driver of each network, where that may matter.
        """
        if self.on_host_network:
            return "127.0.0.1"
        leads_there = {
            name: address
            for name, address in self.networks.items()
            if address and drivers.get(name) not in KEPT_APART
        }
        own = "bridge" if self.network_mode in ("default", "") else self.network_mode
        return leads_there.get(own) or next(iter(leads_there.values()), None)


def unreachable_network(mode: str, drivers: Mapping[str, str], connect: str = CONNECT) -> str | None:
    """Why a container on network `mode` can never be reached from its host; None where it can.

    `drivers` gives the driver of each network that the container is on; `connect` adds one that can.
    """
    if mode == "none":
        return (
            'it has no network (--network none), so nothing can reach it; give it one, for example "bridge"'
        )
    if drivers and all(driver in KEPT_APART for driver in drivers.values()):
        name, driver = next(iter(drivers.items()))
        return (
            f'its network "{name}" is of the {driver} kind, which the kernel keeps apart from its own host; '
            f"add a second one: {connect}"
        )
    return None


def _stop_timeout(given: int | None) -> int:
    """Seconds. The Engine's default is 10, and what is negative means for ever: here, an hour."""
    if given is None:
        return 10
    return given if given >= 0 else 3600


def _has_healthcheck(check: dict[str, Any] | None) -> bool:
    test = (check or {}).get("Test") or []
    return bool(test) and test != ["NONE"]


def _published(bindings: dict[str, list[dict[str, str]] | None]) -> dict[str, list[tuple[str, int]]]:
    """Container port -> host (address, port); port 0 where Docker chooses one at each start."""
    return {
        port: [(entry.get("HostIp", ""), int(entry.get("HostPort") or 0)) for entry in entries or []]
        for port, entries in bindings.items()
    }
