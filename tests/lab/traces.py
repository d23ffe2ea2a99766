"""What a command may leave behind on a machine: files, users, groups."""

from __future__ import annotations

from typing import Final

from lab import Lab

# What changes by itself, and what useradd and userdel write anew, whoever calls them; of those files the
# content is compared.
NOT_LOOKED_AT: Final = r"/run/(docker|containerd|log|systemd/(journal|units|inaccessible)|user|udev)"
ACCOUNTS: Final = r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-? "


def files_and_accounts(lab: Lab) -> list[str]:
    """Every file with its mode and owner and the time of its last change, and every user and group."""
    each = "find /etc /usr/local /run -xdev -printf '%p %y %m %U %G %l\\n'"
    changed = "find /etc /usr/local -xdev -type f -printf '%p %s %T@\\n'"
    script = f"({each}; {changed}) | grep -vE '^({NOT_LOOKED_AT}|{ACCOUNTS})' | sort"
    return lab.run(["sh", "-c", f"{script}; cat /etc/passwd /etc/group /etc/shadow"]).stdout.splitlines()
