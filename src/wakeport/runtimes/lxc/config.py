"""Where the config of a container lies, and what it says; lxc.system.conf(5) and lxc.container.conf(5)."""

from __future__ import annotations

import os

from wakeport.runtimes.problems import Missing, Refused

SYSTEM = "/etc/lxc/lxc.conf"
USUAL = "/var/lib/lxc"


def directory(name: str, root: str = "") -> str:
    """Raises Missing: the unit itself exists for every name."""
    found = f"{path(root)}/{name}"
    if not os.path.exists(f"{root}{found}/config"):
        raise Missing(f"there is no container {name} in {path(root)}")
    return found


def path(root: str = "") -> str:
    """The directory of all containers."""
    told = [value for key, value in entries(_read(root + SYSTEM)) if key == "lxc.lxcpath"]
    return told[-1] if told and told[-1] else USUAL


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
    """Raises Refused where a person has it running beside its unit, which then can neither start nor stop it.

    Who runs it listens on a socket of that name; unix(7), "abstract".
    """
    place = f" @{path(root)}/{name}/command"
    if any(line.endswith(place) for line in _read(f"{root}/proc/net/unix").splitlines()):
        raise Refused(
            f"container {name} runs outside of lxc@{name}.service: lxc-stop -n {name}, "
            f"and start it with systemctl start lxc@{name}"
        )


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
