"""The two protocols between systemd and a service: the sockets it passes, the words it is told.

sd_listen_fds(3) and sd_notify(3), which systemd declares stable.
"""

from __future__ import annotations

import os
import socket

FIRST_FD = 3  # SD_LISTEN_FDS_START, sd_listen_fds(3)


def listening_fds() -> list[int]:
    """The descriptors that systemd passed to this process, in the order of the socket unit's lines.

    Empty where there are none, or where they were meant for another process.
    Takes the variables out of the environment, so that no child believes them.
    """
    intended = os.environ.pop("LISTEN_PID", "")
    count = os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    pidfd_id = os.environ.pop("LISTEN_PIDFDID", "")
    if intended != str(os.getpid()) or not count.isdecimal():
        return []
    if pidfd_id and pidfd_id != _own_pidfd_id():
        return []
    fds = list(range(FIRST_FD, FIRST_FD + int(count)))
    for fd in fds:
        os.set_inheritable(fd, False)
    return fds


def _own_pidfd_id() -> str:
    """What systemd 259 and later compares beside the PID: the inode of a pidfd is unique until a reboot."""
    fd = os.pidfd_open(os.getpid())
    try:
        return str(os.fstat(fd).st_ino)
    finally:
        os.close(fd)


def notify(*assignments: str) -> None:
    """Tell systemd, for example `notify("READY=1", "STATUS=awake")`. Without systemd nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto("\n".join(assignments).encode(), address)
        except OSError:
            # A status line is no reason to die: systemd itself may be re-executing.
            return
