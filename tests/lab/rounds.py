"""How much a row asks: a little beside the other tests, in full where `scripts/soak` runs it alone."""

from __future__ import annotations

import os
from typing import Final

IN_FULL: Final = bool(os.environ.get("WAKEPORT_SOAK"))


def rounds(few: int, full: int) -> int:
    return full if IN_FULL else few


def promised(seconds: float) -> float:
    """What a row says, where nothing else runs; else what tells it from a wait for some deadline."""
    return seconds if IN_FULL else max(seconds, 10.0)
