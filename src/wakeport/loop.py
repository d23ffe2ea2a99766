"""How one thread waits for everything: descriptors, timers, signals, and coroutines over them.

asyncio would do, but its import alone costs 43 ms of the wake (measured), five
times the interpreter's own start. Coroutines need no asyncio: `await` works on
any object that this loop knows how to suspend and resume. Nothing here is safe
to call from another thread.
"""

from __future__ import annotations

import os
import select
import time
from _heapq import heapify, heappop, heappush

from wakeport.light import signal
from wakeport.light.collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from typing import Any, Generic, TypeVar

    T = TypeVar("T")
else:
    # typing itself costs 3 ms and 0.6 MB in every process of every awake service (measured).
    T = None

    class Generic:
        __slots__ = ()

        def __class_getitem__(cls, _parameter):
            return cls


READ = select.EPOLLIN
WRITE = select.EPOLLOUT
BROKEN = select.EPOLLERR | select.EPOLLHUP

FEW_TIMERS = 64  # not worth tidying up

now = time.monotonic


class Cancelled(BaseException):
    """Thrown into a task that is no longer wanted; not an Exception, so that no `except` swallows it."""


class Timer:
    """One call in the future. `cancel()` may be called at any time, also after it fired."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None

    def __lt__(self, other: Timer) -> bool:
        return self.when < other.when


class Future(Generic[T]):
    """A value that is not there yet. The first `set` or `fail` counts, later ones are ignored."""

    __slots__ = ("done", "error", "value", "waiters")

    def __init__(self) -> None:
        self.done = False
        self.value: T | None = None
        self.error: BaseException | None = None
        self.waiters: list[Callable[[], None]] = []

    def set(self, value: T) -> None:
        self._settle(value, None)

    def fail(self, error: BaseException) -> None:
        self._settle(None, error)

    def _settle(self, value: T | None, error: BaseException | None) -> None:
        if self.done:
            return
        self.done, self.value, self.error = True, value, error
        waiters, self.waiters = self.waiters, []
        for resume in waiters:
            resume()

    def __await__(self) -> Generator[Future[T], None, T]:
        if not self.done:
            yield self
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # it was set: T may itself be None


class Task(Future[T]):
    """A running coroutine. Await it for its result; an error that nobody awaits ends the loop's `run`."""

    __slots__ = ("coroutine", "loop", "pause")

    def __init__(self, loop: Loop, coroutine: Coroutine[Any, Any, T]) -> None:
        super().__init__()
        self.loop = loop
        self.coroutine = coroutine
        self.pause: Future[Any] | None = None

    def cancel(self) -> None:
        """End the task where it stands; its `finally` blocks run before this returns."""
        self.interrupt(Cancelled())

    def interrupt(self, error: BaseException) -> None:
        """Raise `error` at the point where the task waits."""
        if self.done:
            return
        if self.pause is not None and self.step in self.pause.waiters:
            self.pause.waiters.remove(self.step)
        self._advance(error)

    def step(self) -> None:
        self._advance(None)

    def _advance(self, error: BaseException | None) -> None:
        self.pause = None
        outer, self.loop.current = self.loop.current, self
        try:
            self.pause = self.coroutine.throw(error) if error else self.coroutine.send(None)
            self.pause.waiters.append(self.step)
        except StopIteration as end:
            self.set(end.value)
        except Cancelled as cancelled:
            self.fail(cancelled)
        except Exception as failure:
            if not self.waiters:
                self.loop.crash = failure
            self.fail(failure)
        finally:
            self.loop.current = outer


async def any_of(*futures: Future[Any]) -> None:
    """Return when one of `futures` is done; look at them to see which. None is cancelled."""
    if any(future.done for future in futures):
        return
    arrived: Future[None] = Future()

    def arrive() -> None:
        arrived.set(None)

    for future in futures:
        future.waiters.append(arrive)
    try:
        await arrived
    finally:
        for future in futures:
            if arrive in future.waiters:
                future.waiters.remove(arrive)


