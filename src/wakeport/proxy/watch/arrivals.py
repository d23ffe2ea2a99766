"""Hearing of every client that comes to a socket from which another process accepts.

epoll, also edge-triggered, keeps silent of one that has been accepted by the time it is asked. The signal of
fcntl(2), O_ASYNC, is sent when the client comes, whoever takes it.
"""

from __future__ import annotations

import fcntl
import os

from wakeport.light import signal, socket
from wakeport.loop import Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ARRIVED = (signal.SIGIO,)


class Arrivals:
    """`came` is called for those who come while it listens; of the others `since_last` tells.

    A crowd costs one call: the signal is one, however often it is sent before it is heard.
    """

    def __init__(self, loop: Loop, listeners: list[socket.socket], came: Callable[[], None]) -> None:
        self.listeners = listeners
        signal.pthread_sigmask(signal.SIG_BLOCK, ARRIVED)
        loop.on_signal(signal.SIGIO, came)
        self.subscribe()

    def subscribe(self) -> None:
        """Again and again: the flag is the socket's own, and the program may set its flags as it likes."""
        for listener in self.listeners:
            flags = fcntl.fcntl(listener, fcntl.F_GETFL)
            if not flags & os.O_ASYNC or fcntl.fcntl(listener, fcntl.F_GETOWN) != os.getpid():
                fcntl.fcntl(listener, fcntl.F_SETOWN, os.getpid())
                fcntl.fcntl(listener, fcntl.F_SETFL, flags | os.O_ASYNC)

    def since_last(self) -> bool:
        """Whether anybody has come since it was ignored, or since the last answer."""
        return signal.sigtimedwait(ARRIVED, 0) is not None

    def listen(self) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ARRIVED)

    def ignore(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, ARRIVED)
