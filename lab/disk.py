"""What a lab's disk holds that the host's does not, and the other way round.

The disk is an overlay over the host's root: every program of the host is there. What would make one
host's lab differ from another's is taken out here, once, before the first boot.
"""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

# The only units that a boot may start by itself. Whatever else the host has enabled (a database, a web
# server, timers of apt) is masked: a lab is the same on every machine, and it is up in seconds.
KEPT_UNITS = frozenset(
    {
        "containerd.service",
        "dbus.service",
        "dbus.socket",
        "docker.service",
        "docker.socket",
        "systemd-journal-flush.service",
        "systemd-journald-dev-log.socket",
        "systemd-journald.service",
        "systemd-journald.socket",
        "systemd-tmpfiles-setup.service",
    }
)

UNIT_DIRECTORIES = ("etc/systemd/system", "lib/systemd/system", "usr/local/lib/systemd/system")
GENERATOR_DIRECTORIES = ("lib/systemd/system-generators", "usr/local/lib/systemd/system-generators")

# Of the host and not the lab's: its own wakeport, its containers' configuration, its logs.
TAKEN_OUT = (
    "etc/wakeport",
    "usr/local/lib/wakeport",
    "usr/local/bin/wakeport",
    "var/lib/wakeport",
    "etc/systemd/system/*wakeport*",
    "etc/systemd/system/*.wants/*wakeport*",
    "etc/docker",
    "etc/default/docker",
    "etc/systemd/system/docker.*.d",
    "etc/systemd/system/containerd.*.d",
    "root/.docker",
    "var/log/journal",
    # A client from elsewhere would stand before the distribution's on PATH, and newer ones refuse to
    # speak to its older Engine.
    "usr/local/*bin/docker",
    "usr/local/*bin/dockerd",
    "usr/local/*bin/containerd*",
    "usr/local/*bin/runc",
    "etc/containers/containers.conf*",
    "etc/containers/storage.conf",
)

ACCOUNT_FILES = ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")


def prepare(root: Path, wakeport: Path) -> None:
    """Make the host's tree at `root` a lab's own; `wakeport` is the program that goes on its PATH."""
    for pattern in TAKEN_OUT:
        for found in root.glob(pattern):
            _remove(found)
    _forget_account(root / "etc", "wakeport")
    _mask_units(root)
    _write(root / "etc/hostname", "lab\n")
    _write(root / "etc/hosts", "127.0.0.1 localhost lab\n::1 localhost lab\n")
    _write(root / "etc/machine-id", f"{uuid.uuid4().hex}\n")
    _write(root / "etc/fstab", "")
    # Without a rate limit and across reboots: a test may look for any line. In one file: when journald 252
    # begins a new one it writes the last line of the old one twice (measured).
    _write(
        root / "etc/systemd/journald.conf.d/lab.conf",
        "[Journal]\nStorage=persistent\nRateLimitBurst=0\nForwardToConsole=no\n"
        "SystemMaxUse=512M\nSystemMaxFileSize=512M\n",
    )
    (root / "var/log/journal").mkdir(parents=True)
    # Or each boot would try to empty /tmp, in which the host's checkout may lie.
    _link(root / "etc/tmpfiles.d/tmp.conf", "/dev/null")
    _link(root / "etc/systemd/system/default.target", "/lib/systemd/system/multi-user.target")
    _link(root / "usr/local/bin/wakeport", str(wakeport))


def _mask_units(root: Path) -> None:
    # lxc@.service wishes for these two: a name server on port 53, and a wait for its network.
    wanted = {"lxc.service", "lxc-net.service"}
    for directory in UNIT_DIRECTORIES:
        for pattern in ("*.wants/*", "*.requires/*"):
            wanted |= {unit.name for unit in (root / directory).glob(pattern)}
    for unit in wanted - KEPT_UNITS:
        # Targets only group others, and masking one that another unit requires makes that one fail.
        if not unit.endswith(".target"):
            _link(root / "etc/systemd/system" / unit, "/dev/null")
    # Generators make units of the host's fstab, init scripts and clusters; a lab wants none of those.
    for directory in GENERATOR_DIRECTORIES:
        for generator in (root / directory).glob("*"):
            _link(root / "etc/systemd/system-generators" / generator.name, "/dev/null")


def _forget_account(etc: Path, name: str) -> None:
    for file in ACCOUNT_FILES:
        path = etc / file
        if path.exists():
            lines = path.read_text().splitlines(keepends=True)
            kept = [line for line in lines if not line.startswith(f"{name}:")]
            if kept != lines:
                path.write_text("".join(kept))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Some of these are links on some hosts, and their targets are the host's.
    path.unlink(missing_ok=True)
    path.write_text(text)


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() or path.exists():
        _remove(path)
    path.symlink_to(target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
