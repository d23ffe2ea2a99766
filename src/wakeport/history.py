"""What became of a service over time: its wakes, how long it was in each state, and what that saved.

Pure: entries of the journal in, one report a service out. All lengths of time
are of the monotonic clock of one boot, so no step of the wall clock makes them
wrong, and neither the time that the machine was off nor a suspend counts. What
was saved is what was measured when the container was last put to sleep, for as
long as it rested; where nothing was measured, nothing is known.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from wakeport.lease import ASLEEP, AWAKE, DOZING, FAILED, STOPPING, WAKING
from wakeport.scope import SYSTEM, Scope
from wakeport.supervisor.account import MESSAGE_ID
from wakeport.units import names

STATES: Final = (ASLEEP, WAKING, AWAKE, DOZING, STOPPING, FAILED)

FIELDS: Final = (
    "MESSAGE_ID",
    "WAKEPORT_SERVICE",
    "WAKEPORT_STATE",
    "WAKEPORT_AT",
    "WAKEPORT_WHO",
    "WAKEPORT_FROM",
    "WAKEPORT_STAGES",
    "WAKEPORT_MEMORY",
    "WAKEPORT_QUIET",
    "WAKEPORT_QUIET_CPU",
    "WAKEPORT_MEMORY_AFTER",
    "WAKEPORT_REASON",
    "_SYSTEMD_UNIT",
    "_SYSTEMD_USER_UNIT",
    "_UID",
)

GIB: Final = 1 << 30  # bytes
HOUR: Final = 3600.0  # seconds

Raw = Mapping[str, Any]  # as `journalctl --output=json` prints an entry


class Boot(NamedTuple):
    """`began` is its first moment in seconds since 1970, as its last moment's clock has it."""

    id: str
    began: float
    seconds: float  # until its last moment that is known


class Entry(NamedTuple):
    """One change of state; what it did not say, or not so that it makes sense, is None or empty."""

    boot: str
    moment: float  # when the state began, on the boot's own clock
    at: float  # the same in seconds since 1970
    state: str
    who: list[str]
    woken_from: str
    stages: dict[str, float]
    memory: float | None  # bytes
    cpu: float | None  # of its quiet time, the part that it spent on a processor
    memory_after: float | None  # bytes
    reason: str


class _Piece:
    """A stretch of time in one state, and what it saved; None where that is not known."""

    def __init__(self, state: str, seconds: float, memory: float | None, cpu: float | None) -> None:
        self.state = state
        self.seconds = seconds
        self.memory = memory  # byte seconds
        self.cpu = cpu  # seconds


def matches(services: Iterable[str], scope: Scope = SYSTEM) -> list[str]:
    """What to ask journalctl for: nothing but the word of these services' supervisors."""
    units = [f"{scope.unit_field}={names(service).supervisor}" for service in services]
    return [f"MESSAGE_ID={MESSAGE_ID}", f"_UID={scope.uid}", *units]


def by_service(
    written: Iterable[Raw], services: Iterable[str], scope: Scope = SYSTEM
) -> dict[str, list[Entry]]:
    """What is to be believed of it, for each service in the order of the journal."""
    found: dict[str, list[Entry]] = {service: [] for service in services}
    for raw in written:
        service = raw.get("WAKEPORT_SERVICE")
        if isinstance(service, str) and service in found:
            entry = entry_of(raw, service, scope)
            found[service] += [] if entry is None else [entry]
    return found


def entry_of(raw: Raw, service: str, scope: Scope = SYSTEM) -> Entry | None:
    """What the supervisor of `service` wrote; None where somebody else did, or where it makes no sense."""
    written_by = (raw.get(scope.unit_field), raw.get("_UID"))
    if written_by != (names(service).supervisor, scope.uid):
        return None
    said = (raw.get("MESSAGE_ID"), raw.get("WAKEPORT_SERVICE"))
    state, boot = raw.get("WAKEPORT_STATE"), raw.get("_BOOT_ID")
    written, moment = _number(raw, "__REALTIME_TIMESTAMP"), _number(raw, "__MONOTONIC_TIMESTAMP")
    if said != (MESSAGE_ID, service) or state not in STATES or not isinstance(boot, str):
        return None
    if written is None or moment is None:
        return None
    written, moment = written / 1e6, moment / 1e6
    at = _number(raw, "WAKEPORT_AT")
    late = 0.0 if at is None else written - at
    if not 0 <= late <= moment:  # the wall clock was set, or this is no time
        late = 0.0
    quiet, spent = _number(raw, "WAKEPORT_QUIET"), _number(raw, "WAKEPORT_QUIET_CPU")
    reason = raw.get("WAKEPORT_REASON")
    return Entry(
        boot=boot,
        moment=moment - late,
        at=written - late,
        state=str(state),
        who=_who(raw),
        woken_from=str(raw.get("WAKEPORT_FROM")),
        stages=_stages(raw),
        memory=_number(raw, "WAKEPORT_MEMORY"),
        cpu=spent / quiet if quiet and spent is not None else None,
        memory_after=_number(raw, "WAKEPORT_MEMORY_AFTER"),
        reason=reason if isinstance(reason, str) else "",
    )


