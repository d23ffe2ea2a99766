"""Remove the container of a connection that is over: the last act of each, whatever ended it.

Its standard output is the client's connection: what there is to say goes to
standard error. The client sees its end only after this, so it imports little.
"""

from __future__ import annotations

import sys
import time
from posix import environ

from wakeport.runtimes.choice import remove

BACK_WITHIN = 60.0  # seconds for a runtime that is away: a container may outlive its restart

# Seconds. Where the runtime's client was killed while it made a container, that may come only now.
MADE_WITHIN = 5.0

BETWEEN = 0.1  # seconds


def main() -> None:
    """The command line: runtime=RUNTIME --name=CONTAINER."""
    runtime, name = (word.partition("=")[2] for word in sys.argv[1:3])
    began = time.monotonic()
    made_by = began + (MADE_WITHIN if environ.get(b"EXIT_CODE") == b"killed" else 0.0)
    while True:
        problem = ""
        try:
            if remove(runtime, name):
                return
            until = made_by
        except OSError as error:
            problem, until = f"{name} may still be there: {error.strerror or error}", began + BACK_WITHIN
        if time.monotonic() >= until:
            break
        time.sleep(BETWEEN)
    if problem:
        sys.stderr.write(f"{problem}\n")
        raise SystemExit(1)
