"""What the proxy tells of its clients: to the supervisor on the lease, to systemd in the status line."""

from __future__ import annotations

from wakeport.activation import notify
from wakeport.lease_holder import LeaseHolder
from wakeport.loop import Loop
from wakeport.proxy.pace import Pace
from wakeport.proxy.pulse import last_byte

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from wakeport.proxy.relay import Relay

REPORT_EVERY = 1.0  # seconds, at most
REPORT_MAX = 1000  # clients by name; 45 KB of the 64 KiB that a line may have


class Reports:
    """`served` is everybody for whom the container is needed, and the relay of each that has one."""

    def __init__(self, loop: Loop, lease: LeaseHolder, served: Mapping[Any, Relay | None]) -> None:
        self.lease = lease
        self.served = served
        self.pace = Pace(loop, REPORT_EVERY, self._report)

    def changed(self) -> None:
        self.pace.changed()

    def _report(self) -> None:
        named = [each for each, _ in zip(self.served.items(), range(REPORT_MAX), strict=False)]
        last = [None if relay is None else last_byte(relay) for _, relay in named]
        self.lease.report([str(client) for client, _ in named], last)
        notify(f"STATUS={len(self.served)} client{'' if len(self.served) == 1 else 's'}")
