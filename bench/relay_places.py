"""Who runs on which processor: the relay alone on one, the load and the target on the rest."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Places:
    """`relay` and `rest` are numbers of processors."""

    def __init__(self) -> None:
        *rest, relay = sorted(os.sched_getaffinity(0))
        if not rest:
            raise RuntimeError("there is one processor here, and --pin needs two or more")
        self.rest = set(rest)
        self.relay = {relay}

    @contextmanager
    def load(self) -> Iterator[None]:
        """Keep this process, and what it starts meanwhile, off the relay's processor."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self.rest)
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)

    def put(self, relay: Iterable[int], target: Iterable[int]) -> None:
        """Give these processes their places, all threads; what they start later has it from them."""
        for pids, processors in ((relay, self.relay), (target, self.rest)):
            for pid in pids:
                for thread in Path(f"/proc/{pid}/task").iterdir():
                    with suppress(ProcessLookupError):
                        os.sched_setaffinity(int(thread.name), processors)
