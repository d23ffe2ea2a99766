"""What the supervisor writes for the journal, as a line for whoever sits before `wakeport try`. Pure.

The entries are those of supervisor/account.py, on the wire as journald has them:
https://systemd.io/JOURNAL_NATIVE_PROTOCOL
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from wakeport.lease import AWAKE, DOZING, STOPPING, WAKING
from wakeport.span import Span, roughly

Fields = dict[str, str]


def parsed(datagram: bytes) -> Fields:
    """One entry: KEY=value lines; a value of several lines has its length before it."""
    fields: Fields = {}
    while datagram:
        line, _, datagram = datagram.partition(b"\n")
        key, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(datagram[:8], "little")
            value, datagram = datagram[8 : 8 + size], datagram[8 + size + 1 :]
        fields[key.decode(errors="replace")] = value.decode(errors="replace")
    return fields


def said(fields: Mapping[str, str], idle: Span, doze: Span) -> str | None:
    """None where there is nothing to say: of a failure the supervisor tells by itself, and asleep it is
    when both programs have ended.
    """
    state = fields.get("WAKEPORT_STATE")
    if state == WAKING:
        return "waking: the program is started"
    if state == AWAKE:
        return _awake(fields, idle, doze)
    if state == DOZING and "WAKEPORT_MEMORY_AFTER" not in fields:
        return f"dozing: frozen where it stands; the next client thaws it{_sleeps(idle)}"
    if state == STOPPING:
        return "stopping: the program is ended"
    return None


def _awake(fields: Mapping[str, str], idle: Span, doze: Span) -> str:
    stages = json.loads(fields.get("WAKEPORT_STAGES", "{}"))
    after = f" after {roughly(stages['ready'])}" if "ready" in stages else ""
    who = json.loads(fields.get("WAKEPORT_WHO", "[]"))
    by = f", woken by {who[0]}" if who else ""
    if len(who) > 1:
        by += f" and {len(who) - 1} more"
    if doze.seconds < idle.seconds:
        return f"awake{after}{by}; it dozes {doze} after its last client"
    return f"awake{after}{by}{_sleeps(idle)}"


def _sleeps(idle: Span) -> str:
    return "" if idle.seconds == float("inf") else f"; it sleeps {idle} after its last client"
