"""One entry for the journal, with fields of its own, in the words of journald itself.

https://systemd.io/JOURNAL_NATIVE_PROTOCOL, which systemd declares stable.
"""

from __future__ import annotations

from wakeport.light import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SOCKET = "/run/systemd/journal/socket"


def write(fields: Mapping[str, str], path: str = SOCKET) -> None:
    """Write one entry, now or never: a journal that is away or busy is no reason to wait, or to die."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.setblocking(False)
            channel.connect(path)
            channel.send(datagram(fields), socket.MSG_NOSIGNAL)
    except OSError:
        return


def datagram(fields: Mapping[str, str]) -> bytes:
    """The entry on the wire: KEY=value lines; a value of several lines has its length before it."""
    return b"".join(_field(key.encode(), value.encode(errors="replace")) for key, value in fields.items())


def _field(key: bytes, value: bytes) -> bytes:
    if b"\n" in value:
        return key + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
    return key + b"=" + value + b"\n"
