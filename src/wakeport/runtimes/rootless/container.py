"""What Podman's answer to `inspect` says of a container that has no root: where it can be reached. Pure.

Its network is in a user namespace, and the addresses in there lead nowhere from the host. What leads there
is a port that it publishes, which Podman's helper (rootlessport, pasta) listens on.
"""

from __future__ import annotations

from wakeport.runtimes.container import LOOPBACKS
from wakeport.runtimes.podman.container import PodmanInspected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.runtimes.container import Target


class RootlessInspected(PodmanInspected):
    def why_closed(self, port: str) -> str | None:
        if self.on_host_network or self.shares_network_of:
            return None
        if self.network_mode == "none":
            return "it has no network (--network none), so nothing can reach it; make it anew with one"
        number, _, protocol = port.partition("/")
        behind = port if protocol == "udp" else number
        found = self.published.get(port, [])
        if not found:
            return (
                f"without root only a published port leads to it, and it publishes none for {behind}; "
                f"make it anew with -p 127.0.0.1:PORT:{behind}, another port than the listener's"
            )
        if not found[0][1]:
            return f"it publishes {behind} on another port at each start; make it anew with a fixed one"
        return None

    def published_at(self, port: str) -> Target | None:
        """Where `port` is reached from the host; None where why_closed() says why not."""
        if self.on_host_network:
            return LOOPBACKS[""], int(port.partition("/")[0])
        for address, number in self.published.get(port, []):
            if number:
                return LOOPBACKS.get(address, address), number
        return None
