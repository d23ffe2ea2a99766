"""Whose services they are: those of the system, or those of one user who has a systemd of their own.

All that differs between the two is said here, as values; nobody else asks which of them it is but to learn
what has no meaning for the other.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from wakeport.errors import BadInput
from wakeport.kinds import RUNTIMES
from wakeport.runtimes.own import run_directory

# What is a verb behind `wakeport`, and no sentence about it.
_VERBS: Final = "add|apply|check|diff|doctor|history|keep|logs|release|remove|sleep|status|units|wake"
_COMMANDS: Final = re.compile(rf"\b(?:sudo )?(systemctl|journalctl|wakeport(?= (?:{_VERBS})\b))(?! --user)")


class Scope(NamedTuple):
    """A manager of systemd's ("runtime scope" is its own word), and what its services have.

    Paths are as the machine sees them.

    `runtimes` has the package of runtimes/ for each runtime that there is; `refused` says why not, of the
    others. `group` may open leases beside the services' owner; empty for nobody.
    """

    user: str  # who alone may ask it; empty for that of the system
    options: tuple[str, ...]  # of systemctl and journalctl
    environment: Mapping[str, str]  # which these need beside their own
    configuration: str
    units: str
    programs: str
    run: str
    group: str
    uid: str  # who writes what is said of its services to the journal
    unit_field: str  # under which the journal keeps the name of who wrote
    unit_option: str  # of journalctl, to ask for that
    boot_target: str  # what it starts by itself
    socket: str  # what it listens on itself; empty where the proxy may not ask there
    runtimes: Mapping[str, str]
    refused: str
    away: tuple[str, str]  # what is, and what to do, where it does not answer
    made: tuple[str, ...] = ()  # directories that may not have been there, from the inside out

    def package(self, runtime: str) -> str:
        """Raises BadInput where it has no such runtime."""
        if runtime not in self.runtimes:
            raise BadInput(
                f'runtime = "{runtime}": {self.refused}', f"--runtime takes {' or '.join(self.runtimes)} here"
            )
        return self.runtimes[runtime]

    def spoken(self, hint: str) -> str:
        return spoken(hint, to_user=bool(self.user))


def spoken(hint: str, *, to_user: bool) -> str:
    """A hint with commands in it, as they are typed for the services of the system, or of a user."""
    return _COMMANDS.sub(r"\1 --user", hint) if to_user else hint


SYSTEM: Final = Scope(
    user="",
    options=(),
    environment={},
    configuration="/etc/wakeport",
    units="/etc/systemd/system",
    programs="/usr/local/lib/wakeport",
    run="/run/wakeport",
    group="wakeport",
    uid="0",
    unit_field="_SYSTEMD_UNIT",
    unit_option="--unit",
    boot_target="multi-user.target",
    socket="",
    runtimes={name: name for name in RUNTIMES},
    refused="",
    away=("systemd does not run this machine", "scripts/lab boots one to try wakeport in"),
)


def of_user(user: str, uid: int, environment: Mapping[str, str], run_directory: str) -> Scope:
    """That of the user who is called so, in whose `environment` we run. Paths by file-hierarchy(7)."""
    home = environment["HOME"]
    configuration = environment.get("XDG_CONFIG_HOME") or ""
    if not configuration.startswith("/"):
        configuration = f"{home}/.config"
    units = f"{configuration}/systemd/user"
    return Scope(
        user=user,
        options=("--user",),
        environment={"XDG_RUNTIME_DIR": run_directory},
        configuration=f"{configuration}/wakeport",
        units=units,
        programs=f"{home}/.local/lib/wakeport",
        run=f"{run_directory}/wakeport",
        group="",
        uid=str(uid),
        unit_field="_SYSTEMD_USER_UNIT",
        unit_option="--user-unit",
        boot_target="default.target",
        socket=f"{run_directory}/systemd/private",
        runtimes={"podman": "rootless", "unit": "user_unit"},
        refused="its containers are root's, and --user has no part in them",
        away=(f"no systemd runs for {user}", f"log in anew, or as root: loginctl enable-linger {user}"),
        made=(units, f"{configuration}/systemd", f"{home}/.local/lib", f"{home}/.local"),
    )


def callers_own() -> Scope:
    """That of whoever runs this. Raises BadInput where that is root, whose services are the system's.

    Their home is what passwd(5) says, as it is to their manager.
    """
    uid = os.geteuid()
    if uid == 0:
        raise BadInput(
            "root's services are those of the system", "leave --user out, or type this as the user"
        )
    try:
        account = pwd.getpwuid(uid)
        user, home = account.pw_name, account.pw_dir
    except KeyError:
        raise BadInput(
            f"nobody here has the number {uid}", "log in as a user that this machine knows"
        ) from None
    return of_user(user, uid, {**os.environ, "HOME": home}, run_directory())
