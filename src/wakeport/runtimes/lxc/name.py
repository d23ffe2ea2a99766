"""Which unit a container of LXC has, and whether it runs. Built-in modules only: the start call needs it."""

from __future__ import annotations

import _socket

SYSTEM = "/etc/lxc/lxc.conf"  # lxc.system.conf(5)
USUAL = "/var/lib/lxc"


def unit_of(name: str) -> str:
    """As LXC ships it. Nothing is escaped: the unit hands its %i on, as it stands, as the container."""
    return f"lxc@{name}.service"


def path(root: str = "") -> str:
    """The directory of all containers."""
    found = USUAL
    try:
        with open(root + SYSTEM, encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, value = line.partition("=")
                if key.strip() == "lxc.lxcpath" and value.strip():
                    found = value.strip()
    except OSError:
        pass
    return found


def runs(name: str, root: str = "") -> bool:
    """Whether somebody has it running, the unit or a person: who does listens for commands; 0.05 ms."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        connection.connect(f"\0{path(root)}/{name}/command".encode())
    except OSError:
        return False
    finally:
        connection.close()
    return True
