"""A steady stream of clients, whatever each of them does."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@contextmanager
def steady(
    network: Callable[[], AbstractContextManager[None]],
    every: float,
    come: Callable[[float], Coroutine[Any, Any, T]],
) -> Iterator[list[T]]:
    """A new client every so many seconds for as long as the block runs; the list is whole after it.

    `come` is one of them, who comes at the moment that it gets (monotonic), from `network`.
    """
    found: list[T] = []
    over = threading.Event()

    async def come_and_come() -> None:
        async with asyncio.TaskGroup() as group:
            due = time.monotonic()
            while not over.is_set():
                group.create_task(come(due)).add_done_callback(lambda task: found.append(task.result()))
                due += every
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    def run() -> None:
        with network():
            asyncio.run(come_and_come())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
