"""The process that a lab hangs on: it owns the disk and the cgroup, starts boots, and cleans up.

It runs in a mount namespace of its own, in which alone the disk is mounted, and obeys lines on stdin:
`boot` starts systemd, `cut` ends it as a power cut does. It says `up PID` when a boot has finished and
`down` when nothing of it runs any more. The end of stdin, thus also the death of whoever holds the
other end, ends everything.

Called as `python -m lab.holder DISK WAKEPORT SHARED...` (see `lab.boot`).
"""

from __future__ import annotations

import os
import select
import socket
import struct
import subprocess
import sys
from pathlib import Path

NAMESPACES = ("--mount", "--pid", "--fork", "--kill-child", "--net", "--ipc", "--uts", "--cgroup")


class Holder:
    def __init__(self, disk: Path, arguments: list[str]) -> None:
        self.disk = disk
        self.arguments = arguments
        self.booted: subprocess.Popen[bytes] | None = None
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", disk], check=True)
        for name in ("upper", "work", "root", "docker", "containerd", "cgroup"):
            (disk / name).mkdir()
        self.cgroup = Cgroup(disk / "cgroup", f"wakeport-lab-{os.getpid()}")
        self.console, self.terminal = os.openpty()
        self.log = os.open(disk / "console.log", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.notify.bind(str(disk / "notify"))

    def run(self) -> None:
        """Obey until stdin ends."""
        poll = select.poll()
        for file in (sys.stdin, self.console, self.notify, self.cgroup.events):
            poll.register(file, select.POLLPRI if file is self.cgroup.events else select.POLLIN)
        say("ready")
        while True:
            for fd, _ in poll.poll():
                if fd == sys.stdin.fileno():
                    match sys.stdin.readline():
                        case "boot\n":
                            self.boot()
                        case "cut\n":
                            self.cgroup.kill()
                        case _:
                            return
                elif fd == self.console:
                    os.write(self.log, os.read(self.console, 65536))
                elif fd == self.notify.fileno():
                    self.hear()
                elif not self.cgroup.populated() and self.booted:
                    self.booted.wait()
                    self.booted = None
                    say("down")

    def boot(self) -> None:
        console = os.ttyname(self.terminal)
        become_systemd = [sys.executable, "-m", "lab.boot", str(self.disk), console, *self.arguments]
        self.booted = subprocess.Popen(
            # Should the holder be killed, unshare goes with it, and with unshare the whole lab.
            ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES, *become_systemd],
            stdin=subprocess.DEVNULL,
            stdout=self.terminal,
            stderr=self.terminal,
            preexec_fn=self.cgroup.enter,
        )

    def hear(self) -> None:
        """Read one message of PID 1, in the words of sd_notify(3), with the sender's credentials."""
        message, ancillary, *_ = self.notify.recvmsg(4096, socket.CMSG_SPACE(12))
        if b"READY=1" in message.split(b"\n"):
            pid, _uid, _gid = struct.unpack("3i", ancillary[0][2][:12])
            say(f"up {pid}")

    def close(self) -> None:
        self.cgroup.kill()
        poll = select.poll()
        poll.register(self.cgroup.events, select.POLLPRI)
        while self.cgroup.populated():
            poll.poll()
        self.cgroup.remove()


class Cgroup:
    """A cgroup for one lab, on the unified hierarchy mounted at `mountpoint`."""

    def __init__(self, mountpoint: Path, name: str) -> None:
        # An own mount of it: hosts have it in different places, containers often read-only.
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", mountpoint], check=True)
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        own = mountpoint / next(line.removeprefix("0::/") for line in lines if line.startswith("0::/"))
        if Path("/run/systemd/system").is_dir():
            # `own` is a scope that the host's systemd has delegated. Controllers can be handed down only
            # from a cgroup without processes: https://systemd.io/CGROUP_DELEGATION
            (own / "holder").mkdir()
            (own / "holder/cgroup.procs").write_text("0")
            controllers = (own / "cgroup.controllers").read_text().split()
            (own / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))
        self.path = own / name
        self.path.mkdir()
        self.events = os.open(self.path / "cgroup.events", os.O_RDONLY | os.O_CLOEXEC)

    def enter(self) -> None:
        (self.path / "cgroup.procs").write_text("0")

    def populated(self) -> bool:
        """Whether a process runs in it. Reading this also arms the next POLLPRI on `events`."""
        return b"populated 1" in os.pread(self.events, 4096, 0)

    def kill(self) -> None:
        (self.path / "cgroup.kill").write_text("1")

    def remove(self) -> None:
        for directory, *_ in os.walk(self.path, topdown=False):
            Path(directory).rmdir()


def say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    disk, *arguments = sys.argv[1:]
    holder = Holder(Path(disk), arguments)
    try:
        holder.run()
    finally:
        holder.close()


if __name__ == "__main__":
    main()
