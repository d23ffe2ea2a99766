"""The first act of a wake: ask Podman to start the container, before anything is imported.

Its output is not attached to first: Podman would set a container up for that which it has yet to start,
and answers only once it runs. What it writes is read from its log.
"""

from __future__ import annotations

from wakeport.runtimes.docker.begin import Begun, post, start_path

SOCKET = "/run/podman/podman.sock"
TITLE = "Podman"


def begin(container: str, path: str = SOCKET) -> Begun:
    """Start it; never raises, never waits long. Where its service sleeps, systemd starts that at this."""
    begun = Begun()
    try:
        begun.started = post(path, start_path(container))
    except OSError as error:
        begun.error = error
    return begun
