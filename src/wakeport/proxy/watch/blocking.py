"""How a program wants its sockets to block, kept for a watcher that comes back while the program runs.

fcntl(2), O_NONBLOCK belongs to the socket and not to the process: systemd sets it anew for all who have the
socket whenever it starts a service with it (exec_child). A program that accepts until there is nobody would
then wait in accept(2).
"""

from __future__ import annotations

import os

from wakeport.activation import store
from wakeport.light import socket


class Blocking:
    """`stored` is what a predecessor has left in systemd's store; with one, the sockets become as it says."""

    def __init__(self, listeners: list[socket.socket], stored: list[int]) -> None:
        self.listeners = listeners
        self.noted = b""
        self.came_back = bool(stored)
        if stored:
            self.memory = stored[0]
            self.noted = os.pread(self.memory, len(listeners), 0)
            for listener, blocks in zip(listeners, self.noted, strict=False):
                os.set_blocking(listener.fileno(), bool(blocks))
        else:
            self.memory = os.memfd_create("blocking")
            store(self.memory)

    def note(self) -> None:
        """The program runs, and has had the time to set what it wants."""
        found = bytes(os.get_blocking(listener.fileno()) for listener in self.listeners)
        if found != self.noted:
            self.noted = found
            os.pwrite(self.memory, found, 0)
