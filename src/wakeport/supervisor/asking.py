"""The first act of a wake that needs other services: connect to their leases, before anything is imported.

So they begin to wake while this process still imports what it takes to listen to them. Built-in
modules only, as in runtimes/docker/begin.py.
"""

from __future__ import annotations

import _socket


def ask(paths: list[str]) -> dict[str, _socket.socket]:
    """A connection to each lease socket of `paths` that takes one at once; the others are asked later."""
    asked = {}
    for path in paths:
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        connection.settimeout(0)
        try:
            connection.connect(path)
        except OSError:
            connection.close()
            continue
        asked[path] = connection
    return asked
