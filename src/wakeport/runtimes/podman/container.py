"""What Podman's answer to `inspect` says otherwise than the Engine's. Pure."""

from __future__ import annotations

from wakeport.runtimes.docker.container import Inspected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.runtimes.docker.container import Inspection

CONNECT = "podman network connect podman CONTAINER"

# It is still there while it is being stopped, though Podman no longer calls it running.
STOPPING = "stopping"


class PodmanInspected(Inspected):
    def __init__(self, inspection: Inspection) -> None:
        super().__init__(inspection)
        state = inspection["State"]
        self.stopping = state.get("Status") == STOPPING
        self.running = self.running or self.paused or self.stopping
        self.started_at = utc(state["StartedAt"])
        self.health = self.health or None  # the empty text where it has no check
        self.out_of_memory: bool = state.get("OOMKilled", False)
        # Of its policies, podman-restart.service knows this one alone.
        self.starts_at_boot = "restart policy always" if self.restart_policy == "always" else ""


def utc(stamp: str) -> str:
    """A time of RFC 3339 in any zone, as text that compares with others in UTC: without its zone.

    Podman 4.3.1 writes UTC, and promises no more than the format.
    """
    if stamp.endswith("Z"):
        return stamp[:-1]
    from datetime import datetime, timezone  # only where the machine's clock is not in UTC

    zone = len("+01:00")
    whole, point, fraction = stamp[:-zone].partition(".")
    moment = datetime.fromisoformat(whole + stamp[-zone:]).astimezone(timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + point + fraction
