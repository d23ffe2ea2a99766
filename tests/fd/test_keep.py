"""A keep said on a real lease socket: heard, answered, remembered, ended; and what says it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.zone import zone
from wakeport.keep.word import say
from wakeport.loop import Loop
from wakeport.supervisor import keep as module
from wakeport.supervisor.keep import Keep
from wakeport.supervisor.leases import Leases

# Of the loop, for all that is due: who came in one turn is heard in the next, however late that is.
TURNS = 10

ENTRY = "import sys; sys.argv[0] = 'keeper.py'; from wakeport.keep.main import main; main()"


class Supervisor:
    """The part of one that hears of keeps, in this thread: `turn` lets it do what is due."""

    def __init__(self, directory: Path) -> None:
        self.loop = Loop()
        self.directory = directory
        self.path = str(directory / "lease")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen(100)
        self.changes = 0
        self.leases = Leases(self.loop, listener, lambda: None)
        self.keep = Keep(self.loop, str(directory), self._changed)
        self.leases.on_keep = self.keep.hear
        self.leases.announce({"state": "awake", "targets": {}})

    def _changed(self) -> None:
        self.changes += 1

    def turn(self) -> None:
        for _ in range(TURNS):
            self.loop.run(self.loop.sleep(0.002))

    def turns_until(self, holds: Callable[[], bool]) -> None:
        give_up = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < give_up
            self.turn()

    def while_it_serves(self, work: Any) -> Any:
        """The result of `work()`, which runs beside it."""
        results: list[Any] = []
        thread = threading.Thread(target=lambda: results.append(work()))
        thread.start()
        self.turns_until(lambda: not thread.is_alive())
        return results[0]

    def hears(self, who: str, until: object) -> object:
        """What it answers to a holder that says so and stays."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(self.path)
            client.sendall(json.dumps({"who": who, "keep_until": until}).encode() + b"\n")
            self.turn()
            *_, answer = client.recv(65536).splitlines()
        self.turn()
        message = json.loads(answer)
        assert message["state"] == "awake"
        return message["kept_until"]

    def close(self) -> None:
        self.leases.listener.close()
        self.loop.close()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path)
    yield made
    made.close()


def successor(supervisor: Supervisor) -> Keep:
    """What the next process finds."""
    return Keep(supervisor.loop, str(supervisor.directory), lambda: None)


def test_a_keep_is_heard_answered_and_outlives_its_lease_and_the_process(supervisor: Supervisor) -> None:
    until = time.time() + 3600.125
    assert supervisor.hears("wakeport keep", until) == until
    assert not supervisor.leases.busy
    assert (supervisor.keep.active, supervisor.keep.until, supervisor.changes) == (True, until, 1)
    assert successor(supervisor).until == until
    assert (supervisor.directory / "keep").stat().st_mode & 0o777 == 0o600


def test_for_ever_lasts_until_it_is_released(supervisor: Supervisor) -> None:
    assert supervisor.hears("wakeport keep", "infinity") == "infinity"
    assert supervisor.keep.facts == [{"by": "hand", "until": None}]
    assert successor(supervisor).until == float("inf")
    assert supervisor.hears("wakeport keep", None) is None
    assert not supervisor.keep.active
    assert not successor(supervisor).active
    assert supervisor.changes == 2


def test_a_moment_that_no_clock_shows_is_for_ever(supervisor: Supervisor) -> None:
    """`status` could not spell it, and failed."""
    for far in (1e15, 10**400):
        assert supervisor.keep.hear("wakeport keep", far) == "infinity"


def test_the_last_word_counts_and_the_later_end_of_both(supervisor: Supervisor) -> None:
    now = time.time()
    supervisor.hears("wakeport keep", now + 7200)
    assert supervisor.hears("wakeport keep", now + 600) == now + 600
    assert supervisor.hears("calendar", now + 3600) == now + 3600
    assert supervisor.keep.until == now + 3600
    assert supervisor.keep.facts == [
        {"by": "hand", "until": now + 600},
        {"by": "calendar", "until": now + 3600},
    ]


def test_a_person_s_release_ends_both_and_the_clock_s_only_its_own(supervisor: Supervisor) -> None:
    for who, left in (("calendar", ["hand"]), ("wakeport keep", [])):
        supervisor.hears("wakeport keep", "infinity")
        supervisor.hears("calendar", time.time() + 3600)
        assert supervisor.hears(who, None) is None
        assert [entry["by"] for entry in supervisor.keep.facts] == left
        assert [entry["by"] for entry in successor(supervisor).facts] == left


