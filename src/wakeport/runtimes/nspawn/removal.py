"""What is left of a machine whose connection is over: nothing, once its unit's group and mounts are gone."""

from __future__ import annotations

MADE_WITHIN = 0.0


def remove(_name: str) -> bool:
    return True
