"""Awake traffic past the proxy: what does not go together with `bypass`, and why."""

from __future__ import annotations

from typing import Final

RUNTIMES: Final = ("docker", "podman")

_HERE: Final = "with bypass"
_UNSEEN: Final = f"{_HERE} the container is reached past the proxy, which could not do that"

NO_BRIDGE: Final = "it leads to containers on a bridge network, of Docker or Podman"
NO_PROXY: Final = "with pass_fd the program takes its clients itself, and there is no proxy to pass by"
NO_PORT: Final = "it leads from a port to a port, and no listener does"
UNHEARD: Final = (
    "a container that dozes, or is about to, while somebody is silently connected would not be woken by what "
    'they say next: nobody hears it there. Leave doze out, or busy.connections at "open"'
)

# The kernel is told each of them for each listener, every other second: 10 ms for 100, and the square of that
# for more (measured).
NETWORKS_MAX: Final = 100
TOO_MANY: Final = (
    f"the kernel is told every other second from where clients may come: {NETWORKS_MAX} networks of allow at "
    "most, divided by the number of ports"
)

REFUSED_OF_LISTENER: Final = {"send_proxy": _UNSEEN, "accept_proxy": _UNSEEN}
