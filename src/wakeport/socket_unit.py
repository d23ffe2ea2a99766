"""The two socket units of a service: the one with its listeners, and the one with its lease socket."""

from __future__ import annotations

from typing import Final

from wakeport.quoting import value
from wakeport.service import Service
from wakeport.unit_file import NO_START_LIMIT, Settings, Unit, description

GROUP: Final = "wakeport"  # may open leases; the proxies' user is called the same

BACKLOG: Final = 4096  # the kernel caps it at net.core.somaxconn, listen(2)

# So long the kernel keeps a silent connection to itself; whoever says nothing for longer is judged by the
# proxy. systemd.socket(5) says seconds, the kernel counts retransmissions of its SYN+ACK: 31 s.
DEFER_ACCEPT: Final = 30  # seconds

# Datagrams wait here while the proxy starts. The kernel's default of 208 KiB holds 256 small ones, or 92
# of 1,200 bytes (measured), and systemd may exceed what net.core.rmem_max allows others.
RECEIVE_BUFFER: Final = "4M"

# What a socket starts comes back by Restart= at most four times a second, and start
# jobs wait during that time: the limits that would close the port for good can go.
_NO_TRIGGER_LIMIT: Final[Settings] = [("TriggerLimitIntervalSec", "0")]

# Settings that count only when the socket is opened: where they change, it has to be opened anew.
OPENED_WITH: Final = (
    *("ListenStream", "ListenDatagram", "FreeBind", "SocketMode", "SocketUser", "SocketGroup"),
    *("DeferAcceptSec", "PassPacketInfo", "ReceiveBuffer", "Accept"),
)


def client_socket(service: Service) -> Unit:
    places = ", ".join(str(listener.on) for listener in service.listener)
    return unit(f"{places} wakes {service.container} (wakeport {service.name})", listening(service))


def listening(service: Service) -> Settings:
    """The listeners, in their order: that of the descriptors which the proxy gets."""
    places = [listener.on for listener in service.listener]
    socket: Settings = [
        ("ListenDatagram" if place.udp else "ListenStream", value(place.bare)) for place in places
    ]
    if any(place.address for place in places):
        # At boot the address may come after the socket.
        socket.append(("FreeBind", "yes"))
    if not all(place.udp for place in places):
        socket.append(("Backlog", str(BACKLOG)))
    if any(place.tcp for place in places):
        socket += _tcp(service)
    if any(place.udp for place in places):
        socket += _udp(service)
    if any(place.path for place in places):
        socket += _unix(service)
    if service.pass_fd:
        socket.append(("FileDescriptorName", service.fd_name or service.name))
    return socket


def _tcp(service: Service) -> Settings:
    settings: Settings = [
        ("NoDelay", "yes"),
        # Accepted connections inherit these: a peer that vanished is gone after 120 + 5 * 30 s.
        ("KeepAlive", "yes"),
        ("KeepAliveTimeSec", "120"),
        ("KeepAliveIntervalSec", "30"),
        ("KeepAliveProbes", "5"),
    ]
    if all(listener.wake_on == "data" for listener in service.listener if listener.on.tcp):
        # A connection without a word does not even start the proxy. One that is closed again does:
        # for the kernel a FIN is as good as data.
        settings.append(("DeferAcceptSec", str(DEFER_ACCEPT)))
    return settings


def _udp(service: Service) -> Settings:
    # The address that was asked is the one to reply from.
    settings: Settings = [("PassPacketInfo", "yes")]
    if all(listener.on.udp for listener in service.listener):
        # On TCP it would end the kernel's own choice of a window, tcp(7).
        settings.append(("ReceiveBuffer", RECEIVE_BUFFER))
    return settings


def _unix(service: Service) -> Settings:
    """They all agree, or it would be no service."""
    first = next(listener for listener in service.listener if listener.on.path)
    settings: Settings = [("SocketMode", first.socket_mode)]
    if first.owner is not None and first.owner.user:
        settings.append(("SocketUser", first.owner.user))
    if first.owner is not None and first.owner.group:
        settings.append(("SocketGroup", first.owner.group))
    return [*settings, ("RemoveOnStop", "yes")]


def lease_socket(service: Service, path: str, group: str = GROUP) -> Unit:
    """`group` may open leases, beside its owner; empty for nobody."""
    socket: Settings = [
        ("ListenStream", value(path)),
        *([("SocketMode", "0660"), ("SocketGroup", group)] if group else [("SocketMode", "0600")]),
        ("Backlog", str(BACKLOG)),
        ("RemoveOnStop", "yes"),
    ]
    return unit(f"Leases that keep {service.container} awake (wakeport {service.name})", socket)


def unit(about: str, socket: Settings) -> Unit:
    return [
        ("Unit", [description(about), *NO_START_LIMIT]),
        ("Socket", [*socket, *_NO_TRIGGER_LIMIT]),
        ("Install", [("WantedBy", "sockets.target")]),
    ]
