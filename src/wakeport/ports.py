"""Who listens where, as the kernel tells it (/proc/net, proc(5)). To look is not to wake."""

from __future__ import annotations

import ipaddress
import re
import struct
from pathlib import Path
from typing import Final, NamedTuple

from wakeport.place import Place

LISTEN: Final = "0A"  # TCP_LISTEN, include/net/tcp_states.h
UNCONNECTED: Final = "07"  # TCP_CLOSE, which for UDP means: no peer
ACCEPTS: Final = 0x10000  # __SO_ACCEPTCON, include/linux/net.h


class Held(NamedTuple):
    """A place that somebody listens on, and the inode of the socket."""

    place: Place
    inode: int


def listening(proc: Path = Path("/proc")) -> list[Held]:
    """Every TCP and UDP port and every socket path that is listened on in this network namespace."""
    held = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        try:
            held += parse_ports((proc / "net" / table).read_text(), udp=table.startswith("udp"))
        except FileNotFoundError:
            continue  # a kernel without IPv6
    return held + parse_unix((proc / "net/unix").read_text(errors="surrogateescape"))


def parse_ports(text: str, *, udp: bool = False) -> list[Held]:
    """The listening sockets of a /proc/net/tcp or tcp6, or those of a udp or udp6 that take from anybody."""
    held = []
    wanted = UNCONNECTED if udp else LISTEN
    for line in text.splitlines()[1:]:
        columns = line.split()
        if columns[3] == wanted:
            address, _, port = columns[1].partition(":")
            place = Place(port=int(port, 16), address=_address(address), udp=udp)
            held.append(Held(place, int(columns[9])))
    return held


def parse_unix(text: str) -> list[Held]:
    """The listening stream sockets of a /proc/net/unix that have a path."""
    held = []
    for line in text.splitlines()[1:]:
        columns = re.split(" +", line, maxsplit=7)
        if len(columns) == 8 and int(columns[3], 16) & ACCEPTS and columns[7].startswith("/"):
            held.append(Held(Place(path=columns[7]), int(columns[6])))
    return held


def _address(text: str) -> str:
    """An address as /proc/net/tcp has it: 32-bit words in the machine's own byte order."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    return str(ipaddress.ip_address(struct.pack(f"={len(words)}I", *words)))


def holder(inode: int, proc: Path = Path("/proc")) -> str:
    """Whose socket that is, for people: "nginx (process 812, nginx.service)"; root sees all."""
    wanted = f"socket:[{inode}]"
    for process in sorted((int(path.name) for path in proc.iterdir() if path.name.isdecimal()), reverse=True):
        directory = proc / str(process)
        try:
            if any(str(fd.readlink()) == wanted for fd in (directory / "fd").iterdir()):
                return _described(directory, process)
        except OSError:
            continue  # it ended, or is not ours to look at
    return "another process"


def _described(directory: Path, process: int) -> str:
    if process == 1:
        return "a socket unit of systemd"
    name = (directory / "comm").read_text().strip()
    unit = re.search(r"([^/\n]+\.service)\s*$", (directory / "cgroup").read_text())
    return f"{name} (process {process}{', ' + unit[1] if unit else ''})"