def report(service: str, entries: Sequence[Entry], boots: Sequence[Boot], since: float) -> dict[str, Any]:
    """What `wakeport history --json` prints of one service, from `since` (seconds since 1970) on.

    `entries` are in the order of the journal. `boots` are those of the machine, in their order, the last
    one with its `seconds` until now.
    """
    course = _Course(since)
    of_boot: dict[str, list[Entry]] = {}
    for entry in entries:
        of_boot.setdefault(entry.boot, []).append(entry)
    whole = _whole(boots, of_boot)
    for boot in whole:
        course.through(boot, of_boot.get(boot.id, []))
    return {
        "name": service,
        "since": round(max(since, min(entry.at for entry in entries)), 3) if entries else None,
        "until": round(whole[-1].began + whole[-1].seconds, 3) if whole else None,
        "wakes": [wake for wake in map(_wake, entries) if wake is not None and wake["at"] >= since],
        "failures": [
            {"at": round(entry.at, 3), "reason": entry.reason}
            for entry in entries
            if entry.state == FAILED and entry.at >= since
        ],
        "seconds": {state: course.seconds(state) for state in STATES},
        "saved": course.saved(),
    }


class _Course:
    """One service's way through its states, boot by boot."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.state = ""
        self.pieces: list[_Piece] = []
        self.resting: list[_Piece] = []  # the latest rest, as long as it may prove to have been none
        self.memory: float | None = None
        self.memory_after: float | None = None
        self.cpu: float | None = None

    def through(self, boot: Boot, entries: Sequence[Entry]) -> None:
        if self.state:
            # No container survives a reboot, however its supervisor ended.
            self._become(ASLEEP)
        moment = 0.0
        for entry in entries:
            self._pass(boot, moment, entry.moment)
            moment = max(moment, entry.moment)
            self._hear(entry)
        self._pass(boot, moment, boot.seconds)

    def seconds(self, state: str) -> float:
        return round(sum(piece.seconds for piece in self.pieces if piece.state == state), 3)

    def saved(self) -> dict[str, float | None]:
        rests = [piece for piece in self.pieces if piece.state in (ASLEEP, DOZING) and piece.seconds]
        return {
            "memory_gib_hours": _sum([piece.memory for piece in rests], GIB * HOUR),
            "cpu_hours": _sum([piece.cpu for piece in rests], HOUR),
        }

    def _pass(self, boot: Boot, begin: float, end: float) -> None:
        begin = max(begin, self.since - boot.began)
        if not self.state or end <= begin:
            return
        seconds, memory, cpu = end - begin, None, None
        if self.state == ASLEEP and self.memory is not None:
            memory = seconds * self.memory
        elif self.state == DOZING:
            freed = (
                0.0 if self.memory is None or self.memory_after is None else self.memory - self.memory_after
            )
            memory = seconds * max(0.0, freed)
        if self.state in (ASLEEP, DOZING) and self.cpu is not None:
            cpu = seconds * self.cpu
        piece = _Piece(self.state, seconds, memory, cpu)
        self.pieces.append(piece)
        if self.state == ASLEEP:
            self.resting.append(piece)

    def _hear(self, entry: Entry) -> None:
        if entry.state == AWAKE and entry.woken_from == AWAKE:
            # Somebody else had started it, nobody knows when: that rest saved nothing.
            for piece in self.resting:
                piece.memory = piece.cpu = 0.0
        if self.state == AWAKE and entry.memory is not None:
            self.memory = entry.memory
        if self.state == AWAKE and entry.cpu is not None:
            self.cpu = entry.cpu
        if entry.state == DOZING:
            self.memory_after = entry.memory_after
        self._become(entry.state)

    def _become(self, state: str) -> None:
        self.state = state
        if state not in (ASLEEP, WAKING):
            self.resting = []


def _whole(boots: Sequence[Boot], of_boot: Mapping[str, Sequence[Entry]]) -> list[Boot]:
    """All boots, those too of which only the entries are known: they are older than those that are listed."""
    listed = {boot.id for boot in boots}
    others = [
        max(entries, key=lambda entry: entry.moment)
        for boot, entries in of_boot.items()
        if boot not in listed
    ]
    return [*(Boot(last.boot, last.at - last.moment, last.moment) for last in others), *boots]


def _wake(entry: Entry) -> dict[str, Any] | None:
    if entry.state != AWAKE or entry.woken_from not in (ASLEEP, DOZING):
        return None
    seconds = entry.stages.get("ready")
    return {
        "at": round(entry.at - (seconds or 0.0), 3),
        "who": entry.who,
        "from": entry.woken_from,
        "seconds": seconds,
        "stages": entry.stages,
    }


def _sum(parts: Sequence[float | None], unit: float) -> float | None:
    """The sum of what is known, in units; None where there are parts, and none is known."""
    known = [part for part in parts if part is not None]
    return None if parts and not known else round(sum(known) / unit, 9)


def _number(raw: Raw, key: str) -> float | None:
    """A field that is a number and not negative."""
    value = raw.get(key)
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None


def _json(raw: Raw, key: str) -> Any:
    value = raw.get(key)
    try:
        return json.loads(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return None


def _who(raw: Raw) -> list[str]:
    who = _json(raw, "WAKEPORT_WHO")
    return [one for one in who if isinstance(one, str)] if isinstance(who, list) else []


def _stages(raw: Raw) -> dict[str, float]:
    stages = _json(raw, "WAKEPORT_STAGES")
    if not isinstance(stages, dict):
        return {}
    return {
        str(stage): float(seconds)
        for stage, seconds in stages.items()
        if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < 1e9
    }
