"""How a keep is said on the lease of a supervisor, and heard: one word there, one answer back.

    {"who": "wakeport keep", "keep_until": 1790000000.0}     or "infinity", or null for its end
    {"state": "awake", ..., "kept_until": 1790000000.0}      what now holds

"who" is "calendar" for a keep by the clock; each other one is a person's. To open a lease wakes, as ever.
"""

from __future__ import annotations

import time

from wakeport.lease import FOR_EVER, KEEP_UNTIL, KEPT_UNTIL, Decoder, Malformed, Message, encode
from wakeport.light import socket

SAY_AGAIN_AFTER = 2.0  # seconds without an answer; a supervisor that changes to a newer one may have lost it
BETWEEN = 0.25  # seconds before the next try where nobody listens, or a supervisor has just ended


def say(path: str, who: str, until: float | None, within: float) -> Message:
    """Keep until that moment (infinity: for ever; None: no longer); what the supervisor answers.

    Raises TimeoutError where none answers for `within` seconds, and PermissionError; FileNotFoundError or
    ConnectionRefusedError where nobody has listened in all that time.
    """
    wanted = FOR_EVER if until == float("inf") else until
    line = encode({"who": who, KEEP_UNTIL: wanted})
    give_up = time.monotonic() + within
    while True:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as lease:
                lease.connect(path)
                answer = _answer(lease, line, give_up)
            if answer is not None:
                return answer
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > give_up:
                raise
        if time.monotonic() > give_up:
            raise TimeoutError(f"no answer on {path} within {within:g} s")
        time.sleep(BETWEEN)


def _answer(lease: socket.socket, line: bytes, give_up: float) -> Message | None:
    """None where the supervisor ends, or the time is up."""
    decoder = Decoder()
    say_at = 0.0
    while (left := give_up - time.monotonic()) > 0:
        try:
            if time.monotonic() >= say_at:
                lease.sendall(line)
                say_at = time.monotonic() + SAY_AGAIN_AFTER
            lease.settimeout(min(left, SAY_AGAIN_AFTER))
            data = lease.recv(65536)
            answers = [message for message in decoder.feed(data) if KEPT_UNTIL in message]
        except TimeoutError:
            continue
        except (BrokenPipeError, ConnectionResetError, Malformed):
            return None
        if answers:
            return answers[-1]
        if not data:
            return None
    return None
