"""Where a user's own manager and its services are reached: below the directory of the user's login.

Imported before the start call: built-in modules only.
"""

from __future__ import annotations

import posix


def run_directory() -> str:
    """XDG_RUNTIME_DIR, file-hierarchy(7); where nobody has said it, what pam_systemd(8) makes of the user."""
    said = posix.environ.get(b"XDG_RUNTIME_DIR", b"").decode(errors="surrogateescape")
    return said if said.startswith("/") else f"/run/user/{posix.getuid()}"


def systemd_socket() -> str:
    """What the user's manager listens on for its user alone, as that of the system does for root."""
    return f"{run_directory()}/systemd/private"
