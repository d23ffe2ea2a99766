"""How the supervisor handles a container of a user's own Podman: what is otherwise where there is no root."""

from __future__ import annotations

from wakeport.runtimes.network import address
from wakeport.runtimes.podman.runtime import Runtime as PodmanRuntime
from wakeport.runtimes.problems import Refused
from wakeport.runtimes.rootless.begin import socket
from wakeport.runtimes.rootless.container import RootlessInspected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.loop import Loop
    from wakeport.runtimes.container import Container, Target
    from wakeport.runtimes.docker.begin import Begun

ANY = "0.0.0.0"


class Runtime(PodmanRuntime):
    inspected = RootlessInspected

    def __init__(self, loop: Loop, name: str, begun: Begun | None = None) -> None:
        self.path = socket()
        super().__init__(loop, name, begun)

    async def targets(self, container: Container, ports: list[str]) -> dict[str, Target]:
        assert isinstance(container, RootlessInspected), "made by `inspected`"
        owner = container
        while owner.shares_network_of:  # as that of its pod, which publishes the ports of all
            other = await self.look(owner.shares_network_of)
            assert isinstance(other, RootlessInspected), "made by `inspected`"
            owner = other
        found: dict[str, Target] = {}
        for port in ports:
            target = (port,) if port.startswith("/") else owner.published_at(port)
            if target is None:
                raise Refused(f'container "{owner.name}" cannot be reached: {owner.why_closed(port)}')
            found[port] = target
        return found

    def behind(self, container: Container, port: str, target: Target) -> Target:
        """Podman's helper takes every connection, and hangs up where nothing listens behind it."""
        if container.on_host_network or len(target) == 1:
            return target
        return address(container.pid) or ANY, int(port.partition("/")[0])
