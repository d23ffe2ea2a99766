"""The supervisor as a process: what systemd passes to it, the signals that it hears, and its one life."""

from __future__ import annotations

import sys

from wakeport.activation import listening_fds
from wakeport.light import signal
from wakeport.loop import Loop
from wakeport.runtimes.choice import open_runtime
from wakeport.supervisor.awake import Stamps
from wakeport.supervisor.life import Life
from wakeport.supervisor.options import Options
from wakeport.supervisor.record import Record
from wakeport.supervisor.upgrade import forget_next, take_over

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from wakeport.runtimes.interface import Begun


def supervise(
    options: Options,
    record: Record,
    begun: Begun | None,
    asked: dict[str, _socket.socket],
    stamps: tuple[float, float],
) -> int:
    """Run one life; the exit code for systemd."""
    fds = listening_fds()
    handover = take_over()
    if handover is None:
        forget_next(options.state)
    if not fds:
        sys.exit("wakeport: no lease socket was passed; start this through its unit, not by hand")
    loop = Loop()
    runtime = open_runtime(options.runtime, loop, options.container, begun)
    life = Life(loop, options, record, runtime, asked, fds[0])
    loop.on_signal(signal.SIGTERM, lambda: life.told_to_stop.set(None))
    loop.on_signal(signal.SIGHUP, lambda: life.told_to_renew.set(None))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGHUP))
    try:
        return loop.run(life.live(Stamps(*stamps), handover))
    finally:
        loop.close()
