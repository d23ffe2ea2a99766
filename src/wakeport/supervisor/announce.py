"""How a state is told to the world: to every lease, to systemd, in status.json, and in the journal."""

from __future__ import annotations

import time

from wakeport.activation import notify
from wakeport.lease import ASLEEP, AWAKE, DOZING, FAILED, STOPPING, WAKING, Message
from wakeport.supervisor.account import Account
from wakeport.supervisor.awake import Awake, Stamps
from wakeport.supervisor.journal import write
from wakeport.supervisor.leases import Leases
from wakeport.supervisor.record import Record
from wakeport.supervisor.status import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wakeport.supervisor.demand import Demand


class Announcer:
    """`journal` is the socket that takes the entries; empty for this machine's own."""

    def __init__(self, status: Status, leases: Leases, journal: str = "") -> None:
        self.status = status
        self.leases = leases
        self.account = Account(status.loop, status.service, leases, status.before)
        if journal:
            self.account.write = lambda fields: write(fields, journal)

    def waking(self, waits_for: str, began: float | None = None) -> None:
        """`began` is when the wake did, on the monotonic clock."""
        self._tell({"state": WAKING, "waits_for": waits_for}, waits_for=waits_for)
        self.account.enter(WAKING, began)

    def awake(self, awake: Awake, stamps: Stamps) -> None:
        last_wake: dict[str, Any] = {
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
            **_known(awake),
            **({"last_wake": last_wake} if stamps.ready else {}),
        )
        if stamps.ready:
            self.account.awake(awake.container, awake.woken, stamps.began, stamps.ready, last_wake["stages"])
        else:
            # It was awake before, or is so by another's hand: nobody has waited for this.
            self.account.goes_on(awake.container)
            self.account.enter(AWAKE)

    def dozing(self, awake: Awake) -> None:
        self._tell({"state": DOZING}, "READY=1", **_known(awake), dozes_at=None)
        self.account.goes_on(awake.container)
        self.account.enter(DOZING)

    def pushed_out(self, before: int, after: int, why_not: str) -> None:
        """How many bytes of memory it had before it dozed and has now, or why they stay."""
        memory = {"before": before, "after": after, "stays": why_not or None}
        self.status.show(memory=memory)
        if not why_not:
            self.account.freed(after)

    def stopping(self, *assignments: str, waits_for: str | None = None) -> None:
        self._tell(
            {"state": STOPPING}, *assignments, waits_for=waits_for, targets={}, sleeps_at=None, dozes_at=None
        )
        self.account.enter(STOPPING)

    def failed(self, record: Record) -> None:
        left = max(0.0, record.wait_left())
        self._tell(
            {"state": FAILED, "reason": record.reason, "retry_after": round(left, 3)},
            waits_for=None,
            targets={},
            sleeps_at=None,
            dozes_at=None,
            failure=_failure(record),
        )
        self.account.enter(FAILED, reason=record.reason)

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
            at_work=None,
            sleeps_at=None,
            dozes_at=None,
            waits_for=None,
            targets={},
            bypass=None,
        )
        self.account.enter(FAILED if record.attempts else ASLEEP, reason=record.reason)

    def holders(self, demand: Demand, dozes_in: float | None, sleeps_in: float | None, at_work: str) -> None:
        """Who holds leases, and in how many seconds that lets the container doze, and be stopped.

        `at_work` is what it does although nobody holds one; empty where nothing is known of that.
        """
        self.status.show_soon(
            leases=[*(one.facts() for one in self.leases.holders.values()), *demand.bypass.holders()],
            bypass=demand.bypass.facts(),
            at_work=at_work or None,
            dozes_at=_at(dozes_in),
            sleeps_at=_at(sleeps_in),
        )
        self.account.leases_changed(demand.is_needed or bool(at_work))

    def kept(self, entries: list[dict[str, Any]]) -> None:
        """Until when it is kept awake, as keep.py has it."""
        self.status.show(kept=entries)

    def _tell(self, message: Message, *assignments: str, **facts: Any) -> None:
        # Before those hear it who act upon it: their states begin later than the one that let them.
        at = time.time()
        if message["state"] != AWAKE and self.status.facts["bypass"]:
            facts["bypass"] = {**self.status.facts["bypass"], "open": False}
        self.leases.announce(message)
        self.status.show(*assignments, at=at, state=message["state"], **facts)


def _known(awake: Awake) -> dict[str, Any]:
    return {
        "waits_for": None,
        "memory": None,
        "targets": awake.targets,
        "container_id": awake.container.id,
        "owned": awake.owned,
    }


def _at(seconds: float | None) -> float | None:
    """In so many seconds, as a time since 1970."""
    return None if seconds is None else round(time.time() + seconds, 3)


def _failure(record: Record) -> dict[str, Any]:
    retry_at = time.time() + max(0.0, record.wait_left())
    return {"reason": record.reason, "attempts": record.attempts, "retry_at": round(retry_at, 3)}
