"""A service of the lab itself, with a root and a network of its own, so that it can serve any port."""

from __future__ import annotations

from lab import rootfs


def root(name: str) -> str:
    return f"/run/test-roots/{name}"


def service(name: str, network: str, command: str) -> list[str]:
    """The lines of its unit; `network` is as rootfs.namespace gives it, `command` as systemd reads it."""
    return [
        "[Service]",
        f"RootDirectory={root(name)}",
        "MountAPIVFS=yes",
        # nginx opens /dev/stderr, which a socket to the journal does not take.
        f"StandardOutput=append:/run/test-output-{name}",
        f"StandardError=append:/run/test-output-{name}",
        f"NetworkNamespacePath={network}",
        "LimitNOFILE=infinity",
        f"Environment={' '.join(f'{key}={value}' for key, value in rootfs.ENVIRONMENT.items())}",
        f"ExecStart={command}",
    ]
