"""What a service is doing that gives each connection a container: systemd knows, from its socket unit."""

from __future__ import annotations

from typing import Any, Final

from wakeport.lease import ASLEEP, AWAKE, FAILED
from wakeport.service import Service
from wakeport.systemd import Properties

# Of the socket: how many instances there are now, and how many there were since it was opened.
PROPERTIES: Final = ("NConnections", "NAccepted")


def connections(socket: Properties) -> dict[str, int]:
    running, accepted = (int(socket.get(key) or 0) for key in PROPERTIES)
    return {"running": running, "accepted": accepted}


def report(service: Service, socket: str, known: Properties) -> dict[str, Any]:
    """Pure: what differs from the report of a service that never woke. `known` are those of `socket`."""
    counted = connections(known)
    state, failure = (AWAKE if counted["running"] else ASLEEP), None
    if known.get("ActiveState") != "active":
        state = FAILED
        failure = {"reason": f"{socket} does not listen", "attempts": 0, "retry_at": None}
    return {
        "mode": service.mode,
        "state": state,
        "connections": counted,
        "container": None,
        "image": service.image,
        "idle": None,
        "failure": failure,
    }


def told(connections: dict[str, int]) -> str:
    """For people, as in "per connection, 3 running"."""
    return f"per connection, {connections['running']} running"
