"""What is followed beside a wake, as long as the runtime lets us: the container's output and its changes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from wakeport.loop import Loop, Task, any_of
from wakeport.runtimes.docker.container import Container
from wakeport.runtimes.docker.runtime import Docker
from wakeport.runtimes.problems import RuntimeProblem

STDOUT = 1  # the journal, under the container's unit

# Seconds before a lost stream is opened again. A runtime that a person stops is
# started again by systemd at the first call, so containers that end with it get
# the time to end; where they live on, the log has kept what we missed.
RETRY_AFTER = 12.0


async def follow_output(
    loop: Loop, runtime: Docker, container: Container, since: float, ended: Task[None]
) -> None:
    """Copy the container's output to the journal, to the last line; a gap is filled from its log."""
    while True:
        with contextlib.suppress(RuntimeProblem):
            await runtime.copy_output(container, since, STDOUT)
        since = time.time()
        pause = loop.spawn(loop.sleep(RETRY_AFTER))
        await any_of(ended, pause)
        if ended.done:
            pause.cancel()
            return


async def follow_changes(loop: Loop, runtime: Docker, on_change: Callable[[], None]) -> None:
    """Call `on_change()` at every change of a container of this name."""
    while True:
        with contextlib.suppress(RuntimeProblem):
            await runtime.changes(on_change)
        await loop.sleep(RETRY_AFTER)
