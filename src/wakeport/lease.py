"""What is said on a lease: one JSON object a line, both ways. Only the words; who says them is elsewhere.

The supervisor writes its state on connect and at every change:

    {"state": "waking", "waits_for": "the container to answer on 172.17.0.2:80"}
    {"state": "awake", "targets": {"80/tcp": ["172.17.0.2", 80]}}
    {"state": "dozing"}
    {"state": "stopping"}
    {"state": "failed", "reason": "...", "retry_after": 5.0}

The holder may say who it is, what for, and whether it is busy (it is, until it says otherwise):

    {"who": "proxy", "use": ["10.0.0.7:51234"], "last": [1764141738.5]}
    {"busy": false}
    {"busy": false, "rests": true}
    {"stir": true}

    {"keep_until": 1790000000.0}                             as keep/word.py has it

`last` is when a byte last passed for each use, in seconds since 1970, or null. Who rests uses nothing
now and will again, so the container may doze and not be stopped. Who stirs asks for a container that
dozes without being busy: something small has come that it has to see.

To a holder that says it is busy the supervisor repeats its state: what it said before may have been
its last word before a sleep. `dozing` is said before the container is frozen, so that a holder who has
just used it can stir. A closed connection holds nothing; what it has
said of a keep lasts.
"""

from __future__ import annotations

from wakeport.light import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ASLEEP, WAKING, AWAKE, DOZING, STOPPING, FAILED = "asleep", "waking", "awake", "dozing", "stopping", "failed"

# Who tells of the clients of a container that accepts them itself. Told `dozing`, it always answers.
WATCHER = "watcher"

# A keep holds without a connection: until a moment (seconds since 1970), or for ever.
KEEP_UNTIL, KEPT_UNTIL, FOR_EVER = "keep_until", "kept_until", "infinity"
CALENDAR = "calendar"  # who says it, where a clock does

LINE_MAX = 65536  # bytes; a `use` of a thousand clients is about 25,000

Message = dict[str, "Any"]


class Malformed(ValueError):
    """The other side does not speak the lease protocol; hang up."""


def encode(message: Message) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


class Decoder:
    """Bytes in, messages out, whatever the chunks they arrive in."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending = b""

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes. Raises Malformed."""
        *lines, self.pending = (self.pending + data).split(b"\n")
        if len(self.pending) > LINE_MAX or any(len(line) > LINE_MAX for line in lines):
            raise Malformed("a line of more than 64 KiB")
        return [_parse(line) for line in lines if line.strip()]


def _parse(line: bytes) -> Message:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise Malformed("not an object")
    return message
