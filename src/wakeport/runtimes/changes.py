"""What a runtime tells of a container as it happens, in words that are no runtime's own."""

from __future__ import annotations

LISTENING = "listening"  # from now on nothing is missed
STARTED = "started"
ORDERED = "ordered"  # somebody asked the runtime to stop, kill or remove it
ENDED = "ended"
KILLED = "killed"  # its end was a SIGKILL, of whoever
OUT_OF_MEMORY = "out of memory"  # and then that SIGKILL was the kernel's
FROZEN = "frozen"  # by whoever
THAWED = "thawed"
OTHER = "other"  # for example its health
