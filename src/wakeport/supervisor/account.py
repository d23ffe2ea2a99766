"""What each change of state leaves in the journal, for `wakeport history` to add up.

One entry a change, with these fields:

    MESSAGE_ID, WAKEPORT_SERVICE, WAKEPORT_STATE
    WAKEPORT_AT           when the state began: of a wake, its first act; seconds since 1970
    WAKEPORT_WHO          awake: for whom, a JSON list of clients, who came first before the others
    WAKEPORT_FROM         awake: asleep or dozing; awake where the container had not slept
    WAKEPORT_STAGES       awake: seconds since the wake began, as in status.json; JSON
    WAKEPORT_MEMORY       at the end of awake: bytes that the container has
    WAKEPORT_QUIET        at the end of awake: seconds since anybody needed it last
    WAKEPORT_QUIET_CPU    at the end of awake: processor time that it used in these, in seconds
    WAKEPORT_MEMORY_AFTER dozing: bytes that it still has
    WAKEPORT_REASON       failed: why
"""

from __future__ import annotations

import time

from wakeport.lease import ASLEEP, AWAKE, DOZING, FAILED, STOPPING, WAKING
from wakeport.light import json
from wakeport.loop import Loop, Timer, now
from wakeport.runtimes.cgroup import cpu_seconds, usage
from wakeport.supervisor.journal import write
from wakeport.supervisor.leases import UNKNOWN, Leases

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from wakeport.runtimes.container import Container

MESSAGE_ID = "a1870a7d70fe417b896a8f966d8f9b18"

# Seconds in which somebody says whom a wake is for. The proxy starts beside us, and may be later than a
# container that only had to be thawed.
NAMED_WITHIN = 2.0

WHO_MAX = 20  # names in an entry; a crowd may have thousands
REASON_MAX = 2000  # characters; a datagram has its limits


class Account:
    """`before` is the state that was told last, maybe by another process; "" where there is none."""

    def __init__(
        self,
        loop: Loop,
        service: str,
        leases: Leases,
        before: str,
        write: Callable[[Mapping[str, str]], None] = write,
    ) -> None:
        self.loop = loop
        self.service = service
        self.leases = leases
        self.write = write
        # One that crashed while it woke has said so; the wake that follows is another.
        self.state = "" if before == WAKING else before
        self.rested = self.state  # the last state that was not waking
        self.container: Container | None = None  # whom it is about, once it is awake
        self.first = ""  # who was heard first since it was last awake
        self.quiet: tuple[float, float] | None = None  # since when (monotonic), and the processor time then
        self.unnamed: dict[str, str] = {}  # an entry that waits for a name
        self.patience: Timer | None = None

    def goes_on(self, container: Container) -> None:
        """Our older self has told that it is awake."""
        self.container = container

    def enter(self, state: str, at: float | None = None, reason: str = "") -> None:
        """Note that the state is `state` from now on, or since `at` (monotonic); what has been noted
        already is not noted again. For `awake` see below.
        """
        if state == self.state:
            return
        fields = self._entry(state, at)
        if self.state == AWAKE and state in (DOZING, STOPPING):
            fields |= self._used()
        if reason:
            fields["MESSAGE"] += f": {reason}"
            fields["WAKEPORT_REASON"] = reason[:REASON_MAX]
        self._become(state)
        self.write(fields)

    def awake(
        self, container: Container, woken: bool, began: float, at: float, stages: Mapping[str, float]
    ) -> None:
        """Note a wake that began at `began` and was over at `at` (monotonic); see Awake for `woken`."""
        self.container = container
        if self.state == AWAKE:
            return
        fields = self._entry(AWAKE, at)
        fields["MESSAGE"] += f" after {at - began:.3f} s"
        fields["WAKEPORT_FROM"] = DOZING if self.rested == DOZING else ASLEEP if woken else AWAKE
        fields["WAKEPORT_STAGES"] = json.dumps(stages)
        self._become(AWAKE)
        self.unnamed = fields
        self.leases_changed()
        if self.unnamed:
            self.patience = self.loop.call_in(NAMED_WITHIN, self._write_unnamed)

    def freed(self, bytes_left: int) -> None:
        """What it still has while it dozes, where memory was taken from it."""
        self.write(self._entry(DOZING, None) | {"WAKEPORT_MEMORY_AFTER": str(bytes_left)})

    def leases_changed(self, needed: bool = False) -> None:
        """Somebody came, spoke or went. `needed` says that it has a reason to run besides its leases."""
        if self.state != AWAKE or self.unnamed:
            self.first = self.first or next(iter(self._names()), "")
            if self.unnamed and self.first:
                self._write_unnamed()
        if self.leases.busy or needed:
            self.quiet = None
        elif self.quiet is None and self.state == AWAKE:
            used = (
                None if self.container is None else cpu_seconds(self.container.pid, own=self.container.group)
            )
            self.quiet = None if used is None else (now(), used)

    def _become(self, state: str) -> None:
        self._write_unnamed()
        if state != WAKING:
            self.rested = state
        if state != AWAKE:
            self.first = ""
        self.state = state
        self.quiet = None
        self.leases_changed()

    def _names(self) -> list[str]:
        """For whom it is awake, as far as they have said so: clients, or the holder where it has none."""
        found: list[str] = []
        for holder in self.leases.holders.values():
            if holder.busy:
                found += holder.use or ([holder.who] if holder.who != UNKNOWN else [])
        return found

    def _write_unnamed(self) -> None:
        """Whether or not anybody has said who it was."""
        fields, self.unnamed = self.unnamed, {}
        if self.patience is not None:
            self.patience.cancel()
            self.patience = None
        if not fields:
            return
        # Who came first may have gone since, and yet it was they who woke it.
        names = self._names() or [UNKNOWN for holder in self.leases.holders.values() if holder.busy]
        who = list(dict.fromkeys([self.first, *names] if self.first else names))[:WHO_MAX]
        if who:
            fields["MESSAGE"] += f", for {who[0]}"
        fields["WAKEPORT_WHO"] = json.dumps(who)
        self.write(fields)

    def _entry(self, state: str, at: float | None) -> dict[str, str]:
        began = time.time() - (0.0 if at is None else now() - at)
        return {
            "MESSAGE": f"{self.service} failed" if state == FAILED else f"{self.service} is {state}",
            "MESSAGE_ID": MESSAGE_ID,
            "PRIORITY": "4" if state == FAILED else "6",  # syslog(3): warning, informational
            "SYSLOG_IDENTIFIER": "wakeport",
            "WAKEPORT_SERVICE": self.service,
            "WAKEPORT_STATE": state,
            "WAKEPORT_AT": f"{began:.4f}",
        }

    def _used(self) -> dict[str, str]:
        """What the container has, and what it used while nobody needed it; empty where it has ended."""
        of = self.container
        found = None if of is None else usage(of.pid, own=of.group)
        fields: dict[str, str] = {}
        if found is not None and found.memory is not None:
            fields["WAKEPORT_MEMORY"] = str(found.memory)
        if found is not None and found.cpu is not None and self.quiet is not None:
            since, used = self.quiet
            fields["WAKEPORT_QUIET"] = f"{now() - since:.3f}"
            fields["WAKEPORT_QUIET_CPU"] = f"{max(0.0, found.cpu - used):.6f}"
        return fields
