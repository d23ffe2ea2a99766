"""The supervisor's first milliseconds: make the start call, then import the rest while the runtime works.

The budget is 25 ms from a client's connection to the start call, most of it the
interpreter's own start; so until the call is made nothing is imported here that
is not built in.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C half of signal, for which there are no stubs
import sys
import time

from wakeport.supervisor.options import Options
from wakeport.supervisor.record import STOPPING, Record

# Blocked until the loop can deliver them: a stop in these milliseconds must not
# leave a container that starts with nobody to own it. (The enum names of these
# numbers live in the signal module, which costs 3 ms.)
HELD_SIGNALS = (1, 15)  # SIGHUP, SIGTERM


def main() -> None:
    _signal.pthread_sigmask(_signal.SIG_BLOCK, HELD_SIGNALS)
    # The processor time so far is the interpreter's start, which no clock inside it can see.
    began = time.monotonic() - time.process_time()
    options = Options(sys.argv[1:])
    record = Record(options.state)
    begun = None
    asked = {}
    called = time.monotonic()
    if not _first_attempt_now(options, record):
        pass
    elif options.needs:
        # They are to be awake before it starts; so the first act is to have them begin.
        from wakeport.supervisor.asking import ask

        asked = ask(options.needs)
    else:
        record.intend()
        from wakeport.runtimes.choice import begin

        begun = begin(options.runtime, options.container)
        called = time.monotonic()

    from wakeport.supervisor.process import supervise

    sys.exit(supervise(options, record, begun, asked, (began, called)))


def _first_attempt_now(options: Options, record: Record) -> bool:
    """Not while an earlier failure cools down, nor before a stop that was cut short is seen through."""
    return not options.takes_over and record.phase != STOPPING and record.wait_left() <= 0
