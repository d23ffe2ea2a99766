"""Where each listener leads: a port of the container, or a Unix socket of the host."""

from __future__ import annotations

from collections.abc import Sequence

from wakeport.errors import BadInput
from wakeport.listener import Listener
from wakeport.service import Service


def targets(service: Service, exposed: tuple[str, ...] | None) -> list[str]:
    """What is behind each listener, as "80/tcp", "53/udp" or "/run/app.sock".

    `exposed` are the ports of the container's image, in the same words; None where there is no container
    to look at. Where the program has the sockets themselves there is nothing behind them. Raises BadInput
    where that takes a guess.
    """
    if service.pass_fd:
        return []
    return [target(service, listener, exposed) for listener in service.listener]


def target(service: Service, listener: Listener, exposed: tuple[str, ...] | None) -> str:
    if isinstance(listener.to, str):
        return listener.to
    return f"{listener.to or _only_port(service, listener, exposed)}/{listener.on.protocol}"


def _only_port(service: Service, listener: Listener, exposed: tuple[str, ...] | None) -> int:
    if exposed is None:
        raise BadInput(
            f'where "{listener.on}" leads cannot be looked up: there is no container {service.container}',
            f"say it (to = 80 in the file, --listen {listener.on}=80), or create the container",
        )
    ports = exposed_ports(exposed, listener.on.protocol)
    if len(ports) == 1:
        return ports[0]
    protocol = listener.on.protocol.upper()
    found = f"exposes {', '.join(map(str, ports))}" if ports else f"exposes no {protocol} port"
    example = ports[0] if ports else listener.on.port or 8080
    raise BadInput(
        f'container {service.container} {found}, so where "{listener.on}" leads is open',
        f"say it: --listen {listener.on}={example}",
    )


def exposed_ports(exposed: Sequence[str], protocol: str) -> list[int]:
    """The ports of one protocol among those that an image exposes, sorted."""
    split = [port.partition("/") for port in exposed]
    return sorted(int(port) for port, _, spoken in split if spoken == protocol)
