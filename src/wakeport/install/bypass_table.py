"""How wakeport's own table of nftables goes: with the last service that sends traffic past its proxy."""

from __future__ import annotations

import contextlib
import re
import time

from wakeport.bypass.table import TABLE
from wakeport.errors import Problem
from wakeport.install.host import Host
from wakeport.install.plan import Plan

CHANGED_WITHIN = 10.0  # seconds for a supervisor to take its new command line over
LOOK_EVERY = 0.05  # seconds

# In the unit of a supervisor, or in settings, where that unit is gone already.
_HAS_BYPASS = re.compile(r'^(ExecStart=.*[ "]bypass=|bypass *= *true)', re.MULTILINE)


def drop_unneeded(host: Host, plan: Plan) -> None:
    """Delete it where `plan`, which has been carried out, leaves no service that needs it.

    Silent where it is not there. Made by a supervisor, it is of no use to anybody, and asks for no memory to
    speak of: what nft(8) cannot delete is no reason to fail.
    """
    if not any(has_bypass(change.old) for change in plan.changes):
        return
    if any(has_bypass(path.read_text(errors="replace")) for path in host.layout.unit_files()):
        return
    _await_change(host, plan.service)
    with contextlib.suppress(Problem):
        host.nftables.do(f"delete table inet {TABLE}")


def has_bypass(text: str | None) -> bool:
    return text is not None and _HAS_BYPASS.search(text) is not None


def _await_change(host: Host, service: str) -> None:
    """One that still has its old command line would make the table anew. It takes the file away first."""
    word = host.layout.state(service) / "next"
    until = time.monotonic() + CHANGED_WITHIN
    while word.exists() and time.monotonic() < until:
        time.sleep(LOOK_EVERY)
