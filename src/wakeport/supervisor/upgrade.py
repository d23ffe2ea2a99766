"""How a supervisor becomes its own newer version: exec, with the container and the leases kept.

SIGHUP asks for it. The installer writes the new command line to `next` in the
state directory first; without it the supervisor executes its own again.
"""

from __future__ import annotations

import os
import sys

from wakeport.supervisor.options import HANDED_OVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from wakeport.supervisor.leases import Holder


class Handover:
    """What the older self knows and the newer one cannot find out."""

    def __init__(
        self,
        awake_since: float,
        quiet_since: float | None,
        idle_since: float | None,
        frozen: bool,
        heard_until: float,
        output: dict[str, Any],
        holders: Iterable[Holder],
        needs: list[dict[str, Any]],
        bypass: list[str],
    ) -> None:
        self.awake_since = awake_since  # monotonic, as are the next two
        self.quiet_since = quiet_since  # None while it is in use
        self.idle_since = idle_since  # None while it is in use, or to be
        self.frozen = frozen
        self.heard_until = heard_until  # epoch; the output up to then has been copied, or is in the stream
        self.output = output  # the stream of it, as the runtime has it; empty where there is none
        self.holders = list(holders)
        self.needs = needs  # as Needs.facts() has them
        self.bypass = bypass  # as Options has it, where somebody is connected past the proxy


def exec_successor(directory: str, lease_fd: int, handover: Handover) -> str:
    """Become the newer version. Returns only where that failed: the reason."""
    import json

    command = _next_command(directory)
    leases = [holder.connection.fileno() for holder in handover.holders]
    kept = [lease_fd, *leases, *_fds(handover.needs), *_fds([handover.output])]
    for fd in kept:
        os.set_inheritable(fd, True)
    facts = {
        "awake_since": handover.awake_since,
        "quiet_since": handover.quiet_since,
        "idle_since": handover.idle_since,
        "frozen": handover.frozen,
        "heard_until": handover.heard_until,
        "output": handover.output,
        "holders": [{"fd": holder.connection.fileno(), **holder.facts()} for holder in handover.holders],
        "needs": handover.needs,
        "bypass": handover.bypass,
    }
    # A file in memory and not the environment itself: one variable holds 128 KiB at most (execve(2)).
    memory = os.memfd_create("wakeport-handover", 0)
    with open(memory, "w", encoding="utf-8", closefd=False) as file:
        json.dump(facts, file)
    environment = {
        **os.environ,
        HANDED_OVER: str(memory),
        "LISTEN_PID": str(os.getpid()),
        "LISTEN_FDS": "1",
    }
    try:
        os.execve(command[0], command, environment)
    except OSError as error:
        os.close(memory)
        for fd in kept:
            os.set_inheritable(fd, False)
        return f"{command[0]}: {error.strerror}"


def forget_next(directory: str) -> None:
    """What an installer said to a predecessor that ended before it could hear it is out of date."""
    try:
        os.unlink(directory + "/next")
    except OSError:
        return


def take_over() -> Handover | None:
    """What our older self handed over; None where there was none."""
    number = os.environ.pop(HANDED_OVER, "")
    if not number:
        return None
    import json
    import socket

    from wakeport.supervisor.leases import Holder

    memory = int(number)
    os.lseek(memory, 0, os.SEEK_SET)
    with open(memory, encoding="utf-8") as file:
        facts = json.load(file)
    holders = []
    for entry in facts["holders"]:
        os.set_inheritable(entry["fd"], False)
        holder = Holder(socket.socket(fileno=entry["fd"]))
        holder.hear(entry)
        holder.since = entry["since"]
        holders.append(holder)
    # An older version knew of no needs, and let go of the output.
    needs, output = facts.get("needs", []), facts.get("output", {})
    for fd in (*_fds(needs), *_fds([output])):
        os.set_inheritable(fd, False)
    idle_since = facts["idle_since"]
    # A version that knew no doze says nothing of it.
    return Handover(
        facts["awake_since"],
        facts.get("quiet_since", idle_since),
        idle_since,
        facts.get("frozen", False),
        facts["heard_until"],
        output,
        holders,
        needs,
        facts.get("bypass", []),
    )


def _fds(handed_over: Iterable[dict[str, Any]]) -> list[int]:
    return [facts["fd"] for facts in handed_over if facts.get("fd") is not None]


def _next_command(directory: str) -> list[str]:
    """What to execute; takes the installer's word out of the way, so that it counts once."""
    import json

    path = directory + "/next"
    try:
        with open(path, encoding="utf-8") as file:
            command = json.load(file)
        os.unlink(path)
    except (OSError, ValueError):
        command = None
    if isinstance(command, list) and command and all(isinstance(word, str) for word in command):
        return command
    return [sys.executable, *sys.orig_argv[1:]]
