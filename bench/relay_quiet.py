"""How much others used of the machine while something was measured: this lab and this program aside."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bench.ground import Ground

BUSY = (0, 1, 2, 5, 6, 7)  # user, nice, system, irq, softirq, steal; man 5 proc_stat


class Others:
    """Starts to count when it is made."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.began = time.monotonic()
        self.before = self._seconds()

    def share(self) -> float:
        """Processors that others kept busy since then, on average: 0.1 is a tenth of one. Never negative.

        The kernel samples what the whole machine does and measures what the lab does: over a second the
        difference is known to some hundredths.
        """
        return max(0.0, (self._seconds() - self.before) / (time.monotonic() - self.began))

    def _seconds(self) -> float:
        ours = os.times()
        own = ours.user + ours.system + ours.children_user + ours.children_system
        return _machine() - self.ground.processor_time() - own


def _machine() -> float:
    """Seconds that the processors were busy, or taken away by the host of a virtual machine."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return sum(int(words[column]) for column in BUSY) / os.sysconf("SC_CLK_TCK")
