"""What a service is doing now, from what its supervisor publishes and what systemd knows.

To look is not to wake: nothing here connects to anything but systemd, once for
all services.
"""

from __future__ import annotations

import json
import time
from typing import Any, Final

from wakeport import per_connection_status
from wakeport.errors import NoRights
from wakeport.layout import Layout
from wakeport.lease import ASLEEP, AWAKE, FAILED, STOPPING, WAKING
from wakeport.moment import spelled
from wakeport.service import Service
from wakeport.span import roughly
from wakeport.systemd import Properties, Systemd
from wakeport.units import names

PROPERTIES: Final = ("LoadState", "ActiveState", "SubState", "MainPID", *per_connection_status.PROPERTIES)

NAMED: Final = 3  # clients by their address; of more, their number says enough
SILENT_AFTER: Final = 60.0  # seconds; the proxy tells every 30 s when a byte last passed

Report = dict[str, Any]
Published = dict[str, Any]


def reports(layout: Layout, systemd: Systemd, services: list[Service]) -> list[Report]:
    """One report a service, in their order: what `wakeport status --json` prints."""
    units = [unit for service in services for unit in names(service.name)[:4]]
    states = systemd.show(units, PROPERTIES)
    now = time.time()
    return [report(service, states, published(layout, service.name), now) for service in services]


def published(layout: Layout, service: str) -> Published:
    """What the supervisor has last published; empty where it never ran. Raises NoRights."""
    try:
        found = json.loads(layout.status(service).read_bytes())
    except PermissionError:
        raise NoRights(f"{layout.status(service)} is closed to you", "run it as root, with sudo") from None
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def report(service: Service, states: dict[str, Properties], known: Published, now: float) -> Report:
    """Pure: the report of one service at the time `now` (seconds since the epoch)."""
    if service.per_connection:
        socket = names(service.name).socket
        differs = per_connection_status.report(service, socket, states.get(socket, {}))
        return _report(service, {socket: {"ActiveState": "active"}}, {}, now) | differs
    return _report(service, states, known, now)


def _report(service: Service, states: dict[str, Properties], known: Published, now: float) -> Report:
    called = names(service.name)
    state = _state(states.get(called.supervisor, {}), known)
    failure = known.get("failure")
    sockets = (called.socket, called.lease) if service.listener else (called.lease,)
    closed = [unit for unit in sockets if states.get(unit, {}).get("ActiveState") != "active"]
    if closed:
        state = FAILED if state == ASLEEP else state
        failure = {"reason": f"{' and '.join(closed)} does not listen", "attempts": 0, "retry_at": None}
    fresh = state == known.get("state")
    dozes_at, sleeps_at = (known.get(key) if fresh else None for key in ("dozes_at", "sleeps_at"))
    return {
        "name": service.name,
        "mode": str(service.mode),
        "state": state,
        "since": known.get("since") if fresh else None,
        "idle": str(service.idle),
        "listeners": [{"on": str(listener.on), "to": listener.to} for listener in service.listener],
        "needs": list(service.needs),
        "image": None,
        "container": str(service.container),
        "container_id": known.get("container_id") if fresh else None,
        "owned": bool(fresh and known.get("owned")),
        "waits_for": known.get("waits_for") if fresh else None,
        "memory": known.get("memory") if fresh else None,
        "last_wake": known.get("last_wake"),
        "connections": None,
        "leases": known.get("leases", []) if fresh else [],
        "bypass": known.get("bypass") if fresh else None,
        "kept_awake_by": keepers(known, now) if fresh else [],
        "kept": _still(known.get("kept", []), now) if state != ASLEEP else [],
        "dozes_in": _left(dozes_at, now),
        "sleeps_in": _left(sleeps_at, now),
        "failure": failure if closed or state == FAILED else None,
    }


def _left(at: float | None, now: float) -> float | None:
    return None if at is None else round(max(0.0, at - now), 3)


def _state(supervisor: Properties, known: Published) -> str:
    """The state, from the unit's and the published one: a supervisor that was killed leaves a stale word."""
    active = supervisor.get("ActiveState", "inactive")
    said: str = known.get("state", ASLEEP)
    if active == "deactivating":
        return STOPPING
    if active in ("inactive", "failed") or said == ASLEEP:
        # One that gave up and left says so; all else it said while it lived.
        return WAKING if active == "activating" else FAILED if said == FAILED else ASLEEP
    if active == "activating" and said == AWAKE:
        return WAKING
    return said


def _still(kept: list[dict[str, Any]], now: float) -> list[dict[str, Any]]:
    """The keeps that have not ended: a supervisor that was killed could not tell of their end."""
    return [entry for entry in kept if entry["until"] is None or entry["until"] > now]


def keepers(known: Published, now: float) -> list[str]:
    """What keeps the container awake, for people, one phrase each."""
    found = [_held(lease, now) for lease in known.get("leases", []) if lease.get("busy")]
    if known.get("at_work"):
        found.append(f"at work: {known['at_work']}")
    if kept := told_of_keep(_still(known.get("kept", []), now), now):
        found.append(kept)
    return found


def told_of_keep(kept: list[dict[str, Any]], now: float) -> str:
    """What keeps it longest, as in "kept by hand until 18:00"; empty where nothing does."""
    if not kept:
        return ""
    last = max(kept, key=lambda entry: float("inf") if entry["until"] is None else entry["until"])
    until = "" if last["until"] is None else f" until {spelled(last['until'], now)}"
    return f"kept by {last['by']}{until}"


def _held(lease: dict[str, Any], now: float) -> str:
    """One lease: its holder, or the clients that it is for, and how long nothing has passed."""
    use = [str(client) for client in lease.get("use") or []]
    if not use:
        return str(lease.get("who") or "somebody")
    more = f" and {len(use) - NAMED} more" if len(use) > NAMED else ""
    phrase = f"{len(use)} connection{'s' if len(use) > 1 else ''} from {', '.join(use[:NAMED])}{more}"
    last = lease.get("last") or [None]
    if None in last or now - max(last) < SILENT_AFTER:
        return phrase
    return f"{phrase}, {roughly(now - max(last))} silent"


def resting(leases: list[dict[str, Any]], now: float) -> list[str]:
    """Under whom it may doze and not be stopped, for people, one phrase each."""
    return [_held(lease, now) for lease in leases if lease.get("rests")]


def clients(leases: list[dict[str, Any]]) -> list[str]:
    """Whom a stop would cut off, for people: addresses, or the holder's own name."""
    found: list[str] = []
    for lease in leases:
        if lease.get("busy") or lease.get("rests"):
            found += [str(use) for use in lease.get("use") or [lease.get("who") or "somebody"]]
    return found
