"""Who carries bytes to the target: each says where it listens, and which processes are its own."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from bench.ground import Ground
from bench.relay_target import NAME, PUBLISHED, Target
from bench.visit import Address, insist

SOCKET_PROXYD_PORT = 1082
HAPROXY_PORT = 1083
WAKEPORT_PORT = 1084
NODELAY_PORT = 1085
HAPROXY_SPLICE_PORT = 1086

DESCRIPTORS = 20000  # what a process may have at most in some containers, and more than root can raise
CONNECTIONS = 9000  # at once, for those that want it said

# As its man page has it, but for the limits: without --connections-max= it closes the 257th client, and
# with systemd's own limit of descriptors the 169th.
SOCKET_PROXYD_SERVICE = f"""\
[Service]
ExecStart=/lib/systemd/systemd-socket-proxyd --connections-max={CONNECTIONS} {{target}}
LimitNOFILE={DESCRIPTORS}
"""
SOCKET_PROXYD = {
    "relay-socket-proxyd.socket": f"[Socket]\nListenStream={SOCKET_PROXYD_PORT}\n",
    "relay-socket-proxyd.service": SOCKET_PROXYD_SERVICE,
}

# With the socket as wakeport's own units have it. Without NoDelay=, what nginx sends in two parts waits
# for the client's acknowledgement between them: Nagle's algorithm, tcp(7).
SOCKET_PROXYD_NODELAY = {
    "relay-nodelay.socket": f"[Socket]\nListenStream={NODELAY_PORT}\nBacklog=4096\nNoDelay=yes\n",
    "relay-nodelay.service": SOCKET_PROXYD_SERVICE,
}

# maxpipes: by default a quarter of maxconn, two descriptors each, which would not fit below the limit.
HAPROXY_CONFIGURATION = f"""\
global
    nbthread 1
    maxconn {CONNECTIONS}
    maxpipes 500
defaults
    mode tcp
    option {{splice}}
    option clitcpka
    option srvtcpka
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen relay
    bind :{{port}} backlog 4096
    server target {{target}}
"""
HAPROXY_SERVICE = f"""\
[Service]
ExecStart=/usr/sbin/haproxy -db -f /run/{{name}}.cfg
LimitNOFILE={DESCRIPTORS}
"""


class Relay(Protocol):
    """`label` is what the tables call it; `address` is known once it is prepared."""

    name: str
    label: str
    address: Address

    def prepare(self, target: Target) -> None:
        """Set it up in front of the target, which runs."""

    def refresh(self) -> None:
        """Give it new processes, where that is possible without the target's."""

    def processes(self) -> list[int]:
        """Its own, as the host numbers them: what carries the bytes and what has to run for it."""

    def remove(self) -> None:
        """Take it down; its ports are free."""


class Direct:
    """Nobody between."""

    name, label = "direct", "direct"
    address: Address

    def prepare(self, target: Target) -> None:
        self.address = target.address

    def refresh(self) -> None:
        pass

    def processes(self) -> list[int]:
        return []

    def remove(self) -> None:
        pass


class Published(Direct):
    """Docker's rules rewrite the packets' addresses: what a client from elsewhere gets."""

    name, label = "published", "Docker's published port, iptables"

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    def prepare(self, target: Target) -> None:
        self.address = target.published

    def processes(self) -> list[int]:
        found = self.ground.processes("docker.service")
        return [pid for pid in found if Path(f"/proc/{pid}/comm").read_text().strip() == "docker-proxy"]


class DockerProxy(Published):
    """What a client on the same machine gets that asks for 127.0.0.1."""

    name, label = "docker-proxy", "Docker's published port, docker-proxy"

    def prepare(self, target: Target) -> None:  # noqa: ARG002 - as the others have it
        self.address = ("127.0.0.1", PUBLISHED)


class Unit:
    """A relay that is a service of the lab's systemd."""

    def __init__(
        self, ground: Ground, name: str, label: str, port: int, units: dict[str, str], files: dict[str, str]
    ) -> None:
        self.ground = ground
        self.name, self.label = name, label
        self.address: Address = ("127.0.0.1", port)
        self.units = units
        self.files = files

    def prepare(self, target: Target) -> None:
        host, port = target.address
        for unit, text in self.units.items():
            self.ground.write(f"/run/systemd/system/{unit}", text.format(target=f"{host}:{port}"))
        for path, text in self.files.items():
            self.ground.write(path, text.format(target=f"{host}:{port}"))
        self.ground.systemctl("daemon-reload")
        self.ground.systemctl("start", *self.units)
        insist(self.ground.lab, self.address)

    def refresh(self) -> None:
        self.ground.systemctl("restart", *(unit for unit in self.units if unit.endswith(".service")))
        insist(self.ground.lab, self.address)

    def processes(self) -> list[int]:
        return [pid for unit in self.units for pid in self.ground.processes(unit)]

    def remove(self) -> None:
        self.ground.systemctl("stop", *self.units)


class Wakeport:
    """A service of ours as `wakeport add` sets it up; awake, since its container is the target."""

    name, label = "wakeport", "wakeport"
    address: Address = ("127.0.0.1", WAKEPORT_PORT)
    unit = f"wakeport-{NAME}.service"

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    def prepare(self, target: Target) -> None:  # noqa: ARG002 - it looks the target up itself
        self.ground.lab.run(["wakeport", "add", NAME, "--listen", f"{WAKEPORT_PORT}=80"])

    def refresh(self) -> None:
        # Its socket starts it again with the next client.
        self.ground.systemctl("stop", self.unit)

    def processes(self) -> list[int]:
        return self.ground.processes(self.unit)

    def remove(self) -> None:
        self.ground.lab.run(["wakeport", "remove", NAME])


DEFAULT = ("direct", "published", "docker-proxy", "socket-proxyd", "haproxy", "wakeport")
NAMES = (*DEFAULT, "nodelay", "haproxy-splice")  # the last two only where they are asked for


def relays(ground: Ground) -> list[Relay]:
    """All that NAMES has."""
    proxyd = "systemd-socket-proxyd"
    return [
        Direct(),
        Published(ground),
        DockerProxy(ground),
        Unit(ground, "socket-proxyd", proxyd, SOCKET_PROXYD_PORT, SOCKET_PROXYD, {}),
        Unit(ground, "nodelay", f"{proxyd}, NoDelay=yes", NODELAY_PORT, SOCKET_PROXYD_NODELAY, {}),
        _haproxy(ground, "haproxy", "HAProxy, TCP, one thread", HAPROXY_PORT, "splice-auto"),
        _haproxy(ground, "haproxy-splice", "HAProxy, always splices", HAPROXY_SPLICE_PORT, "splice-response"),
        Wakeport(ground),
    ]


def _haproxy(ground: Ground, name: str, label: str, port: int, splice: str) -> Unit:
    unit = f"relay-{name}"
    configuration = HAPROXY_CONFIGURATION.replace("{port}", str(port)).replace("{splice}", splice)
    units = {f"{unit}.service": HAPROXY_SERVICE.format(name=unit)}
    return Unit(ground, name, label, port, units, {f"/run/{unit}.cfg": configuration})
