"""What the timer of a service's windows starts: says on its lease until when it is kept, and ends.

Nothing is remembered from one start to the next: the clock alone says whether a window is open. So it is
the same whether a window has just begun, or the machine was booted in the middle of one.
"""

from __future__ import annotations

import sys
import time

from wakeport.keep.windows import Window, kept_until
from wakeport.keep.word import say
from wakeport.lease import CALENDAR

ANSWER_WITHIN = 90.0  # seconds; at boot the supervisor waits for the runtime. Then systemd starts it again.


def main() -> None:
    lease, windows = from_command_line(sys.argv[1:])
    until = kept_until(windows, time.time())
    if until is None:
        return
    try:
        say(lease, CALENDAR, until, ANSWER_WITHIN)
    except OSError as error:
        sys.exit(f"wakeport: {lease}: {error.strerror or error}")


def from_command_line(arguments: list[str]) -> tuple[str, list[Window]]:
    """The lease socket and the windows. Unknown keys are ignored: a newer unit may have some."""
    words = [argument.partition("=")[::2] for argument in arguments]
    try:
        (lease,) = [value for key, value in words if key == "lease"]
        return lease, [Window.parse(value) for key, value in words if key == "window"]
    except ValueError as error:
        sys.exit(f"wakeport: bad arguments in the unit ({error}); `wakeport apply` writes them anew")
