"""Signals: the C half of Python's module, in which they are plain numbers."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from signal import *
else:
    from _signal import *
