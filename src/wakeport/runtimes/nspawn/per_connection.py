"""A machine of systemd-nspawn for each connection, which is its program's own standard input and output.

All have the same directory, which none can change. Nobody registers them: machined keeps a name for each,
and has to be asked for it.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from wakeport.runtimes.per_connection import SCRATCH, Asked, Start, limits
from wakeport.runtimes.problems import Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM: Final = "/usr/bin/systemd-nspawn"
DIRECTORY: Final = "/var/lib/machines"
MAKE: Final = f"a root directory of that name in {DIRECTORY}, or a link to one, is what each machine has"

OWN: Final = 8  # systemd-nspawn, what it forks on its way, and the first process inside: 4, and some air

NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")
NETWORKS: Final = ("none", "host")

# Of those that systemd-nspawn leaves to root, what Docker does not, and mknod(2) with them.
DROPPED: Final = (
    *("AUDIT_CONTROL", "DAC_READ_SEARCH", "IPC_OWNER", "LEASE", "LINUX_IMMUTABLE", "MKNOD", "NET_ADMIN"),
    *("NET_BROADCAST", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_PTRACE", "SYS_RESOURCE", "SYS_TTY_CONFIG"),
)


def has_image(name: str) -> bool:
    """Raises Unreachable to whom it is hidden."""
    try:
        os.stat(f"{DIRECTORY}/{name}/.")
    except PermissionError as error:
        raise Unreachable(f"{DIRECTORY} is closed to you") from error
    except OSError:
        return False
    return True


def refused(asked: Asked) -> Iterator[tuple[str, str]]:
    """Settings that it cannot fulfil, each with its reason."""
    if not NAME.fullmatch(asked.image):
        yield "image", f"{asked.image!r} cannot be the name of a directory in {DIRECTORY}"
    if not asked.command:
        yield "command", "is missing; a directory has none of its own"
    if asked.network not in NETWORKS:
        known = " or ".join(f'"{one}"' for one in NETWORKS)
        yield "network", f"nobody gives a fresh machine an address; say {known}"


def start(asked: Asked) -> Start:
    options = [
        *(PROGRAM, "--quiet", "--pipe", "--as-pid2", "--register=no", "--keep-unit", "--settings=no"),
        *("--link-journal=no", "--resolv-conf=off", "--timezone=off"),
        f"--directory={DIRECTORY}/{asked.image}",
        *(["--read-only", f"--tmpfs={SCRATCH}"] if asked.read_only else ["--volatile=overlay"]),
        *([] if asked.network == "host" else ["--private-network"]),
        "--no-new-privileges=yes",
        f"--drop-capability={','.join(f'CAP_{one}' for one in DROPPED)}",
        *("--setenv=REMOTE_ADDR", "--setenv=REMOTE_PORT"),
    ]
    return Start(
        options,
        name="--machine=wakeport-",  # a host's name has 64 characters at most
        what=["--", *asked.command],
        settings=[
            ("Type", "exec"),
            ("Delegate", "yes"),
            # As in its own unit. What it leaves behind where it is killed lies here, and goes with the unit.
            ("DevicePolicy", "closed"),
            ("DeviceAllow", "char-pts rw"),
            ("TemporaryFileSystem", "/tmp /run/systemd/nspawn:mode=700"),
            *limits(asked, OWN),
        ],
        after=(),
        confined=False,
    )
