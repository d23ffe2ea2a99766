"""A service in the lab that gives each connection a container, and its clients."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shlex
import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from lab import Lab, podman, rootfs
from tests.lab.waiting import eventually
from wakeport.units import names

# Says in which container it is, then everything back.
ECHO: Final = ["sh", "-c", "cat /proc/sys/kernel/hostname; exec cat"]

RUNTIMES: Final = ("docker", "podman", "nspawn")
MACHINES: Final = "/var/lib/machines"

# What each has of the containers of `web`, whatever state they are in.
_CONTAINERS: Final = {
    "docker": "docker ps --all --quiet --filter=label=wakeport=web",
    "podman": "podman ps --all --quiet --filter=label=wakeport=web",
    # Its own places for the time that one runs, beside those of a machine that another test has killed;
    # and all mounts of those are in a namespace of their own.
    "nspawn": f"ls -d {MACHINES}/.#* /run/systemd/nspawn/*/wakeport-* /tmp/nspawn* 2>/dev/null || true",
}


class Heard(NamedTuple):
    """What one client heard; `error` is the name of an errno, or empty where the connection just ended."""

    first: float  # seconds from its connect to the first byte; 0 where none came
    seconds: float  # to the end
    data: bytes
    error: str


class PerConnection:
    """The service `web` on port 80."""

    def __init__(self, lab: Lab, runtime: str = "docker") -> None:
        self.lab = lab
        self.runtime = runtime
        self.units = names("web")
        if runtime == "podman":
            podman.set_up(lab)
        if runtime == "nspawn":
            self.tag("python")

    def add(self, command: Sequence[str], *settings: str, image: str = "python", listen: str = "80") -> None:
        """Make it, and then say what has no option; port 80 is open on return."""
        options = ["--mode=per-connection", f"--image={image}", f"--command={shlex.join(command)}"]
        if self.runtime != "docker":
            options.append(f"--runtime={self.runtime}")
        self.lab.run(["wakeport", "add", "web", f"--listen={listen}", *options])
        if settings:
            path = self.lab.root / "etc/wakeport/web.toml"
            above, header, listeners = path.read_text().partition("[[listener]]\n")
            path.write_text("\n".join([above.rstrip(), *settings, "", header + listeners]))
            self.lab.run(["wakeport", "apply", "web"])

    def drop_in(self, unit: str, text: str) -> None:
        """As `systemctl edit` has it; an empty `text` takes it back."""
        path = self.lab.root / f"etc/systemd/system/{unit}.d/test.conf"
        path.parent.mkdir(exist_ok=True)
        if text:
            path.write_text(text)
        else:
            path.unlink()
        self.lab.run(["systemctl", "daemon-reload"])

    def tag(self, image: str) -> None:
        """Have the image `python` by that name too."""
        if self.runtime == "nspawn":
            directory = rootfs.unpack(self.lab, "python")
            self.lab.run(["sh", "-c", f"mkdir -p {MACHINES}; ln -sfn {directory} {MACHINES}/{image}"])
        else:
            self.lab.run([self.runtime, "tag", "python", image])

    def untag(self, image: str) -> None:
        if self.runtime == "nspawn":
            self.lab.run(["rm", f"{MACHINES}/{image}"])
        else:
            self.lab.run([self.runtime, "rmi", image])

    def clean_up(self) -> None:
        """Before the shared lab is cleaned: a drop-in of a template is no unit that a pattern finds."""
        self.lab.run(
            ["sh", "-c", f"rm -rf /etc/systemd/system/{self.units.template}.d; systemctl daemon-reload"]
        )
        if self.runtime == "nspawn":
            self.untag("python")

    # What there is of it.

    @property
    def containers(self) -> list[str]:
        return self.lab.run(["sh", "-c", _CONTAINERS[self.runtime]]).stdout.split()

    @property
    def running(self) -> list[str]:
        """Containers, or instances where those are all that there is to see of one."""
        return self.instances if self.runtime == "nspawn" else self.containers

    @property
    def instances(self) -> list[str]:
        listed = self.lab.run(
            ["systemctl", "list-units", "--all", "--plain", "--no-legend", "wakeport-web@*"]
        )
        return [line.split()[0] for line in listed.stdout.splitlines()]

    @property
    def processes(self) -> list[str]:
        """Those of all instances, as the host numbers them."""
        found: list[str] = []
        for group, _below, _files in os.walk(self.lab.root / "sys/fs/cgroup/system.slice" / self.units.slice):
            with contextlib.suppress(OSError):  # it has gone meanwhile
                found += Path(group, "cgroup.procs").read_text().split()
        return found

    def of_socket(self, key: str) -> str:
        return self.lab.run(
            ["systemctl", "show", "--value", f"--property={key}", self.units.socket]
        ).stdout.strip()

    def nothing_is_left(self) -> None:
        """No container, no instance, no process, no connection that systemd counts; the port is open."""
        eventually("nothing left", lambda: not (self.containers or self.instances or self.processes))
        eventually("no connection is counted", lambda: self.of_socket("NConnections") == "0")
        assert self.of_socket("ActiveState") == "active"

    # Its clients.

    def connect(self, source: str = "", within: float = 60.0) -> socket.socket:
        with self.lab.network():
            return socket.create_connection(
                ("127.0.0.1", 80), timeout=within, source_address=(source, 0) if source else None
            )

    def talk(self, said: bytes = b"", within: float = 60.0) -> bytes:
        """One client that says something, then its end, and hears everything."""
        with self.connect(within=within) as client:
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
            return heard(client)

    def crowd(self, said: Sequence[bytes], at_once: int, within: float = 120.0) -> list[Heard]:
        """A client for each of `said`, so many at a time; each says it, then its end."""

        async def all_of_them() -> list[Heard]:
            room = asyncio.Semaphore(at_once)
            return await asyncio.gather(*(_client(one, room, within) for one in said))

        with self.lab.network():
            return asyncio.run(all_of_them())


def heard(client: socket.socket) -> bytes:
    """Everything to its end; a connection that is dropped with a reset has just ended."""
    data = b""
    try:
        while piece := client.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    return data


def reset(client: socket.socket) -> None:
    """Close it with a RST, as where a client's machine has lost the connection."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


async def _client(said: bytes, room: asyncio.Semaphore, within: float) -> Heard:
    async with room:
        began, first, data, error = time.monotonic(), 0.0, b"", ""
        loop = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            try:
                async with asyncio.timeout(within):
                    await loop.sock_connect(client, ("127.0.0.1", 80))
                    await loop.sock_sendall(client, said)
                    client.shutdown(socket.SHUT_WR)
                    while piece := await loop.sock_recv(client, 65536):
                        first = first or time.monotonic() - began
                        data += piece
            except OSError as broken:
                error = errno.errorcode.get(broken.errno or 0, str(broken) or "timed out")
        return Heard(first, time.monotonic() - began, data, error)
