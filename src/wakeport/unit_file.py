"""A unit file as text: ordered sections with ordered settings, closed by the mark of who owns it.

Never a dict: order matters to readers, and to systemd where a key repeats.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from wakeport.quoting import value

MARK: Final = "X-Wakeport"  # systemd ignores sections that begin with X-, systemd.unit(5)

Settings = list[tuple[str, str]]
Unit = list[tuple[str, Settings]]

PYTHON: Final = "/usr/bin/python3"

# For the sockets too: one that is stopped and started by hand six times in 10 s would stay closed.
NO_START_LIMIT: Final[Settings] = [("StartLimitIntervalSec", "0")]


def description(text: str) -> tuple[str, str]:
    return ("Description", value(text))


def render(unit: Unit, service: str, version: str) -> str:
    """The unit's text, with a digest of all that stands above the mark of ownership."""
    lines = []
    for section, settings in unit:
        lines += [f"[{section}]", *(f"{key}={text}" for key, text in settings), ""]
    body = "".join(f"{line}\n" for line in lines)
    return f"{body}[{MARK}]\nService={service}\nVersion={version}\nDigest={_digest(body)}\n"


def owner(text: str) -> str | None:
    """The service that a unit's text belongs to, None where it is not wakeport's."""
    mark = text.rpartition(f"\n[{MARK}]\n")[2] if f"\n[{MARK}]\n" in text else ""
    found = re.search(r"^Service=(.+)$", mark, re.MULTILINE)
    return found[1] if found else None


def edited(text: str) -> bool:
    """Whether a person has changed a unit of wakeport's since it was written."""
    body, _, mark = text.rpartition(f"[{MARK}]\n")
    found = re.search(r"^Digest=(.+)$", mark, re.MULTILINE)
    return found is None or found[1] != _digest(body)


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]
