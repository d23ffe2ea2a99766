"""Put a lab's root together and become its systemd. Runs as the first process of new namespaces.

Called as `python -m lab.boot DISK CONSOLE WAKEPORT SHARED...`: the directory of the disk, the
terminal that becomes /dev/console, the program for PATH, and the directories of the host that the lab
sees live and read-only.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

from lab import disk

DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "fuse", "net/tun")

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    # Any value makes systemd behave as in a container: https://systemd.io/CONTAINER_INTERFACE
    "container": "unshare",
    "TERM": "dumb",
    # PID 1 says READY=1 here when the boot is over, as it does under systemd-nspawn.
    "NOTIFY_SOCKET": "/run/host/notify",
}


def main() -> None:
    store, console, wakeport, *shared = (Path(argument) for argument in sys.argv[1:])
    root = store / "root"
    _mount_disk(store, root)
    if not (store / "upper/etc/hostname").exists():
        disk.prepare(root, wakeport)
    _mount_kernel(store, root)
    _mount_devices(root / "dev", console)
    _mount("-t", "tmpfs", "-o", "mode=755,nosuid,nodev", "tmpfs", root / "run")
    _mount("-t", "tmpfs", "-o", "mode=1777,nosuid,nodev", "tmpfs", root / "tmp")
    for path in shared:
        inside = root / path.relative_to("/")
        inside.mkdir(parents=True, exist_ok=True)
        _mount("--bind", path, inside)
        _mount("-o", "remount,bind,ro", inside)
    _bind_file(store / "notify", root / "run/host/notify")
    _enter(root)
    os.execve("/lib/systemd/systemd", ["/lib/systemd/systemd", "--system", "--show-status=1"], ENVIRONMENT)


def _mount_disk(store: Path, root: Path) -> None:
    options = f"lowerdir=/,upperdir={store / 'upper'},workdir={store / 'work'}"
    _mount("-t", "overlay", "-o", options, "overlay", root)
    # Docker cannot put an overlay on an overlay and would fall back to copying whole images: these two
    # lie on the memory disk itself, which also hides what the host keeps there.
    for name in ("docker", "containerd"):
        inside = root / "var/lib" / name
        inside.mkdir(parents=True, exist_ok=True)
        _mount("--bind", store / name, inside)


def _mount_kernel(store: Path, root: Path) -> None:
    proc, sysfs = root / "proc", root / "sys"
    _mount("-t", "proc", "-o", "nosuid,nodev,noexec", "proc", proc)
    # Settings of the kernel belong to the host, except those of this network namespace. Read-only, they
    # also make the units that would change them (sysctl, udev, binfmt) skip themselves.
    _mount("--bind", proc / "sys", proc / "sys")
    _mount("--bind", proc / "sys/net", proc / "sys/net")
    _mount("-o", "remount,bind,ro", proc / "sys")
    # The kernel knows of one boot, its own; journalctl and others tell boots apart by this.
    boot_id = store / "boot_id"
    boot_id.write_text(f"{uuid.uuid4()}\n")
    _mount("--bind", boot_id, proc / "sys/kernel/random/boot_id")
    _mount("-t", "sysfs", "-o", "nosuid,nodev,noexec,ro", "sysfs", sysfs)
    _mount("-t", "cgroup2", "-o", "nosuid,nodev,noexec", "cgroup2", sysfs / "fs/cgroup")


def _mount_devices(dev: Path, console: Path) -> None:
    """An own /dev: journald and others make links and sockets there, which would stay on the host's."""
    _mount("-t", "tmpfs", "-o", "mode=755,nosuid", "tmpfs", dev)
    for name in DEVICES:
        if Path("/dev", name).exists():
            _bind_file(Path("/dev", name), dev / name)
    for name, target in {"fd": "fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}.items():
        (dev / name).symlink_to(f"/proc/self/{target}")
    _bind_file(console, dev / "console")
    for name, kind, options in (
        ("pts", "devpts", "newinstance,ptmxmode=0666,mode=620,gid=5"),
        ("shm", "tmpfs", "mode=1777,nosuid,nodev"),
        ("mqueue", "mqueue", "nosuid,nodev,noexec"),
    ):
        (dev / name).mkdir()
        _mount("-t", kind, "-o", options, kind, dev / name)
    (dev / "ptmx").symlink_to("pts/ptmx")


def _enter(root: Path) -> None:
    """Make `root` the root of this mount namespace, so that the host's mounts are gone from it."""
    os.chdir(root)
    subprocess.run(["pivot_root", ".", "."], check=True)
    # Both roots are stacked on this directory now; the upper one is the host's. pivot_root(2), Notes.
    subprocess.run(["umount", "--lazy", "."], check=True)
    os.chdir("/")


def _bind_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch()
    _mount("--bind", source, target)


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main()
