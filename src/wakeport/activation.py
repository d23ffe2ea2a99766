"""The two protocols between systemd and a service: the sockets it passes, the words it is told.

sd_listen_fds(3) and sd_notify(3), which systemd declares stable.
"""

from __future__ import annotations

import os
import select

from wakeport.light import socket

FIRST_FD = 3  # SD_LISTEN_FDS_START, sd_listen_fds(3)

STORED = "handover"  # FDNAME= of what one process leaves for the next; no socket unit is called so


def listening_fds() -> list[int]:
    """The sockets that systemd passed to this process, in the order of the socket unit's lines.

    Empty where there are none, or where they were meant for another process.
    Takes the variables out of the environment, so that no child believes them.
    """
    return passed_fds()[0]


def passed_fds() -> tuple[list[int], list[int]]:
    """As listening_fds(), and beside them what a predecessor has left with `store`."""
    intended = os.environ.pop("LISTEN_PID", "")
    count = os.environ.pop("LISTEN_FDS", "")
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    pidfd_id = os.environ.pop("LISTEN_PIDFDID", "")
    if intended != str(os.getpid()) or not count.isdecimal():
        return [], []
    if pidfd_id and pidfd_id != _own_pidfd_id():
        return [], []
    listening: list[int] = []
    stored: list[int] = []
    for index in range(int(count)):
        os.set_inheritable(FIRST_FD + index, False)
        is_stored = index < len(names) and names[index] == STORED
        (stored if is_stored else listening).append(FIRST_FD + index)
    return listening, stored


def _own_pidfd_id() -> str:
    """What systemd 259 and later compares beside the PID: the inode of a pidfd is unique until a reboot."""
    fd = os.pidfd_open(os.getpid())
    try:
        return str(os.fstat(fd).st_ino)
    finally:
        os.close(fd)


def notify(*assignments: str, descriptors: list[int] | None = None) -> None:
    """Tell systemd, for example `notify("READY=1", "STATUS=awake")`. Without systemd nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            # send_fds() takes an address and ignores it (Python 3.11).
            channel.connect(address)
            if descriptors:
                socket.send_fds(channel, ["\n".join(assignments).encode()], descriptors)
            else:
                channel.send("\n".join(assignments).encode())
    except OSError:
        # A status line is no reason to die: systemd may be re-executing, or we have no descriptor left.
        return


def store(fd: int) -> None:
    """Ask systemd to keep a descriptor for the next process of this unit.

    The unit needs FileDescriptorStoreMax=. A stop empties the store; a restart and a crash do not.
    """
    # FDPOLL=0: systemd would drop a socket whose peer has hung up, as it does when this process ends.
    notify("FDSTORE=1", f"FDNAME={STORED}", "FDPOLL=0", descriptors=[fd])


def forget_stored() -> None:
    """Let systemd keep it no longer: it has been taken out."""
    notify("FDSTOREREMOVE=1", f"FDNAME={STORED}")


def await_notified(within: float) -> bool:
    """Wait until systemd has read all that it was told; False after `within` seconds. sd_notify_barrier(3)"""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    try:
        notify("BARRIER=1", descriptors=[write_end])
        os.close(write_end)
        poll = select.poll()
        poll.register(read_end, 0)  # it hangs up when systemd has closed the other end too
        return bool(poll.poll(within * 1000))
    finally:
        os.close(read_end)
