"""Which network a machine has, and which first process, by its settings; systemd.nspawn(5). Pure."""

from __future__ import annotations

from typing import NamedTuple

YES = ("1", "yes", "true", "on", "y", "t")

# Each gives it a network of its own; those of the first line one that the host may reach.
LINKED = ("VirtualEthernet", "VirtualEthernetExtra", "Bridge", "Zone", "Interface")
UNLINKED = ("MACVLAN", "IPVLAN")
SWITCHES = ("Private", "VirtualEthernet")


class Network(NamedTuple):
    own: bool  # not the host's
    linked: bool  # to the host, by which it is reached
    published: dict[str, list[tuple[str, int]]]  # as Container has it


def network(settings: str) -> Network:
    """By the text of its .nspawn file. Where that says nothing, the unit does: --network-veth."""
    found = list(_entries(settings, "Network"))
    told = {key for key, value in found if key in SWITCHES or (key in (*LINKED, *UNLINKED) and value)}
    given = {key for key, value in found if value and (key not in SWITCHES or value.lower() in YES)}
    if not told:
        return Network(own=True, linked=True, published=_published(found))
    own = bool(given & {"Private", *LINKED, *UNLINKED})
    return Network(own=own, linked=bool(given & set(LINKED)), published=_published(found))


def has_stub(settings: str) -> bool:
    """Whether a program of systemd-nspawn's own is the first process in the machine."""
    said = [value for key, value in _entries(settings, "Exec") if key == "ProcessTwo"]
    return bool(said) and said[-1].lower() in YES


def _published(found: list[tuple[str, str]]) -> dict[str, list[tuple[str, int]]]:
    """Port=[tcp:|udp:]HOST[:CONTAINER]"""
    published: dict[str, list[tuple[str, int]]] = {}
    for key, value in found:
        if key != "Port":
            continue
        for one in value.split():
            protocol, colon, ports = one.partition(":")
            if protocol not in ("tcp", "udp") or not colon:
                protocol, ports = "tcp", one
            outer, _, inner = ports.partition(":")
            if outer.isdecimal() and (inner or outer).isdecimal():
                published.setdefault(f"{inner or outer}/{protocol}", []).append(("", int(outer)))
    return published


def _entries(text: str, wanted: str) -> list[tuple[str, str]]:
    section, found = "", []
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif section == wanted and "=" in line and line[0] not in "#;":
            key, _, value = line.partition("=")
            found.append((key.strip(), value.strip()))
    return found
