"""The system user `wakeport`: proxies run as it, its group may look and wake."""

from __future__ import annotations

import grp
import pwd
import subprocess

from wakeport.errors import Problem
from wakeport.scope import Scope

NAME = "wakeport"
MADE_BY_US = "made by wakeport"  # the comment field of passwd(5): says who may remove it again


class Account:
    """Its methods raise Problem with the words of useradd or userdel."""

    def ensure(self) -> bool:
        """Make user and group where they are missing; whether that was so."""
        if _user_exists():
            return False
        group = ["--gid", NAME] if _group_exists() else ["--user-group"]
        command = ["useradd", "--system", *group, "--no-create-home", "--home-dir", "/nonexistent"]
        _run([*command, "--shell", "/usr/sbin/nologin", "--comment", MADE_BY_US, NAME])
        return True

    def remove(self) -> bool:
        """Remove them, where we made them; whether that was so."""
        if not _user_exists() or pwd.getpwnam(NAME).pw_gecos != MADE_BY_US:
            return False
        _run(["userdel", NAME])
        return True


class NoAccount(Account):
    """A user's services run as that user."""

    def ensure(self) -> bool:
        return False

    def remove(self) -> bool:
        return False


def account_of(scope: Scope) -> Account:
    return NoAccount() if scope.user else Account()


def _user_exists() -> bool:
    return any(entry.pw_name == NAME for entry in pwd.getpwall())


def _group_exists() -> bool:
    return any(entry.gr_name == NAME for entry in grp.getgrall())


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Problem(f"there is no {command[0]} here", "install it: apt install passwd") from None
    if done.returncode != 0:
        said = " ".join(done.stderr.split())
        raise Problem(f"{command[0]}: {said}", f"make the user {NAME} by hand, then try again")
