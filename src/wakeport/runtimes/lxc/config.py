"""Where the config of a container lies, and what it says; lxc.container.conf(5)."""

from __future__ import annotations

import os

from wakeport.runtimes.lxc.name import path, runs
from wakeport.runtimes.problems import Missing, Refused


def directory(name: str, root: str = "") -> str:
    """Raises Missing: the unit itself exists for every name."""
    found = f"{path(root)}/{name}"
    if not os.path.exists(f"{root}{found}/config"):
        raise Missing(f"there is no container {name} in {path(root)}")
    return found


def config(name: str, root: str = "") -> list[tuple[str, str]]:
    """In order; an empty value takes back what was said before. What it includes is left out."""
    return entries(_read(f"{root}{directory(name, root)}/config"))


def entries(text: str) -> list[tuple[str, str]]:
    found = []
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not key.lstrip().startswith("#"):
            found.append((key.strip(), value.strip()))
    return found


def refuse_where_unit_does_not_run_it(name: str, root: str = "") -> None:
    """Raises Refused where a person has it running beside its unit, which could neither start nor stop it."""
    if runs(name, root):
        raise Refused(
            f"container {name} runs outside of lxc@{name}.service: lxc-stop -n {name}, "
            f"and start it with systemctl start lxc@{name}"
        )


def _read(file_path: str) -> str:
    try:
        with open(file_path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
