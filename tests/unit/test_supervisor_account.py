"""What the journal is told of a service's states, and of who woke it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from wakeport.lease import ASLEEP, AWAKE, DOZING, FAILED, STOPPING, WAKING
from wakeport.loop import Loop, now
from wakeport.runtimes.cgroup import Usage
from wakeport.runtimes.container import Container
from wakeport.supervisor import account
from wakeport.supervisor.account import Account
from wakeport.supervisor.leases import Holder, Leases

STAGES = {"called": 0.02, "running": 0.2, "ready": 0.25}


class Book:
    """An account with what it has written, and lease holders that come, speak and go."""

    def __init__(self, before: str = ASLEEP) -> None:
        self.loop = Loop()
        self.written: list[dict[str, str]] = []
        self.leases = Leases(self.loop, socket.socket(socket.AF_UNIX), lambda: None)
        self.account = Account(self.loop, "web", self.leases, before, self._write)

    def _write(self, fields: Mapping[str, str]) -> None:
        self.written.append(dict(fields))

    @property
    def states(self) -> list[str]:
        return [entry["WAKEPORT_STATE"] for entry in self.written]

    @property
    def who(self) -> Any:
        return json.loads(self.written[-1]["WAKEPORT_WHO"])

    def comes(self, **said: Any) -> Holder:
        holder = Holder(socket.socket(socket.AF_UNIX))
        self.leases.holders[holder.connection.fileno()] = holder
        self.says(holder, **said)
        return holder

    def says(self, holder: Holder, **said: Any) -> None:
        holder.hear(said)
        self.account.leases_changed()

    def goes(self, holder: Holder) -> None:
        del self.leases.holders[holder.connection.fileno()]
        holder.connection.close()
        self.account.leases_changed()

    def wakes(self, woken: bool = True) -> None:
        self.account.awake(Container(), woken, now() - 0.25, now(), STAGES)

    def close(self) -> None:
        for holder in list(self.leases.holders.values()):
            holder.connection.close()
        self.leases.listener.close()
        self.loop.close()


@pytest.fixture
def book() -> Iterator[Book]:
    book = Book()
    yield book
    book.close()


def test_each_change_of_state_is_written_once(book: Book) -> None:
    book.comes(who="proxy", use=["10.0.0.7:1"])
    for _ in range(3):
        book.account.enter(WAKING, now())
    book.wakes()
    book.account.enter(STOPPING)
    book.account.enter(STOPPING)
    book.account.enter(ASLEEP)
    assert book.states == [WAKING, AWAKE, STOPPING, ASLEEP]
    assert {entry["MESSAGE_ID"] for entry in book.written} == {account.MESSAGE_ID}
    assert {entry["WAKEPORT_SERVICE"] for entry in book.written} == {"web"}


@pytest.mark.parametrize(
    ("before", "told", "written"),
    [
        (FAILED, FAILED, []),  # a successor that answers from memory until the back-off is over
        (STOPPING, STOPPING, []),  # one that sees a stop through
        (WAKING, WAKING, [WAKING]),  # its predecessor crashed: this is another wake
        (AWAKE, WAKING, [WAKING]),
        ("", ASLEEP, [ASLEEP]),
    ],
)
def test_a_successor_does_not_repeat_what_its_predecessor_said(
    before: str, told: str, written: list[str]
) -> None:
    book = Book(before)
    book.account.enter(told)
    book.account.enter(told)
    assert book.states == written
    book.close()


def test_a_wake_is_told_with_its_stages_and_its_client(book: Book) -> None:
    book.account.enter(WAKING)
    book.comes(who="proxy", use=["10.0.0.7:1", "10.0.0.8:1"])
    book.wakes()
    assert book.who == ["10.0.0.7:1", "10.0.0.8:1"]
    assert json.loads(book.written[-1]["WAKEPORT_STAGES"]) == STAGES
    assert book.written[-1]["WAKEPORT_FROM"] == ASLEEP
    assert book.written[-1]["MESSAGE"] == "web is awake after 0.250 s, for 10.0.0.7:1"


def test_who_woke_it_is_told_although_they_left(book: Book) -> None:
    book.account.enter(WAKING)
    proxy = book.comes(who="proxy", use=["10.0.0.7:1"])
    book.says(proxy, use=["10.0.0.8:1"])
    book.wakes()
    assert book.who == ["10.0.0.7:1", "10.0.0.8:1"]


def test_a_wake_waits_a_moment_for_the_name_of_its_client(book: Book) -> None:
    """A thaw is over before the proxy, which starts at the same time, has said for whom it was."""
    book.account.enter(WAKING)
    book.wakes()
    holder = book.comes()
    assert book.states == [WAKING]
    book.says(holder, who="proxy", use=["10.0.0.7:1"])
    assert book.states == [WAKING, AWAKE]
    assert book.who == ["10.0.0.7:1"]


@pytest.mark.parametrize(("holders", "who"), [(0, []), (1, ["unknown"])], ids=["nobody", "nameless"])
def test_a_wake_for_nobody_who_has_a_name_is_told_before_what_follows(
    book: Book, holders: int, who: list[str]
) -> None:
    book.account.enter(WAKING)
    for _ in range(holders):
        book.comes()
    book.wakes()
    book.account.enter(STOPPING)
    assert book.states == [WAKING, AWAKE, STOPPING]
    assert json.loads(book.written[1]["WAKEPORT_WHO"]) == who


def test_a_wake_for_nobody_who_has_a_name_is_told_after_a_while(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "NAMED_WITHIN", 0.01)
    book.wakes()
    while not book.written:
        book.loop.run(book.loop.sleep(0.01))
    assert book.states == [AWAKE]


def test_who_held_it_the_last_time_did_not_wake_it_this_time(book: Book) -> None:
    book.account.enter(WAKING)
    proxy = book.comes(who="proxy", use=["10.0.0.7:1"])
    book.wakes()
    book.says(proxy, busy=False)
    book.account.enter(DOZING)
    book.says(proxy, busy=True, use=["10.0.0.9:1"])
    book.wakes()
    assert book.written[-1]["WAKEPORT_FROM"] == DOZING
    assert book.who == ["10.0.0.9:1"]


def test_a_container_that_ran_already_was_not_woken(book: Book) -> None:
    book.comes(who="wakeport wake")
    book.account.enter(WAKING)
    book.wakes(woken=False)
    assert book.written[-1]["WAKEPORT_FROM"] == AWAKE


def test_what_it_used_while_nobody_needed_it(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    used = [5.0]
    monkeypatch.setattr(account, "cpu_seconds", lambda _pid, **_: used[0])
    monkeypatch.setattr(account, "usage", lambda _pid, **_: Usage(used[0], 1_000_000))
    proxy = book.comes(who="proxy", use=["10.0.0.7:1"])
    book.wakes()
    used[0] = 7.0
    book.says(proxy, busy=False)
    used[0] = 7.5
    book.account.enter(STOPPING)
    stop = book.written[-1]
    assert stop["WAKEPORT_MEMORY"] == "1000000"
    assert float(stop["WAKEPORT_QUIET_CPU"]) == 0.5
    assert float(stop["WAKEPORT_QUIET"]) >= 0


@pytest.mark.parametrize("used", [None, Usage(None, None)])
def test_what_cannot_be_measured_is_left_out(
    book: Book, monkeypatch: pytest.MonkeyPatch, used: Usage | None
) -> None:
    monkeypatch.setattr(account, "usage", lambda _pid, **_: used)
    book.wakes()
    book.account.enter(STOPPING)
    assert not {"WAKEPORT_MEMORY", "WAKEPORT_QUIET", "WAKEPORT_QUIET_CPU"} & book.written[-1].keys()
    assert book.states == [AWAKE, STOPPING]


def test_a_busy_container_has_no_quiet_time(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "usage", lambda _pid, **_: Usage(1.0, 1000))
    book.comes(who="proxy", use=["10.0.0.7:1"])
    book.wakes()
    book.account.enter(STOPPING)
    assert book.written[-1]["WAKEPORT_MEMORY"] == "1000"
    assert "WAKEPORT_QUIET" not in book.written[-1]


def test_a_failure_is_told_with_its_reason(book: Book) -> None:
    book.account.enter(WAKING)
    book.account.enter(FAILED, reason="it exited with 1")
    assert book.written[-1]["WAKEPORT_REASON"] == "it exited with 1"
    assert book.written[-1]["MESSAGE"] == "web failed: it exited with 1"


def test_what_it_used_at_work_or_while_it_was_kept_is_not_what_it_uses_for_nobody(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its sleep would seem to have saved all that."""
    used = [5.0]
    monkeypatch.setattr(account, "cpu_seconds", lambda _pid, **_: used[0])
    monkeypatch.setattr(account, "usage", lambda _pid, **_: Usage(used[0], 1_000_000))
    book.wakes()
    used[0] = 100.0
    book.account.leases_changed(needed=True)
    book.account.leases_changed()
    used[0] = 100.5
    book.account.enter(STOPPING)
    assert float(book.written[-1]["WAKEPORT_QUIET_CPU"]) == 0.5
