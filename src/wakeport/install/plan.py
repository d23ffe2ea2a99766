"""What has to change for a service to be what its settings say. Pure, but for reading the files."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Final, NamedTuple

from wakeport.errors import InTheWay
from wakeport.layout import Layout
from wakeport.pass_fd import drop_in_of
from wakeport.socket_unit import OPENED_WITH
from wakeport.unit_file import MARK, owner
from wakeport.units import Names, names

_PASSED: Final = " pass_fd=yes"
_STORES: Final = "\nFileDescriptorStoreMax="


class Change(NamedTuple):
    """One file: what it contains (None: it is missing) and what it shall contain (None: it goes)."""

    path: Path
    old: str | None
    new: str | None


class Plan(NamedTuple):
    """The files to change, and what that means for what runs."""

    service: str
    changes: list[Change]
    gone: list[str]  # units that the service no longer has
    stop: list[str]  # units that cannot go on as they are
    restart: list[str]  # units whose next process goes on with every connection, if they run
    renew: bool  # the supervisor has a new command line, which it can take over without a stop
    keep: list[str]  # the timer and the program of its windows, where it has any

    @property
    def changed(self) -> list[str]:
        """The names of the files that change, come or go."""
        return [change.path.name for change in self.changes]

    def diff(self, layout: Layout) -> str:
        """As a unified diff, paths as the machine sees them."""
        return "".join(_diff(layout.inside(change.path), change.old, change.new) for change in self.changes)


def plan(layout: Layout, service: str, units: dict[str, str], settings: str | None = None) -> Plan:
    """The way from what is on disk to `units` (and to `settings`, where the service is new).

    Raises InTheWay where a file of one of these names is not wakeport's, or the settings are there already.
    """
    changes = []
    if settings is not None:
        refuse_existing(layout, service)
        changes.append(Change(layout.settings(service), None, settings))
    called = names(service)
    unit_changes = [_change(layout.unit(name), text) for name, text in units.items()]
    refuse_foreign(unit_changes, service)
    unit_changes += _no_longer(layout, service, [name for name in called.files if name not in units])
    gone = [change.path.name for change in unit_changes if change.new is None]
    unit_changes += _drop_ins_gone(layout, service, [layout.unit(name) for name in units])
    old = dict.fromkeys(called, "") | {change.path.name: change.old or "" for change in unit_changes}
    new = dict.fromkeys(called, "") | {change.path.name: change.new or "" for change in unit_changes}
    changes = [change for change in changes + unit_changes if change.old != change.new]
    stop = [name for name in _to_stop(called, old, new) if name in units]
    changed_proxy = old[called.proxy] != new[called.proxy] and called.proxy not in stop
    restart = [called.proxy] if changed_proxy and _hands_over(called, old, new) else []
    renew = _exec(old, called) != _exec(new, called) and called.supervisor not in gone
    keep = [name for name in called.keep if name in units]
    return Plan(service, changes, gone, stop, restart, renew, keep)


def removal(layout: Layout, service: str) -> Plan:
    """The way to nothing. The settings go last: while they stand, the command can be given again."""
    called = names(service)
    rest = [called.proxy, called.lease, called.supervisor]
    each = _no_longer(layout, service, [called.template])
    units = [called.socket] if each else [called.socket, *rest]
    changes = [Change(layout.unit(name), _read(layout.unit(name)), None) for name in units]
    refuse_foreign(changes, service)
    changes += each
    changes += _no_longer(layout, service, [*called.keep, *(rest if each else [])])
    changes += _drop_ins_gone(layout, service, [])
    changes.append(Change(layout.settings(service), _read(layout.settings(service)), None))
    changes = [change for change in changes if change.old is not None]
    return Plan(service, changes, units, [], [], renew=False, keep=[])


def refuse_existing(layout: Layout, service: str) -> None:
    path = layout.settings(service)
    if path.exists():
        raise InTheWay(
            f"there is a service {service} already", f"edit {path}, then: wakeport apply {service}"
        )


def refuse_foreign(changes: list[Change], service: str) -> None:
    for change in changes:
        if change.old is not None and owner(change.old) != service:
            raise InTheWay(
                f"{change.path} is in the way, and not wakeport's: it has no [{MARK}] section",
                "move it away, or choose another name for the service",
            )


def _no_longer(layout: Layout, service: str, units: list[str]) -> list[Change]:
    """Those of `units` that are this service's go; another's file of such a name is left alone."""
    changes = [_change(layout.unit(name), None) for name in units]
    return [change for change in changes if change.old is not None and owner(change.old) == service]


def _drop_ins_gone(layout: Layout, service: str, wanted: list[Path]) -> list[Change]:
    """Those of ours beside units of others that are not wanted any more."""
    changes = [
        _change(path, None) for path in layout.drop_ins_beside(drop_in_of(service)) if path not in wanted
    ]
    return [change for change in changes if owner(change.old or "") == service]


def listened_before(layout: Layout, service: str) -> set[str]:
    """What the socket unit on disk listens on: a place held by it is not taken by another."""
    text = _read(layout.unit(names(service).socket)) or ""
    listened = re.findall("^Listen(Stream|Datagram)=(.*)$", text, re.MULTILINE)
    return {f"{place}/udp" if kind == "Datagram" else place.replace("%%", "%") for kind, place in listened}


def _to_stop(called: Names, old: dict[str, str], new: dict[str, str]) -> list[str]:
    """What has to stop before the new texts count; nothing where only ways of running changed.

    Of a socket whose ListenStream= changed, daemon-reload alone leaves a unit that is
    "active" and refuses on the old and on the new port (measured on 252); its mode, too,
    is that with which it was opened. A proxy that cannot hand over cannot follow to other
    targets and rules, nor a supervisor to another container.
    """
    stop = []
    if _differ(f"(?m)^(?:{'|'.join(OPENED_WITH)})=.*", old[called.socket], new[called.socket]):
        stop += [called.socket, called.proxy]
    elif _differ(r"target=.*", old[called.proxy], new[called.proxy]) and not _hands_over(called, old, new):
        stop += [called.proxy]
    if stop and _PASSED in new[called.supervisor]:
        stop += [called.supervisor]  # its program would go on with the old sockets, and unwatched
    if _differ(r"\b(?:container|runtime|pass_fd)=[^\s\"]+", old[called.supervisor], new[called.supervisor]):
        stop += [called.supervisor]
    return list(dict.fromkeys(stop))


def _hands_over(called: Names, old: dict[str, str], new: dict[str, str]) -> bool:
    """Whether the proxy leaves its connections to the next one: socket-proxyd does not, nor did we once."""
    return all("/proxy.py" in texts[called.proxy] and _STORES in texts[called.proxy] for texts in (old, new))


def _differ(pattern: str, old: str, new: str) -> bool:
    return bool(old) and _all(pattern, old) != _all(pattern, new)


def _all(pattern: str, text: str) -> list[str]:
    return re.findall(pattern, text)


def _exec(units: dict[str, str], called: Names) -> list[str]:
    return _all("ExecStart=.*", units[called.supervisor])


def _change(path: Path, new: str | None) -> Change:
    return Change(path, _read(path), new)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="surrogateescape")
    except FileNotFoundError:
        # A dangling link is somebody's file too.
        return "" if path.is_symlink() else None


def _diff(path: str, old: str | None, new: str | None) -> str:
    lines = difflib.unified_diff(
        (old or "").splitlines(keepends=True),
        (new or "").splitlines(keepends=True),
        "/dev/null" if old is None else path,
        "/dev/null" if new is None else path,
    )
    return "".join(lines)
