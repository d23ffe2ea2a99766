"""What else has a say in the traffic: filters of INPUT, and the bridge that a target is on."""

from __future__ import annotations

import struct

from wakeport.bypass.table import TABLE
from wakeport.netlink.messages import FOUR, INET, SIX
from wakeport.netlink.nftables import Chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

OURS = -110  # the priority of our own chain, see table.py
PREROUTING, INPUT = 0, 1  # NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN

OLD_TABLES = ("/proc/net/ip_tables_names", "/proc/net/ip6_tables_names")  # those of iptables-legacy(8)
NAMES = "latin-1"  # of interfaces: any bytes, as they are
FILTERING = ("filter", "mangle", "security")


def filtered_by(chains: Iterable[Chain], old: Iterable[str]) -> str:
    """What may keep traffic from a port of this machine, and does not see what is sent on; else empty.

    `chains` are those of nftables, and so of iptables-nft(8), `old` the tables of the older iptables. A chain
    without rules that lets all pass is none. One of INPUT is named before any other.
    """
    for chain in sorted(chains, key=lambda one: one.hook != INPUT):
        behind_ours = chain.hook == PREROUTING and chain.priority > OURS
        if (
            (chain.hook == INPUT or (behind_ours and chain.kind != "nat"))
            and chain.family in (INET, FOUR, SIX)
            and chain.table != TABLE
            and (chain.rules or chain.drops)
        ):
            return f"{chain.table} {chain.name}"
    for table in old:
        if table in FILTERING:
            return f"iptables-legacy {table}"
    return ""


def old_tables() -> list[str]:
    found = []
    for path in OLD_TABLES:
        try:
            with open(path, encoding="ascii") as file:
                found += file.read().split()
        except OSError:
            continue  # this kernel has none, or keeps them to itself
    return found


def interface_to(address: bytes) -> str:
    """By which interface an address is reached; empty where it is not, or only by way of others."""
    return _interface("/proc/net", address)


def answers_from(pid: int, address: bytes) -> bool:
    """Whether a container answers the world by the network in which it has that address, see proc(5).

    In several, or in one that leads nowhere, it may not: what comes back by another bridge is dropped where
    the machine is strict about that (rp_filter). `pid` is a process of it.
    """
    four = len(address) == 4
    by = _interface(f"/proc/{pid}/net", address)
    return bool(by) and by == (default_four if four else default_six)(_routes(f"/proc/{pid}/net", four))


def _interface(directory: str, address: bytes) -> str:
    four = len(address) == 4
    return (interface_four if four else interface_six)(_routes(directory, four), address)


def _routes(directory: str, four: bool) -> str:
    try:
        with open(f"{directory}/{'route' if four else 'ipv6_route'}", encoding=NAMES) as file:
            return file.read()
    except OSError:
        return ""


def default_four(table: str) -> str:
    """By which interface all else is reached; empty where it is not."""
    for line in table.splitlines()[1:]:
        interface, network, *_, mask = line.split()[:8]
        if not int(network, 16) and not int(mask, 16):
            return interface
    return ""


def default_six(table: str) -> str:
    for line in table.splitlines():
        columns = line.split()
        if not int(columns[1], 16) and columns[9] != "lo":
            return columns[9]
    return ""


def interface_four(table: str, address: bytes) -> str:
    """As /proc/net/route has it, proc(5): hexadecimal words in the machine's byte order."""
    wanted = int.from_bytes(address, "big")
    best = (-1, "")
    for line in table.splitlines()[1:]:
        interface, network, gateway, *_, mask = line.split()[:8]
        first, last = (_word(network), _word(mask))
        if wanted & last == first and last.bit_count() > best[0]:
            best = (last.bit_count(), interface if not int(gateway, 16) else "")
    return best[1]


def interface_six(table: str, address: bytes) -> str:
    """As /proc/net/ipv6_route has it, net/ipv6/route.c: network, its bits, source, its bits, gateway."""
    wanted = int.from_bytes(address, "big")
    best = (-1, "")
    for line in table.splitlines():
        columns = line.split()
        bits = int(columns[1], 16)
        apart = (wanted ^ int(columns[0], 16)) >> (128 - bits)
        if not apart and bits > best[0] and columns[9] != "lo":
            best = (bits, columns[9] if not int(columns[4], 16) else "")
    return best[1]


def _word(written: str) -> int:
    [value] = struct.unpack(">I", struct.pack("=I", int(written, 16)))
    return int(value)
