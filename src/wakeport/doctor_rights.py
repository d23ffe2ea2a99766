"""Whether those may do their part whom services need: the system's account and its group, or a user."""

from __future__ import annotations

import grp
import os
from collections.abc import Sequence

from wakeport import user_rights
from wakeport.finding import Finding
from wakeport.layout import Layout
from wakeport.scope import Scope
from wakeport.socket_unit import GROUP
from wakeport.systemd import Systemd


def rights(layout: Layout, systemd: Systemd, runtimes: Sequence[str]) -> list[Finding]:
    """Raises OutOfReach where the user has no manager: of its services there is nothing to be said then."""
    if layout.scope.user:
        systemd.show(["default.target"], ["ActiveState"])
        return login(layout.scope, runtimes)
    return [*(account_there() if layout.services() else []), *caller_may_look(layout)]


def account_there() -> list[Finding]:
    if any(entry.gr_name == GROUP for entry in grp.getgrall()):
        return []
    return [Finding("", f"there is no group {GROUP}", "sudo wakeport apply makes it again")]


def caller_may_look(layout: Layout) -> list[Finding]:
    """A person who is neither root nor in the group can look, but not wake."""
    leases = sorted(layout.run.glob("*.lease")) if layout.run.is_dir() else []
    if all(os.access(lease, os.R_OK | os.W_OK) for lease in leases):
        return []
    hint = f"to wake as well: sudo usermod -aG {GROUP} $USER, then log in anew"
    return [Finding("", f"you are not in the group {GROUP}", hint, wrong=False)]


def login(scope: Scope, runtimes: Sequence[str]) -> list[Finding]:
    """What a user's services need that a login alone does not bring."""
    found = user_rights.not_lingering(scope.user)
    if "podman" in runtimes:
        found += user_rights.without_subordinates(scope.user, int(scope.uid))
    return [Finding("", fact, hint, wrong=False) for fact, hint in found]
