"""What a runtime tells of a container as it happens, in words that are no runtime's own."""

from __future__ import annotations

LISTENING = "listening"  # from now on nothing is missed
STARTED = "started"
ORDERED = "ordered"  # somebody asked the runtime to stop, kill or remove it
ENDED = "ended"
OTHER = "other"  # for example its health
