"""The one door to journalctl: entries with their fields, and the boots that the journal knows."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from wakeport.errors import NoRights, OutOfReach, Problem
from wakeport.history import Boot

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")  # random(4)


def entries(
    matches: Sequence[str], fields: Sequence[str], options: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """What fits all `matches` (journalctl(1)), oldest first, with those of `fields` that it has.

    `options` say whose journal it is.

    Raises OutOfReach, NoRights, or Problem with journalctl's own words.
    """
    return _parsed(_ask(*options, "--output=json", f"--output-fields={','.join(fields)}", "--", *matches))


def boots(known: Sequence[str]) -> list[Boot]:
    """The boots of this machine in their order, from the oldest of those `known` on; now is in the last."""
    here = BOOT_ID.read_text().strip().replace("-", "")
    earlier: list[str] = []
    if any(boot != here for boot in known):
        listed = re.findall(r"(?m)^ *-?[0-9]+ ([0-9a-f]{32}) ", _ask("--list-boots"))
        oldest = min((listed.index(boot) for boot in known if boot in listed), default=len(listed))
        earlier = [boot for boot in listed[oldest:] if boot != here]
    moment = time.clock_gettime(time.CLOCK_MONOTONIC)
    return [
        *(boot for boot in map(_earlier, earlier) if boot is not None),
        Boot(here, time.time() - moment, moment),
    ]


def _earlier(boot: str) -> Boot | None:
    """A boot that is over: when it began, and for how long it wrote to the journal."""
    last = _ask("--output=json", "--output-fields=MESSAGE_ID", "--lines=1", "--", f"_BOOT_ID={boot}")
    for entry in _parsed(last):
        seconds = int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6
        return Boot(boot, int(entry["__REALTIME_TIMESTAMP"]) / 1e6 - seconds, seconds)
    return None


def _parsed(lines: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines() if line]


def _ask(*arguments: str) -> str:
    command = ["journalctl", "--no-pager", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except FileNotFoundError:
        raise OutOfReach("this machine has no journalctl", "apt install systemd") from None
    # It goes on with what is left, which may be nothing, and exits 0.
    if "insufficient permissions" in done.stderr or "not seeing messages" in done.stderr:
        raise NoRights("the journal is closed to you", "run it as root, or join the group systemd-journal")
    if done.returncode != 0 and done.stderr.strip():
        said = " ".join(done.stderr.split())
        raise Problem(f"journalctl: {said}", "journalctl --verify looks for damage")
    return done.stdout
