"""The map that the kernel looks the bypass up in, as full as with many services."""

from __future__ import annotations

from typing import Final

from lab import Lab

MAP: Final = "inet wakeport awake4"
FIRST_PORT: Final = 20000  # of the others; nobody here asks for one of theirs
KEY: Final = "{port} . tcp . 0.0.0.0/0 . 0.0.0.0/0"  # for clients from everywhere, at every address
NOWHERE: Final = "10.255.0.1 . 80"  # where they would be sent


def fill(lab: Lab, number: int) -> None:
    """Add so many others, in one transaction."""
    lab.run(["nft", "-f", "-"], input=command("add", number))


def drain(lab: Lab, number: int) -> None:
    """Take them out again."""
    lab.run(["nft", "-f", "-"], input=command("delete", number))


def command(verb: str, number: int) -> str:
    """In the words of nft(8)."""
    sent = f" timeout 1h : {NOWHERE}" if verb == "add" else ""
    keys = (KEY.format(port=FIRST_PORT + each) for each in range(number))
    return f"{verb} element {MAP} {{ {', '.join(key + sent for key in keys)} }}\n"
