"""How a state is told to the world: to every lease, to systemd, and in status.json, always all three."""

from __future__ import annotations

import time

from wakeport.activation import notify
from wakeport.lease import ASLEEP, AWAKE, FAILED, STOPPING, WAKING, Message
from wakeport.supervisor.awake import Awake, Stamps
from wakeport.supervisor.leases import Leases
from wakeport.supervisor.record import Record
from wakeport.supervisor.status import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Announcer:
    def __init__(self, status: Status, leases: Leases) -> None:
        self.status = status
        self.leases = leases

    def waking(self, waits_for: str) -> None:
        self._tell({"state": WAKING, "waits_for": waits_for}, waits_for=waits_for)

    def awake(self, awake: Awake, stamps: Stamps) -> None:
        last_wake = {
            "at": round(time.time() - stamps.ready + stamps.began, 3),
            "seconds": round(stamps.ready - stamps.began, 4),
            "stages": {
                "called": round(stamps.called - stamps.began, 4),
                "running": round(stamps.running - stamps.began, 4),
                "ready": round(stamps.ready - stamps.began, 4),
            },
        }
        self._tell(
            {"state": AWAKE, "targets": awake.targets},
            "READY=1",
            waits_for=None,
            targets=awake.targets,
            container_id=awake.container.id,
            owned=awake.owned,
            **({"last_wake": last_wake} if stamps.ready else {}),
        )

    def stopping(self, *assignments: str, waits_for: str | None = None) -> None:
        self._tell({"state": STOPPING}, *assignments, waits_for=waits_for, targets={}, sleeps_at=None)

    def failed(self, record: Record) -> None:
        left = max(0.0, record.wait_left())
        self._tell(
            {"state": FAILED, "reason": record.reason, "retry_after": round(left, 3)},
            waits_for=None,
            targets={},
            sleeps_at=None,
            failure=_failure(record),
        )

    def forgiven(self) -> None:
        self.status.show(failure=None)

    def left(self, record: Record) -> None:
        """The last word of a supervisor that ends as it should."""
        # To systemd, a notify service that ends before it was ready has failed. Of two
        # states in one message it takes the last alone (252), so this is one of its own.
        notify("READY=1")
        self.status.show(
            "STOPPING=1",
            state=FAILED if record.attempts else ASLEEP,
            failure=_failure(record) if record.attempts else None,
            leases=[],
            sleeps_at=None,
            waits_for=None,
            targets={},
        )

    def holders(self, sleeps_in: float | None) -> None:
        """Who holds leases, and in how many seconds that lets the container sleep."""
        self.status.show_soon(
            leases=[holder.facts() for holder in self.leases.holders.values()],
            sleeps_at=None if sleeps_in is None else round(time.time() + sleeps_in, 3),
        )

    def kept(self, entries: list[dict[str, Any]]) -> None:
        """Until when it is kept awake, as keep.py has it."""
        self.status.show(kept=entries)

    def _tell(self, message: Message, *assignments: str, **facts: Any) -> None:
        self.leases.announce(message)
        self.status.show(*assignments, state=message["state"], **facts)


def _failure(record: Record) -> dict[str, Any]:
    retry_at = time.time() + max(0.0, record.wait_left())
    return {"reason": record.reason, "attempts": record.attempts, "retry_at": round(retry_at, 3)}
