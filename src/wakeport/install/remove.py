"""How a service goes, and leaves nothing behind."""

from __future__ import annotations

import shutil
from pathlib import Path

from wakeport.install import bypass_table, files, retire
from wakeport.install.host import Host
from wakeport.install.plan import Plan
from wakeport.units import names


def remove(host: Host, plan: Plan) -> list[Path]:
    """Stop, disable and delete what `plan` (a removal) names; returns a person's drop-ins, which stay.

    The supervisor's end stops a container that it woke, and leaves one that was
    started by hand. The settings go last: interrupted, the same command goes on
    from there. The lock must be held. Raises Problem or OSError.
    """
    called = names(plan.service)
    units = [change.path.name for change in plan.changes if change.path.name in called]
    retire.stop(host, called, units)
    for change in plan.changes:
        if change.path != host.layout.settings(plan.service):
            files.remove(change.path)
    host.systemd.reload()
    retire.forget(host, units)
    shutil.rmtree(host.layout.state(plan.service), ignore_errors=True)
    bypass_table.drop_unneeded(host, plan)
    host.layout.lease(plan.service).unlink(missing_ok=True)
    host.layout.settings(plan.service).unlink(missing_ok=True)
    files.remove_empty(host.layout.configuration)
    files.remove_empty(host.layout.run)
    host.clean()
    return _drop_ins(host, plan.service)


def _drop_ins(host: Host, service: str) -> list[Path]:
    directories = [host.layout.drop_ins(name) for name in names(service).files]
    for directory in directories:
        files.remove_empty(directory)
    return [path for directory in directories if directory.is_dir() for path in sorted(directory.iterdir())]
