"""The proxy's process: what systemd gives it, when it serves, and how it ends."""

from __future__ import annotations

import signal

from wakeport.activation import listening_fds, notify
from wakeport.loop import Loop
from wakeport.proxy import options, pipe
from wakeport.proxy.door import capacity_within, inherited_listeners, raise_descriptor_limit
from wakeport.proxy.proxy import Proxy

DRAIN_WITHIN = 3.0  # seconds after SIGTERM for those who are being served


def main() -> None:
    given = options.from_command_line()
    capacity = capacity_within(raise_descriptor_limit() - pipe.DESCRIPTORS)
    listeners = inherited_listeners(len(given.listeners), listening_fds())
    loop = Loop()
    proxy = Proxy(loop, given, listeners, capacity)

    def on_sigterm() -> None:
        """Serve no one new; who is served gets a moment to finish, and who waits a last chance."""
        loop.call_in(DRAIN_WITHIN, loop.stop)
        proxy.drain()

    loop.on_signal(signal.SIGTERM, on_sigterm)
    proxy.open()
    notify("READY=1", "STATUS=Waiting for a client")
    loop.run_forever()
    notify("STOPPING=1")
    proxy.cut_off()
