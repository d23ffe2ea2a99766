"""Leases on other services, against real lease sockets on which the test plays the supervisors."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fd.conftest import PATIENCE, Holder, LeaseSocket
from wakeport import lease_holder
from wakeport.loop import Loop, now
from wakeport.supervisor import needs
from wakeport.supervisor.asking import ask
from wakeport.supervisor.leases import Holder as OurHolder
from wakeport.supervisor.needs import Needs, NotAwake

A_WHILE = 0.3  # seconds in which what must not happen would have happened, with the delays set below


class Others:
    """Services `db` and `cache`, and the needs of a service `app`, all in one thread."""

    def __init__(self, folder: Path) -> None:
        self.loop = Loop()
        self.folder = folder
        self.leases = [LeaseSocket(str(folder / f"{name}.lease")) for name in ("db", "cache")]
        self.waits: list[str] = []
        self.open: list[Needs] = []

    @property
    def paths(self) -> list[str]:
        return [lease.path for lease in self.leases]

    def needs(self, *paths: str, early: bool = False) -> Needs:
        wanted = list(paths or self.paths)
        asked = ask(wanted) if early else {}
        self.open.append(Needs(self.loop, "app", wanted, asked, self.waits.append))
        return self.open[-1]

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.loop.run(self._within(work))

    async def _within(self, work: Coroutine[Any, Any, None]) -> None:
        await self.loop.within(PATIENCE, work)

    async def passes(self, seconds: float = 0.02) -> None:
        """The loop hears what the test has said, however late it turns."""
        for _ in range(10):
            await self.loop.sleep(seconds / 10)

    async def accept(self, index: int) -> Holder:
        """A connection to a lease, from whoever dares."""
        await self.loop.readable(self.leases[index].listener.fileno())
        return self.leases[index].accept()

    async def awake(self, one: Needs) -> list[Holder]:
        """All that it needs are awake, and it knows."""
        waiting = self.loop.spawn(one.ready())
        holders = [await self.accept(index) for index in range(len(self.leases))]
        for holder in holders:
            holder.tell("awake", targets={})
        await waiting
        return holders

    def close(self) -> None:
        for one in self.open:
            for need in one.needs:
                need.holder.drop()
        self.run(self.passes())
        for lease in self.leases:
            lease.close()
        self.loop.close()


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Others]:
    monkeypatch.setattr(lease_holder, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(lease_holder, "LONGEST_DELAY", 0.05)
    others = Others(tmp_path)
    yield others
    others.close()


def test_ready_when_the_last_one_is_awake(others: Others) -> None:
    async def scene() -> None:
        one = others.needs()
        waiting = others.loop.spawn(one.ready())
        db, cache = await others.accept(0), await others.accept(1)
        assert db.hear() == {"who": "service app", "use": [], "last": []}
        db.tell("waking", waits_for="the runtime to start it")
        await others.passes()
        assert others.waits[-1].startswith(
            "service db, which it needs and which waits for the runtime to start it; service cache, which"
        )
        db.tell("awake", targets={})
        await others.passes()
        assert others.waits[-1] == "service cache, which it needs"
        assert not waiting.done
        cache.tell("dozing")
        await others.passes()
        assert not waiting.done
        cache.tell("awake", targets={})
        await waiting

    others.run(scene())


def test_asked_before_anything_was_imported_is_asked_once(others: Others) -> None:
    async def scene() -> None:
        one = others.needs(early=True)
        for lease in others.leases:
            lease.accept().tell("awake", targets={})
        await one.ready()
        assert all(lease.nobody_asks(0) for lease in others.leases)
        for lease in others.leases:
            assert lease.holders[0].hear() == {"who": "service app", "use": [], "last": []}

    others.run(scene())


def test_the_first_that_fails_gives_the_reason(others: Others) -> None:
    async def scene() -> None:
        one = others.needs()
        waiting = others.loop.spawn(one.ready())
        (await others.accept(1)).tell("failed", reason="it exited with 3", retry_after=5)
        with pytest.raises(NotAwake, match="service cache, which it needs: it exited with 3"):
            await waiting

    others.run(scene())


def test_a_service_that_is_not_there_is_no_reason_to_wait(others: Others) -> None:
    async def scene() -> None:
        gone = str(others.folder / "gone.lease")
        with pytest.raises(NotAwake, match=f"service gone, which it needs: nobody listens .* {gone}"):
            await others.needs(gone, early=True).ready()

    others.run(scene())


def test_silence_has_an_end(others: Others, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "WORD_WITHIN", 0.1)

    async def scene() -> None:
        with pytest.raises(NotAwake, match="service db, which it needs: no supervisor answered"):
            await others.needs(others.paths[0]).ready()

    others.run(scene())


def test_a_supervisor_that_works_is_waited_for(others: Others, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "WORD_WITHIN", 1.0)

    async def scene() -> None:
        waiting = others.loop.spawn(others.needs(others.paths[0]).ready())
        db = await others.accept(0)
        db.tell("waking")
        await others.passes(1.2)
        assert not waiting.done
        db.tell("awake", targets={})
        await waiting

    others.run(scene())


def test_a_lease_that_breaks_is_asked_for_at_once(others: Others) -> None:
    async def scene() -> None:
        one = others.needs()
        db, _ = await others.awake(one)
        db.close()
        successor = await others.accept(0)
        assert successor.hear() == {"who": "service app", "use": [], "last": []}
        await others.passes(A_WHILE)
        assert others.leases[1].nobody_asks(0)

    others.run(scene())


def test_a_supervisor_that_ends_without_a_word_is_not_asked_without_pause(
    others: Others, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_holder, "FIRST_DELAY", 0.05)
    monkeypatch.setattr(lease_holder, "LONGEST_DELAY", 10.0)

    async def scene() -> None:
        one = others.needs(others.paths[0])
        others.loop.spawn(one.ready())
        until, asked = now() + A_WHILE, 0
        while now() < until:
            await others.passes(0.002)
            if not others.leases[0].nobody_asks(0):
                others.leases[0].accept().close()
                asked += 1
        assert 1 <= asked <= 6  # at 0, 0.05, 0.15 and 0.35 s; without a pause in each turn of the loop
        (await others.accept(0)).tell("awake", targets={})
        await one.ready()

    others.run(scene())


def test_one_that_is_stopped_is_left_alone_until_somebody_comes(others: Others) -> None:
    ours, theirs = socket.socketpair()

    async def scene() -> None:
        one = others.needs()
        db, _ = await others.awake(one)
        client = OurHolder(ours)
        client.use = ["10.0.0.1:1"]
        one.consider([client])
        db.tell("stopping")
        await others.passes()
        db.close()
        await others.passes(A_WHILE)
        assert others.leases[0].nobody_asks(0)
        one.consider([client])
        client.use = []
        one.consider([client])
        assert others.leases[0].nobody_asks(0), "who goes or stays has not come"
        client.use = ["10.0.0.1:2"]
        one.consider([client])
        (await others.accept(0)).tell("awake", targets={})
        await others.passes()
        one.consider([client])
        await others.passes(A_WHILE)
        assert others.leases[0].nobody_asks(0)

    with ours, theirs:
        others.run(scene())


def test_one_that_stops_while_we_wake_is_waited_for_and_asked_again(
    others: Others, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "WORD_WITHIN", 1.0)

    async def scene() -> None:
        waiting = others.loop.spawn(others.needs(others.paths[0]).ready())
        db = await others.accept(0)
        db.tell("stopping")
        successor = await others.accept(0)
        await others.passes(1.2)  # a stop takes its time
        db.close()
        await others.passes()
        assert not waiting.done
        successor.tell("awake", targets={})
        await waiting

    others.run(scene())


def test_a_newer_self_goes_on_with_the_same_leases(others: Others) -> None:
    """As upgrade.py does it: facts through JSON, descriptors that stay open."""

    async def scene() -> None:
        older = others.needs()
        db, cache = await others.awake(older)
        cache.tell("stopping")
        db.sock.sendall(b'{"state":')
        await others.passes()
        handed_over = json.loads(json.dumps(older.facts()))
        for entry in handed_over:
            entry["fd"] = os.dup(entry["fd"])
        newer = others.needs()
        newer.go_on(handed_over)
        for need in older.needs:
            need.holder.drop()
        await others.passes()
        db.sock.sendall(b'"waking"}\n')
        await others.passes(A_WHILE)
        assert all(lease.nobody_asks(0) for lease in others.leases), "not even the one that was stopped"
        assert newer.needs[0].holder.state == "waking"
        assert newer.needs[1].was_stopped

    others.run(scene())


def test_a_newer_self_asks_for_what_is_new_and_lets_go_of_what_is_not_needed(others: Others) -> None:
    async def scene() -> None:
        db_path, cache_path = others.paths
        older = others.needs(db_path)
        waiting = others.loop.spawn(older.ready())
        db = await others.accept(0)
        db.tell("awake", targets={})
        await waiting
        handed_over = older.facts()
        handed_over[0]["fd"] = os.dup(handed_over[0]["fd"])
        others.needs(cache_path).go_on(handed_over)
        for need in older.needs:
            need.holder.drop()
        await others.passes()
        db.hear_end()
        await others.accept(1)

    others.run(scene())


def test_whom_a_service_rests_on_is_told_so_after_more_than_one_crash(others: Others) -> None:
    """What rests must not be stopped, also where its supervisors end faster than they are asked again."""

    async def scene() -> None:
        one = others.needs(others.paths[0])
        waiting = others.loop.spawn(one.ready())
        db = await others.accept(0)
        db.tell("awake", targets={})
        await waiting
        one.rest()
        for _ in range(4):
            await others.passes()
            db.tell("dozing")
            await others.passes()
            db.close()
            db = await others.accept(0)
        await others.passes()
        db.hear_until(lambda message: message.get("rests") is True)

    others.run(scene())
