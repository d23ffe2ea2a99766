"""Stopping the container where it is ours, whatever stage its wake had reached."""

from __future__ import annotations

import sys

from wakeport.loop import Loop, any_of
from wakeport.runtimes.problems import Missing, RuntimeProblem
from wakeport.supervisor.awake import Awake
from wakeport.supervisor.options import Options
from wakeport.supervisor.record import ENDED, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.runtimes.interface import Runtime

LAST_OUTPUT_WITHIN = 5.0  # seconds for the rest of the output, after the container's end


class Stop:
    def __init__(self, loop: Loop, options: Options, record: Record, runtime: Runtime) -> None:
        self.loop = loop
        self.options = options
        self.record = record
        self.runtime = runtime

    async def undo(self, awake: Awake | None) -> None:
        """Stop the container if it is ours; `awake` is what came of its wake, None where nothing did yet."""
        try:
            if awake is None:
                await self.ours(self.options.container)
            elif awake.owned and not awake.ended.done:
                await self.ours(awake.container.id)
                await self.rest_of_output(awake)
            elif awake.owned and awake.container.restarts_itself:
                # Its end is not the end: left alone, its runtime would start it again and again.
                await self.runtime.stop(awake.container)
                self.record.asleep()
            elif self.record.phase != ENDED:
                self.record.asleep()
        except RuntimeProblem as problem:
            say(f"the stop failed: {problem}")
            if awake is not None or self.runtime.asked:
                self.record.stopping()

    async def ours(self, name: str) -> None:
        """Stop the container `name`, if it runs, or is about to, and wakeport started it.

        Raises RuntimeProblem.
        """
        try:
            container = await self.runtime.look(name)
        except Missing:
            self.record.asleep()
            return
        if (container.running or container.restarting) and (
            self.options.adopt or self.record.claims(container.id, container.started_at)
        ):
            self.record.own(container.id, container.started_at)
            self.record.stopping()
            await self.runtime.stop(container)
        self.record.asleep()

    async def rest_of_output(self, awake: Awake) -> None:
        """Return when it has been copied to the last line, or cannot be in time."""
        patience = self.loop.spawn(self.loop.sleep(LAST_OUTPUT_WITHIN))
        await any_of(awake.output.to_the_end, patience)
        patience.cancel()


def say(text: str) -> None:
    """Into the journal, beside the container's own output."""
    print(f"wakeport: {text}", file=sys.stderr, flush=True)
