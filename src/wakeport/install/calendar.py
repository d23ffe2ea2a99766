"""How a keep by the clock ends where the settings no longer ask for it."""

from __future__ import annotations

import contextlib
import time

from wakeport import status
from wakeport.install.host import Host
from wakeport.keep.windows import Window, kept_until
from wakeport.keep.word import say
from wakeport.lease import CALENDAR
from wakeport.service import Service
from wakeport.units import names

ANSWER_WITHIN = 5.0  # seconds; unheard, the keep ends when its window would have


def end_if_over(host: Host, service: Service) -> None:
    """Say so to a supervisor that is kept by the clock though no window is open now."""
    kept = status.published(host.layout, service.name).get("kept", [])
    if not any(entry.get("by") == CALENDAR for entry in kept):
        return
    if kept_until([Window.parse(one) for one in service.keep], time.time()) is not None:
        return
    if host.systemd.runs(names(service.name).supervisor):
        with contextlib.suppress(OSError):
            say(str(host.layout.lease(service.name)), CALENDAR, None, ANSWER_WITHIN)