class Loop:
    """epoll, a heap of timers, and the tasks that wait for them."""

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.callbacks: dict[int, Callable[[int], None]] = {}
        self.timers: list[Timer] = []
        self.tidy_at = FEW_TIMERS
        self.soon: deque[Callable[[], None]] = deque()
        self.current: Task[Any] | None = None
        self.crash: Exception | None = None
        self.stopped = False
        self.signals: dict[int, Callable[[], None]] = {}
        self.arrived = b""  # signals that came together with one that is being delivered
        self.wakeup: tuple[int, int] | None = None

    def watch(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        """Call `callback(events)` whenever one of `events` (or BROKEN) holds for `fd`."""
        if fd in self.callbacks:
            self.epoll.modify(fd, events)
        else:
            self.epoll.register(fd, events)
        self.callbacks[fd] = callback

    def divert(self, fd: int, callback: Callable[[int], None]) -> None:
        """Call another callback for `fd` from now on, where it is watched; the kernel need not know."""
        if fd in self.callbacks:
            self.callbacks[fd] = callback

    def unwatch(self, fd: int) -> None:
        """Forget `fd`; nothing happens where it is not watched. Must come before the descriptor is closed."""
        if self.callbacks.pop(fd, None) is not None:
            self.epoll.unregister(fd)

    def forget(self, fd: int) -> None:
        """As `unwatch`, of a descriptor that is closed before the next turn: the kernel then takes it out
        by itself, which saves a call. epoll(7), question 6: only where nobody else has it open.
        """
        self.callbacks.pop(fd, None)

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` once `now()` has reached `when` (seconds, monotonic)."""
        if len(self.timers) >= self.tidy_at:
            # Cancelled ones lie there until they would have been due, with an idle time of days for days.
            self.timers[:] = [timer for timer in self.timers if timer.callback is not None]
            heapify(self.timers)
            self.tidy_at = max(FEW_TIMERS, 2 * len(self.timers))
        timer = Timer(when, callback)
        heappush(self.timers, timer)
        return timer

    def call_in(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return self.call_at(now() + seconds, callback)

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call `callback` in the next turn, after everything that is under way now."""
        self.soon.append(callback)

    def on_signal(self, signum: int, callback: Callable[[], None]) -> None:
        """Call `callback` from the loop, never in the middle of other code, when `signum` arrives."""
        if self.wakeup is None:
            self.wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            signal.set_wakeup_fd(self.wakeup[1], warn_on_full_buffer=False)
            self.watch(self.wakeup[0], READ, self._deliver_signals)
        self.signals[signum] = callback
        signal.signal(signum, lambda _signum, _frame: None)

    def _deliver_signals(self, _events: int) -> None:
        self.arrived += self._read_signals()
        while self.arrived:
            # A callback may get here again, and may execute another program: nothing else knows of the rest.
            signum, self.arrived = self.arrived[0], self.arrived[1:]
            if signum in self.signals:
                self.signals[signum]()

    def _read_signals(self) -> bytes:
        assert self.wakeup is not None
        try:
            return os.read(self.wakeup[0], 64)
        except BlockingIOError:
            return b""

    def hold_signals(self) -> None:
        """Hear all that have come, and let those that come now wait for whoever unblocks them."""
        signal.pthread_sigmask(signal.SIG_BLOCK, self.signals)
        self._deliver_signals(READ)

    def release_signals(self) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self.signals)

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> Task[T]:
        """Run `coroutine` beside what runs now, from the next turn on."""
        task = Task(self, coroutine)
        self.call_soon(lambda: None if task.done else task.step())
        return task

    async def readable(self, fd: int) -> None:
        await self._ready(fd, READ)

    async def writable(self, fd: int) -> None:
        await self._ready(fd, WRITE)

    async def _ready(self, fd: int, events: int) -> None:
        ready: Future[None] = Future()
        self.watch(fd, events, lambda _events: ready.set(None))
        try:
            await ready
        finally:
            self.unwatch(fd)

    async def sleep(self, seconds: float) -> None:
        over: Future[None] = Future()
        timer = self.call_in(seconds, lambda: over.set(None))
        try:
            await over
        finally:
            timer.cancel()

    async def within(self, seconds: float, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`; TimeoutError is raised inside it, and here, after `seconds`."""
        task = self.current
        assert task is not None, "within() is for code that runs as a task"
        timer = self.call_in(seconds, lambda: task.interrupt(TimeoutError()))
        try:
            return await work
        finally:
            timer.cancel()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run until `work` has a result, and return it; everything else that was spawned runs along."""
        task = self.spawn(work)
        task.waiters.append(self.stop)
        self.run_forever()
        if task.error is not None:
            raise task.error
        return task.value  # type: ignore[return-value]  # it was set: T may itself be None

    def stop(self) -> None:
        self.stopped = True

    def run_forever(self) -> None:
        """Turn until `stop()`; raises the first error of a task that nobody awaits."""
        self.stopped = False
        while not self.stopped:
            self._turn()
            if self.crash is not None:
                crash, self.crash = self.crash, None
                raise crash

    def _turn(self) -> None:
        timers = self.timers
        while timers and timers[0].callback is None:
            heappop(timers)
        wait = 0.0 if self.soon else max(0.0, timers[0].when - now()) if timers else -1
        callbacks = self.callbacks
        for fd, events in self.epoll.poll(wait):
            # An earlier callback of this turn may have closed this one.
            callback = callbacks.get(fd)
            if callback is not None:
                callback(events)
        # Not those that these callbacks make: one that asks for another at once would be alone for ever.
        moment = now()
        while timers and timers[0].when <= moment:
            due = heappop(timers).callback
            if due is not None:
                due()
        for _ in range(len(self.soon)):
            self.soon.popleft()()

    def close(self) -> None:
        """Who still waits finds that nothing is watched: the descriptors may be closed by then."""
        self.callbacks.clear()
        self.epoll.close()
        if self.wakeup is not None:
            signal.set_wakeup_fd(-1)
            for fd in self.wakeup:
                os.close(fd)
            self.wakeup = None
