"""The loop: coroutines, timers, descriptors and signals in one thread."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator

import pytest

from wakeport.loop import READ, Cancelled, Future, Loop, any_of


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


def test_a_timer_that_makes_another_at_once_leaves_the_others_their_turn() -> None:
    """A supervisor was deaf to its leases for as long as one of its looks was always due."""
    loop = Loop()
    turns = 0

    def again() -> None:
        nonlocal turns
        turns += 1
        loop.call_in(0, again)

    loop.call_in(0, again)
    loop.run(loop.sleep(0.01))
    loop.close()
    assert turns


def test_a_task_has_the_result_of_its_coroutine(loop: Loop) -> None:
    async def work() -> int:
        await loop.sleep(0.001)
        return 7

    async def ask() -> int:
        return await loop.spawn(work()) + 1

    assert loop.run(ask()) == 8


def test_an_error_is_raised_where_the_task_is_awaited(loop: Loop) -> None:
    async def fail() -> None:
        await loop.sleep(0.001)
        raise ValueError("broken")

    async def ask() -> str:
        try:
            await loop.spawn(fail())
        except ValueError as error:
            return str(error)
        return "no error"

    assert loop.run(ask()) == "broken"


def test_an_error_that_nobody_awaits_ends_the_loop(loop: Loop) -> None:
    async def fail() -> None:
        raise ValueError("broken")

    async def ignore() -> None:
        loop.spawn(fail())
        await loop.sleep(60)

    with pytest.raises(ValueError, match="broken"):
        loop.run(ignore())


def test_time_limits_end_what_they_surround_and_clean_up(loop: Loop) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:

        async def wait() -> None:
            with pytest.raises(TimeoutError):
                await loop.within(0.001, loop.readable(ours.fileno()))
            assert ours.fileno() not in loop.callbacks
            theirs.send(b"x")
            await loop.within(60, loop.readable(ours.fileno()))

        loop.run(wait())


def test_a_cancelled_task_runs_its_finally_and_no_except(loop: Loop) -> None:
    seen = []
    began: Future[None] = Future()

    async def work() -> None:
        try:
            began.set(None)
            await loop.sleep(60)
        except Exception:
            seen.append("except")
        finally:
            seen.append("finally")

    async def cancel() -> None:
        task = loop.spawn(work())
        await began
        await loop.sleep(0)  # it goes on to its own sleep first
        task.cancel()
        assert isinstance(task.error, Cancelled)

    loop.run(cancel())
    assert seen == ["finally"]


def test_a_task_cancelled_before_its_first_step_never_runs(loop: Loop) -> None:
    seen = []

    async def work() -> None:
        seen.append("ran")

    async def cancel() -> None:
        loop.spawn(work()).cancel()
        await loop.sleep(0.001)

    loop.run(cancel())
    assert not seen


def test_any_of_returns_at_the_first_and_leaves_the_others(loop: Loop) -> None:
    first: Future[int] = Future()
    second: Future[int] = Future()

    async def wait() -> None:
        loop.call_in(0.001, lambda: first.set(1))
        await any_of(first, second)
        assert first.done
        assert not second.done
        assert not second.waiters

    loop.run(wait())


def test_a_callback_may_close_what_is_next_in_the_same_turn(loop: Loop) -> None:
    one, one_end = socket.socketpair()
    two, two_end = socket.socketpair()
    with one, two, one_end, two_end:
        called = []

        def take_away(fd: int, other: int) -> None:
            called.append(fd)
            loop.unwatch(fd)
            loop.unwatch(other)

        loop.watch(one.fileno(), READ, lambda _events: take_away(one.fileno(), two.fileno()))
        loop.watch(two.fileno(), READ, lambda _events: take_away(two.fileno(), one.fileno()))
        one_end.send(b"x")
        two_end.send(b"x")
        loop.run(loop.sleep(0.01))
        assert len(called) == 1


def test_signals_arrive_between_callbacks(loop: Loop) -> None:
    arrived: Future[None] = Future()
    before = signal.getsignal(signal.SIGUSR1)
    loop.on_signal(signal.SIGUSR1, lambda: arrived.set(None))

    async def send() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert not arrived.done
        await arrived

    try:
        loop.run(send())
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_of_two_signals_at_once_the_first_one_s_callback_can_hear_of_the_second(loop: Loop) -> None:
    """A supervisor that was told to become its newer version and to stop became that, and did not stop."""
    heard: list[int] = []
    known: list[int] = []
    over: Future[None] = Future()

    def become_another() -> None:
        loop.hold_signals()
        known.extend(heard)
        loop.release_signals()
        over.set(None)

    before = [signal.getsignal(one) for one in (signal.SIGUSR1, signal.SIGUSR2)]
    loop.on_signal(signal.SIGUSR1, become_another)
    loop.on_signal(signal.SIGUSR2, lambda: heard.append(signal.SIGUSR2))

    async def send() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        await over

    try:
        loop.run(send())
    finally:
        signal.signal(signal.SIGUSR1, before[0])
        signal.signal(signal.SIGUSR2, before[1])
    assert known == [signal.SIGUSR2]
    assert heard == [signal.SIGUSR2]


def test_who_waits_when_the_loop_is_closed_has_no_complaint() -> None:
    """A supervisor that ended while it listened to Podman left a traceback in the journal, now and then."""
    loop = Loop()
    ours, theirs = socket.socketpair()
    waiting = loop.readable(ours.fileno())
    waiting.send(None)
    ours.close()
    theirs.close()
    loop.close()
    waiting.close()


def test_timers_fire_in_order_and_not_when_cancelled(loop: Loop) -> None:
    fired: list[str] = []
    loop.call_in(0.002, lambda: fired.append("second"))
    loop.call_in(0.001, lambda: fired.append("first"))
    loop.call_in(0.001, lambda: fired.append("never")).cancel()
    loop.run(loop.sleep(0.01))
    assert fired == ["first", "second"]


def test_cancelled_timers_do_not_pile_up(loop: Loop) -> None:
    """A supervisor sets its idle timer anew at each change, and the old one is due in days."""
    fired: list[int] = []
    loop.call_in(0.01, lambda: fired.append(1))
    for _ in range(10_000):
        loop.call_in(86400, lambda: fired.append(2)).cancel()
    assert len(loop.timers) < 200
    loop.run(loop.sleep(0.02))
    assert fired == [1]
