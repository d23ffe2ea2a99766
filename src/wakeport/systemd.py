"""The one door to systemctl and systemd-analyze."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from wakeport.errors import BadInput, NoRights, OutOfReach, Problem
from wakeport.scope import SYSTEM, Scope

Properties = dict[str, str]

NOT_LOADED = 5  # systemctl's exit code for a unit that is not there, LSB


class Systemd:
    """One of its managers. Its methods raise OutOfReach, NoRights, or Problem with systemctl's own words."""

    def __init__(self, scope: Scope = SYSTEM) -> None:
        self.scope = scope

    def reload(self) -> None:
        self._do("daemon-reload")

    def start(self, *units: str) -> None:
        self._do("start", *units)

    def stop(self, *units: str) -> None:
        """Stop and wait until stopped; a unit that is not loaded counts as stopped."""
        self._do("stop", *units, known={NOT_LOADED})

    def begin(self, *units: str) -> None:
        """Start, and do not wait for what comes of it."""
        self._do("start", "--no-block", *units)

    def restart_running(self, *units: str) -> None:
        """Restart those that run, and wait until they do again; others stay as they are."""
        self._do("try-restart", *units)

    def enable(self, *units: str) -> None:
        self._do("enable", "--quiet", *units)

    def disable(self, *units: str) -> None:
        self._do("disable", "--quiet", *units)

    def hang_up(self, unit: str) -> None:
        """SIGHUP to the main process. (--kill-who is --kill-whom since 252, which still takes both.)"""
        self._do("kill", "--signal=HUP", "--kill-who=main", unit)

    def forget_failures(self, *units: str) -> None:
        self._do("reset-failed", *units)

    def show(self, units: Sequence[str], properties: Sequence[str]) -> dict[str, Properties]:
        """The `properties` of each unit by its name, in one call however many units there are."""
        if not units:
            return {}
        text = self._do("show", f"--property=Id,{','.join(properties)}", "--", *units)
        blocks = [_properties(block) for block in text.split("\n\n") if block.strip()]
        return {block["Id"]: block for block in blocks}

    def runs(self, unit: str) -> bool:
        """Whether it has a process."""
        return self.show([unit], ["MainPID"]).get(unit, {}).get("MainPID", "0") != "0"

    def version(self) -> int:
        """As in `systemctl --version`: "systemd 252 (252.38-1~deb12u1)"."""
        found = re.match(r"systemd ([0-9]+)", self._do("--version"))
        return int(found[1]) if found else 0

    def _do(self, verb: str, *arguments: str, known: AbstractSet[int] = frozenset()) -> str:
        command = ["systemctl", *self.scope.options, "--no-ask-password", "--no-pager", verb, *arguments]
        environment = os.environ | self.scope.environment
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", check=False, env=environment
            )
        except FileNotFoundError:
            raise OutOfReach("this machine has no systemctl", "wakeport needs systemd 249 or newer") from None
        if done.returncode == 0 or done.returncode in known:
            return done.stdout
        # "See systemctl status ... for details": our own hint says where.
        said = (
            " ".join(done.stderr.split()).partition(" See ")[0]
            or f"systemctl {verb} ended with {done.returncode}"
        )
        if "not been booted with systemd" in said or "Failed to connect to bus" in said:
            raise OutOfReach(*self.scope.away)
        if "Access denied" in said or "authentication required" in said.lower():
            raise NoRights(f"systemd refuses: {said}", "run it as root, with sudo")
        raise Problem(f"systemctl {verb} {' '.join(arguments)}: {said}", "journalctl -xe tells why")


def moment(text: str) -> float:
    """A point in time as systemd.time(7) writes it ("yesterday", "-2h"), in seconds since 1970.

    Raises BadInput and OutOfReach.
    """
    try:
        done = subprocess.run(
            ["systemd-analyze", "timestamp", "--", text], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise OutOfReach(
            "this machine has no systemd-analyze", "wakeport needs systemd 249 or newer"
        ) from None
    found = re.search(r"UNIX seconds: @([0-9]+(?:\.[0-9]+)?)", done.stdout)
    if done.returncode != 0 or found is None:
        raise BadInput(
            f"{text!r} is no point in time",
            'write it as systemd does: "yesterday", "2026-11-26 14:00", "-2h"',
        )
    return float(found[1])


def _properties(block: str) -> Properties:
    pairs = (line.partition("=") for line in block.splitlines())
    return {key: value for key, _, value in pairs}
