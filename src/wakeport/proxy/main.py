"""The proxy's process: what systemd gives it, when it serves, and how it ends."""

from __future__ import annotations

import os

from wakeport.activation import notify, passed_fds
from wakeport.light import signal
from wakeport.loop import Loop
from wakeport.proxy import leg, options, pipe
from wakeport.proxy.door import capacity_within, inherited_listeners, raise_descriptor_limit
from wakeport.proxy.proxy import Proxy

DRAIN_WITHIN = 3.0  # seconds after SIGTERM for those who are being served

# Descriptors kept back for the end: a hand-over opens modules, sockets and a file, and at the limit, where
# everyone would be cut off without it, there is none left. It needs five at once.
SPARE = 8


def main() -> None:
    given = options.from_command_line()
    capacity = capacity_within(raise_descriptor_limit() - pipe.DESCRIPTORS)
    listening, stored = passed_fds()
    listeners = inherited_listeners(len(given.listeners), listening)
    loop = Loop()
    spare = [os.dup(loop.epoll.fileno()) for _ in range(SPARE)]
    proxy = Proxy(loop, given, listeners, capacity)
    # Heard before the box is opened: a second restart would find it empty.
    loop.on_signal(signal.SIGTERM, loop.stop)
    proxy.open()
    for box in stored:
        from wakeport.proxy.restart.takeover import take_over

        take_over(proxy, box)
    notify("READY=1", *([] if stored else ["STATUS=Waiting for a client"]))
    loop.run_forever()
    for fd in spare:
        os.close(fd)
    if not proxy.is_empty:
        from wakeport.proxy.restart.handover import hand_over

        if not hand_over(proxy, given.systemd):
            drain(loop, proxy)
            # Somebody may have asked for a start meanwhile.
            if not proxy.is_empty:
                hand_over(proxy, given.systemd)
    notify("STOPPING=1")
    cut_off(proxy)


def drain(loop: Loop, proxy: Proxy) -> None:
    """Serve no one new; who is served gets a moment to finish, and who waits a last chance."""
    loop.on_signal(signal.SIGTERM, lambda: None)
    loop.call_in(DRAIN_WITHIN, loop.stop)
    proxy.drain()
    if not proxy.is_empty:
        loop.run_forever()


def cut_off(proxy: Proxy) -> None:
    """The kernel closes everything now. What is cut off shall not look as if it were complete."""
    for client, relay in proxy.served.items():
        for sock in client.sock, relay.target.sock if relay is not None else None:
            if sock is not None:  # a flow without a target has none
                leg.refuse_to_linger(sock)
