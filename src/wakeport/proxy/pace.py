"""Saying what changes often, but not too often."""

from __future__ import annotations

from wakeport.loop import Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Pace:
    """Calls `report` soon after `changed()`, and at most once in `seconds`."""

    def __init__(self, loop: Loop, seconds: float, report: Callable[[], None]) -> None:
        self.loop = loop
        self.seconds = seconds
        self.report = report
        self.pausing = False
        self.due = False

    def changed(self) -> None:
        if self.pausing:
            self.due = True
            return
        self.pausing = True
        self.loop.call_in(self.seconds, self._resume)
        self.loop.call_soon(self.report)

    def _resume(self) -> None:
        self.pausing = False
        if self.due:
            self.due = False
            self.changed()
