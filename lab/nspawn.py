"""A machine of systemd-nspawn in a lab: one program, with a veth pair to the bridge."""

from __future__ import annotations

from lab import rootfs
from lab.machine import Lab

# Run on the host behind the start: no program inside does it, the image has one, and that is a server.
GIVE_ADDRESS = """
read -r first _ </proc/$MAINPID/task/$MAINPID/children
exec nsenter --target "$first" --net sh -ec "ip link set host0 up; ip address add $1/24 dev host0"
"""
GIVER = "/run/test-address"  # where it lies


def unit(name: str) -> str:
    return f"systemd-nspawn@{name}.service"


def settings_file(name: str) -> str:
    return f"/etc/systemd/nspawn/{name}.nspawn"


def root(name: str) -> str:
    return f"/var/lib/machines/{name}"


def group(name: str) -> str:
    """Of what runs inside, below /sys/fs/cgroup."""
    return f"machine.slice/{unit(name)}/payload"


def settings(lab: Lab, program: str, signal: str = "SIGRTMIN+4") -> list[str]:
    """The lines of its .nspawn file. Without a `signal` systemd-nspawn kills it at once."""
    return [
        *("[Exec]", "Boot=no", "ProcessTwo=yes", "PrivateUsers=no", "LinkJournal=no"),
        *([f"KillSignal={signal}"] if signal else []),
        *(f"Environment={key}={value}" for key, value in rootfs.ENVIRONMENT.items()),
        f"Parameters={program}",
        f"LimitNOFILE={_hard_limit(lab)}",
        *("[Network]", f"Bridge={rootfs.BRIDGE}"),
    ]


def drop_in(address: str) -> list[str]:
    """What its unit needs beside."""
    return ["[Service]", f"ExecStartPost=/bin/sh {GIVER} {address}"]


def _hard_limit(lab: Lab) -> str:
    """Of descriptors; systemd-nspawn gives a thousand by itself."""
    return lab.run(["sh", "-c", "ulimit -Hn"]).stdout.strip()
