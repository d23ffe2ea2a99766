"""What doctor has found: a fact, what to do about it, and whether it keeps a service from working."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """`about` is a service's name, or "" for the machine."""

    about: str
    fact: str
    hint: str
    wrong: bool = True
