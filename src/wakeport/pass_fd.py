"""The listening socket itself, handed over: the settings of `pass_fd`, what does not go with it, and the
drop-in by which systemd passes the socket to the program.

sd_listen_fds(3); systemd.service(5), Sockets=.
"""

from __future__ import annotations

import re
from typing import Final

from wakeport.unit_file import NO_START_LIMIT, Unit

# systemd.socket(5), FileDescriptorName=; it takes more, which no program would look for.
_FD_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}")


class FdName(str):
    """What the program knows its sockets by, LISTEN_FDNAMES of its environment; empty: the service's."""

    __slots__ = ()


_HERE: Final = "with pass_fd"
_NO_PROXY: Final = f"{_HERE} there is no proxy: the program takes its clients itself"
_NOBODY_HELD: Final = f"{_HERE} nobody is held: clients wait in the kernel until the program takes them"
_NO_PORT: Final = f"{_HERE} there is no port behind the listener of which that could be asked"

REFUSED: Final = {
    "proxy": _NO_PROXY,
    "hold_max": _NOBODY_HELD,
    "hold_for": _NOBODY_HELD,
    "allow": f'{_HERE} nobody sees who comes; with proxy = "wakeport", and without pass_fd, it works',
}

UNSEEN: Final = f"{_HERE} nobody sees what passes over a connection: an open one counts"

NO_PORT: Final = (
    f'{_NO_PORT}; "connect" waits until systemd has started the program, exec:COMMAND until that says yes'
)
NO_PORT_TO_CHECK: Final = f"{_NO_PORT}; exec:COMMAND asks in another way"

REFUSED_OF_LISTENER: Final = {
    "to": f"{_HERE} it leads nowhere: the program takes its clients from the socket itself",
    "send_proxy": _NO_PROXY,
    "accept_proxy": _NO_PROXY,
    "page": _NO_PROXY,
    "page_file": _NO_PROXY,
    "wake_on": _NO_PROXY,
    "rule": _NO_PROXY,
}


def drop_in_of(service: str) -> str:
    """What the file is called, beside the unit that gets the socket."""
    return f"wakeport-{service}.conf"


def drop_in(socket: str) -> Unit:
    """For a unit of somebody else: it inherits the socket, however it is started.

    A unit that hits its limit of starts takes the socket that it is started with down, and the port with
    it (systemd 252, socket_trigger_notify), hence the second setting.
    """
    return [("Unit", NO_START_LIMIT), ("Service", [("Sockets", socket)])]


def fd_name(written: str) -> FdName:
    if written and not _FD_NAME.fullmatch(written):
        raise ValueError(f"{written!r} cannot be the name of a socket; use letters, digits, '_', '.' and '-'")
    return FdName(written)
