"""How often a row is run: a few times with the other tests, in full where `scripts/soak` asks for it."""

from __future__ import annotations

import os
from typing import Final

IN_FULL: Final = bool(os.environ.get("WAKEPORT_SOAK"))


def rounds(few: int, full: int) -> int:
    return full if IN_FULL else few
