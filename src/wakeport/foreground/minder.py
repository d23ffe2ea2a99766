"""Two processes, so that either may be killed and nothing is left: one works, the other minds it.

The one that minds is the one that was started, and all it does is to wait. Where the worker is killed, it
ends whatever that has started. Where it is killed itself, the worker gets SIGTERM, and ends as it should.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Final

from wakeport.errors import Problem
from wakeport.foreground import family

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

AT_ONCE: Final = signal.SIGQUIT  # what the worker is sent where somebody asks a second time


def minded(work: Callable[[], int]) -> int:
    """The exit code of `work`, which is run in a process and a session of its own.

    It is sent SIGTERM where this process is told to end, and AT_ONCE the next time.
    """
    family.adopt_orphans()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # whoever ignored it before us would have us wait in vain
    sys.stdout.flush()
    sys.stderr.flush()
    minder = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    worker = os.fork()
    if worker == 0:
        _work(work, minder)
    handlers = _pass_on(worker)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)
        family.end_strays()
    if code < 0:
        raise Problem(
            f"the process that held the port was ended by signal {-code}",
            "whatever it had started has been ended too",
        )
    return code


def _work(work: Callable[[], int], minder: int) -> None:
    """Never returns. The signals are blocked until `work` hears them."""
    code = 1
    try:
        os.setsid()  # Ctrl-C is for the minder, who passes it on
        family.end_with(minder)
        family.adopt_orphans()  # a child does not inherit that
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _pass_on(worker: int) -> dict[int, signal.Handlers | int | None]:
    told = False

    def tell(_signum: int, _frame: FrameType | None) -> None:
        nonlocal told
        os.kill(worker, AT_ONCE if told else signal.SIGTERM)
        told = True

    before: dict[int, signal.Handlers | int | None] = {}
    for signum in ENDING:
        if signal.getsignal(signum) is not signal.SIG_IGN:  # as under nohup(1)
            before[signum] = signal.signal(signum, tell)  # type: ignore[assignment]  # as it was given
    return before
