"""What a supervisor leaves for its successor: whose container it is, and when it may be tried again.

One small file of `key value` lines in /run, gone at a reboot like the container
itself. Imported before the start call: built-in modules only (json costs 6 ms, os 2).
"""

from __future__ import annotations

import posix
import time

WAKING, AWAKE, DOZING, STOPPING, ENDED, ASLEEP = "waking", "awake", "dozing", "stopping", "ended", "asleep"

FIRST_DELAY = 1.0  # seconds after the first failure; doubled at each further one
LAST_DELAY = 60.0  # seconds
FORGIVEN_AFTER = 10.0  # seconds awake until earlier failures no longer count
FOR_EVER = "9999"  # later than any time, as text
RESTART_WITHIN = 15  # seconds after its end in which a container that starts again is the same wake

FIELDS = (
    "phase",
    "container_id",
    "started_at",
    "asked",
    "until",
    "attempts",
    "not_before",
    "reason",
)


class Record:
    """`container_id` and `started_at` name the container that wakeport owns; empty where it owns none.

    `asked` and `until` bound the time (RFC 3339, UTC) in which a start counts
    as wakeport's own though no answer was seen. `not_before` is on the
    monotonic clock.
    """

    def __init__(self, directory: str) -> None:
        self.path = directory + "/record"
        self.phase = ASLEEP
        self.container_id = ""
        self.started_at = ""
        self.asked = ""
        self.until = ""
        self.attempts = 0
        self.not_before = 0.0
        self.reason = ""
        self._load()

    def _load(self) -> None:
        try:
            fd = posix.open(self.path, posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError:
            return
        try:
            text = posix.read(fd, 65536).decode(errors="replace")
        finally:
            posix.close(fd)
        for line in text.splitlines():
            key, _, value = line.partition(" ")
            if key in FIELDS:
                try:
                    setattr(self, key, type(getattr(self, key))(value))
                except ValueError:
                    continue

    def _save(self) -> None:
        text = "".join(f"{key} {getattr(self, key)}\n" for key in FIELDS)
        fresh = self.path + ".new"
        fd = posix.open(fresh, posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_CLOEXEC, 0o600)
        try:
            posix.write(fd, text.encode())
        finally:
            posix.close(fd)
        posix.rename(fresh, self.path)

    def wait_left(self) -> float:
        """Seconds until the next attempt may be made; 0 or less where it may be made now."""
        return self.not_before - time.monotonic()

    def intend(self) -> None:
        """Before the start call: from now on a start counts as ours, also if this process dies at once."""
        now = _stamp()
        if not self.asked or now > self.until:
            self.asked = now
        self.until = FOR_EVER
        if self.phase not in (AWAKE, DOZING):
            self.phase = WAKING
        self._save()

    def claims(self, container_id: str, started_at: str) -> bool:
        """Whether a container that was found running is one that wakeport started."""
        if self.phase == ASLEEP:
            return False
        return (container_id, started_at) == (self.container_id, self.started_at) or (
            self.asked != "" and self.asked <= started_at <= self.until
        )

    def own(self, container_id: str, started_at: str) -> None:
        self.phase, self.container_id, self.started_at = AWAKE, container_id, started_at
        self.asked = self.until = ""
        self._save()

    def dozing(self) -> None:
        """Before the freeze call: to a successor that call may still be on its way."""
        self.phase = DOZING
        self._save()

    def disown(self) -> None:
        """What runs was started by a person."""
        self.phase, self.container_id, self.started_at = ASLEEP, "", ""
        self.asked = self.until = ""
        self._save()

    def stopping(self) -> None:
        """Before the stop call: a successor has to see it through before it starts anything."""
        if self.phase == WAKING:
            self.container_id = self.started_at = ""  # of an earlier wake; this one's is not known yet
        self.phase = STOPPING
        self._save()

    def ended(self) -> None:
        """The container ended by itself; who starts it within moments restarts it, and it stays ours.

        Every start behind the one that we know counts: it may run again before its end was seen.
        """
        self.phase, self.asked, self.until = ENDED, self.started_at or _stamp(), _stamp(RESTART_WITHIN)
        self._save()

    def asleep(self) -> None:
        """The id stays: a container recreated under the name is known by its predecessor's absence."""
        self.phase = ASLEEP
        self.asked = self.until = ""
        self._save()

    def fail(self, reason: str) -> float:
        """Count a failure; the seconds until the next attempt may be made."""
        delay = min(LAST_DELAY, FIRST_DELAY * 2.0 ** min(self.attempts, 30))
        self.attempts += 1
        self.not_before = time.monotonic() + delay
        self.reason = " ".join(reason.split())
        self._save()
        return delay

    def forgive(self) -> None:
        if self.attempts:
            self.attempts, self.not_before, self.reason = 0, 0.0, ""
            self._save()


def _stamp(later: float = 0.0) -> str:
    """Now, as the Engine writes times, so that both can be compared as text."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds + later)) + f".{nanoseconds:09d}"