@pytest.mark.parametrize(
    "garbled", ["soon", "1e99", True, [], {}, float("nan"), float("inf"), -1, -(10**400), 0, "", "Infinity"]
)
def test_what_is_no_moment_ahead_changes_nothing(supervisor: Supervisor, garbled: object) -> None:
    assert supervisor.hears("wakeport keep", garbled) is None
    assert not supervisor.keep.active
    assert supervisor.changes == 0
    until = time.time() + 3600
    supervisor.hears("wakeport keep", until)
    assert supervisor.hears("wakeport keep", time.time() - 1) == until


@pytest.mark.parametrize(
    "text", ["", "hand", "hand soon\n", "hand 1 2\n", "hand nan\n", "hand 1\n", "\0\xff"]
)
def test_a_file_that_is_garbled_or_past_keeps_nothing(supervisor: Supervisor, text: str) -> None:
    (supervisor.directory / "keep").write_bytes(text.encode("latin-1"))
    assert not successor(supervisor).active


def test_its_end_is_told_when_it_comes(supervisor: Supervisor) -> None:
    until = time.time() + 2
    supervisor.hears("wakeport keep", until)
    supervisor.turns_until(lambda: supervisor.changes == 2)
    assert time.time() >= until
    assert not supervisor.keep.active
    assert not successor(supervisor).entries


def test_a_clock_that_is_set_is_read_again_before_long(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READ_CLOCK_EVERY", 0.05)
    supervisor.hears("wakeport keep", time.time() + 3600)
    now = time.time
    monkeypatch.setattr("time.time", lambda: now() + 7200)
    supervisor.turns_until(lambda: supervisor.changes == 2)
    assert supervisor.keep.entries == {}


def test_the_end_by_order_is_the_end_of_both(supervisor: Supervisor) -> None:
    supervisor.hears("wakeport keep", "infinity")
    supervisor.hears("calendar", time.time() + 3600)
    supervisor.keep.end()
    assert supervisor.keep.facts == []
    assert not successor(supervisor).active
    supervisor.keep.end()
    assert supervisor.changes == 3


# --- who says it ---


def test_who_says_it_hears_the_answer_and_hangs_up(supervisor: Supervisor) -> None:
    until = time.time() + 60
    answer = supervisor.while_it_serves(lambda: say(supervisor.path, "wakeport keep", until, 30))
    assert answer == {"state": "awake", "targets": {}, "kept_until": until}
    answer = supervisor.while_it_serves(lambda: say(supervisor.path, "wakeport keep", float("inf"), 30))
    assert answer["kept_until"] == "infinity"
    assert supervisor.while_it_serves(lambda: say(supervisor.path, "x", None, 30))["kept_until"] is None
    supervisor.turn()
    assert not supervisor.leases.holders


def test_it_is_said_again_to_a_successor(supervisor: Supervisor) -> None:
    """The first supervisor ends without an answer."""

    def hang_up() -> None:
        connection, _ = supervisor.leases.listener.accept()
        connection.close()
        supervisor.leases.open_door()

    supervisor.leases.close_door()
    supervisor.leases.listener.setblocking(True)
    first = threading.Thread(target=hang_up)
    first.start()
    teller = threading.Thread(target=lambda: say(supervisor.path, "wakeport keep", float("inf"), 60))
    teller.start()
    first.join()
    supervisor.leases.listener.setblocking(False)
    supervisor.turns_until(lambda: not teller.is_alive())
    assert supervisor.keep.until == float("inf")


def test_one_that_never_answers_is_given_up(supervisor: Supervisor) -> None:
    with pytest.raises(TimeoutError):
        say(supervisor.path, "wakeport keep", None, 0.1)


def test_where_nobody_listens_it_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        say(str(tmp_path / "lease"), "wakeport keep", None, 0.1)


def keeper(lease: str, *windows: str) -> subprocess.CompletedProcess[str]:
    words = [f"lease={lease}", "later=unknown", *(f"window={one}" for one in windows)]
    command = [sys.executable, "-c", ENTRY, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env={"TZ": "UTC"})


def test_the_timer_s_program_says_until_when_the_window_is_open(supervisor: Supervisor) -> None:
    with zone("UTC"):
        begin = time.time() - 3600
        end = int(begin) + 2 * 3600
        words = [time.strftime("%H:%M:%S", time.localtime(moment)) for moment in (begin, end)]
    ended = supervisor.while_it_serves(lambda: keeper(supervisor.path, "-".join(words)))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert supervisor.keep.facts == [{"by": "calendar", "until": float(end)}]


def test_outside_of_every_window_it_opens_no_lease(tmp_path: Path) -> None:
    tomorrow = time.strftime("%a", time.gmtime(time.time() + 2 * 86400))
    ended = keeper(str(tmp_path / "nowhere"), f"{tomorrow} 10:00-11:00")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_garbled_words_are_the_unit_s_fault() -> None:
    ended = keeper("/run/x", "whenever")
    assert ended.returncode == 1
    assert "wakeport apply" in ended.stderr
