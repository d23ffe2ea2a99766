"""What systemd says of a unit, reduced to what a wake and a check need. Pure."""

from __future__ import annotations

import time

from wakeport.runtimes.cgroup import SERVICE
from wakeport.runtimes.container import Container
from wakeport.runtimes.problems import Missing, Refused
from wakeport.runtimes.systemd.begin import OURS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

UNIT, OF_SERVICE = "org.freedesktop.systemd1.Unit", "org.freedesktop.systemd1.Service"

# man 5 org.freedesktop.systemd1, "Properties" of a unit and of a service
WANTED: dict[str, tuple[str, ...]] = {
    UNIT: (
        *("LoadState", "LoadError", "ActiveState", "SubState", "FreezerState", "InactiveExitTimestamp"),
        *("UnitFileState", "TriggeredBy"),
    ),
    OF_SERVICE: (
        *("MainPID", "ExecMainCode", "ExecMainStatus", "Result", "Restart", "TimeoutStopUSec"),
        *("PrivateNetwork", "NetworkNamespacePath", "KillMode", "KillSignal", "ExecStop"),
    ),
}

_RUNS = ("active", "reloading", "activating", "deactivating")
_AWAITS_RESTART = "auto-restart"
_FOR_EVER = 2**64 - 1  # microseconds; systemd's "infinity"
HOUR = 3600

_PLAIN = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

# waitid(2): how a process ended
EXITED, KILLED_BY_SIGNAL, DUMPED = 1, 2, 3


class Unit(Container):
    group = SERVICE

    def __init__(self, name: str, found: Mapping[str, Any]) -> None:
        self.id = self.name = name
        self.unit = name
        self.state: str = found["ActiveState"]
        self.restarting = found["SubState"] == _AWAITS_RESTART
        self.running = self.state in _RUNS and not self.restarting
        self.paused = found["FreezerState"] in ("frozen", "freezing")
        self.restarts_itself = found["Restart"] != "no"
        self.main_pid: int = found["MainPID"]
        self.pid = self.main_pid
        self.started_at = stamp(found["InactiveExitTimestamp"])
        self.exit_code = found["ExecMainStatus"]
        self.error = _error(found)
        self.stop_timeout = seconds(found["TimeoutStopUSec"])
        self.private_network: bool = found["PrivateNetwork"]
        self.on_host_network = not (self.private_network or found["NetworkNamespacePath"])
        self.kill_signal: int = found["KillSignal"]
        self.kills_all = found["KillMode"] == "control-group"
        # It is told to end by that, and not by a signal.
        self.has_stop_command = bool(found["ExecStop"])
        # It was handed the sockets of a service of wakeport's, and accepts its clients itself.
        self.accepts = any(one.startswith(OURS) for one in found["TriggeredBy"])
        if found["UnitFileState"] in ("enabled", "enabled-runtime"):
            self.starts_at_boot = "it is enabled"


def loaded(name: str, found: Mapping[str, Any]) -> Unit:
    """Raises Missing where there is no such unit, Refused where systemd cannot start it."""
    state = found["LoadState"]
    if state == "not-found":
        raise Missing(f"there is no unit {name}")
    if state != "loaded":
        raise Refused(f"unit {name} is {state}: {found['LoadError'][1]}".rstrip(": "))
    return Unit(name, found)


def stamp(microseconds: int) -> str:
    """A time of systemd's (since 1970) as Container.started_at has it."""
    whole, rest = divmod(microseconds, 1_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{rest:06d}000"


def seconds(microseconds: int) -> int:
    """A timeout of systemd's, rounded up; for ever is an hour here."""
    return HOUR if microseconds == _FOR_EVER else -(-microseconds // 1_000_000)


def _error(found: Mapping[str, Any]) -> str:
    result: str = found["Result"]
    if result in ("success", "exit-code"):
        return ""
    if result in ("signal", "core-dump"):
        return f"killed by signal {found['ExecMainStatus']}"
    return f"systemd says {result}"


def object_path(unit: str) -> str:
    """Where systemd keeps a unit: what is no letter or digit as _ and its hex code, as sd-bus does."""
    escaped = [chr(byte) if chr(byte) in _PLAIN else f"_{byte:02x}" for byte in unit.encode()]
    if unit[0].isdigit():
        escaped[0] = f"_{ord(unit[0]):02x}"
    return f"/org/freedesktop/systemd1/unit/{''.join(escaped)}"
