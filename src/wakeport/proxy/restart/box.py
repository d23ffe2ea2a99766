"""A box of connections, from one proxy to the next: records with descriptors and the bytes under way.

The box is a pair of connected sockets. Whoever packs sends the descriptors into one end, the kernel keeps
them open while they lie there (unix(7), SCM_RIGHTS), and whoever has the other end takes them out: now, or
after the packer has ended. Systemd keeps that end as one descriptor. Thousands in its store would be
compared with each other, each with all (kcmp(2)).

The first message says the version and how many descriptors follow, and brings a file with the records.
Each further message brings descriptors, and says the number of its first one.
"""

from __future__ import annotations

import array
import os

from wakeport.light import json, socket
from wakeport.proxy import leg

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO

# Raised only where an older or newer proxy would misread a record: an upgrade passes boxes from one to the
# other, and a box of another version costs every connection in it.
VERSION = 1

AT_ONCE = 253  # descriptors in one message, SCM_MAX_FD; unix(7)
ROOM = 4_194_304  # bytes of send buffer, capped by the kernel; 16,020 descriptors fit in the default

_SPACE = socket.CMSG_SPACE(AT_ONCE * array.array("i").itemsize)


class Record:
    """`facts` are JSON; `descriptors` and `data` have names, which say what they are."""

    __slots__ = ("data", "descriptors", "facts")

    def __init__(
        self, facts: dict[str, Any], descriptors: dict[str, int], data: dict[str, bytes] | None = None
    ) -> None:
        self.facts = facts
        self.descriptors = descriptors
        self.data = data or {}


def pack(records: list[Record], into: socket.socket) -> None:
    """Put everything in; the packer's own descriptors stay open. `into` is SOCK_SEQPACKET.

    Raises OSError: ETOOMANYREFS where the user has as many descriptors under way already as one of its
    processes may have open, EAGAIN where the buffer is full. What is in then stays in.
    """
    descriptors = [fd for record in records for fd in record.descriptors.values()]
    into.setblocking(False)
    into.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
    # In a file, not in messages: bytes under way may be more than any send buffer holds.
    with open(os.memfd_create("box", os.MFD_CLOEXEC), "w+b") as file:
        for record in records:
            _write(file, record)
        file.flush()
        socket.send_fds(into, [f"{VERSION} {len(descriptors)}".encode()], [file.fileno()])
    for first in range(0, len(descriptors), AT_ONCE):
        socket.send_fds(into, [b"%d" % first], descriptors[first : first + AT_ONCE])


def _write(file: BinaryIO, record: Record) -> None:
    sizes = {name: len(data) for name, data in record.data.items()}
    line = json.dumps([record.facts, list(record.descriptors), sizes], separators=(",", ":"))
    file.write(line.encode() + b"\n")
    for data in record.data.values():
        file.write(data)


def unpack(box: socket.socket) -> tuple[Iterator[Record], list[str]]:
    """What is in it, record by record: thousands at once would stay on as memory of the process.

    Whoever gets a record has to close what it names. A record that lacks a descriptor is left out; sockets
    that belong to no record that can be used are reset. What is wrong is in the list when all is taken out.
    """
    problems: list[str] = []
    return _take_out(box, problems), problems


def _take_out(box: socket.socket, problems: list[str]) -> Iterator[Record]:
    box.setblocking(False)
    messages = list(_messages(box))
    unclaimed = {fd: None for _text, descriptors in messages for fd in descriptors}
    try:
        for record in _interpret(messages, problems):
            for fd in record.descriptors.values():
                del unclaimed[fd]
            yield record
    except (ValueError, TypeError, AttributeError, LookupError, OSError, RecursionError) as error:
        problems.append(f"it cannot be read on: {error}")
    for fd in unclaimed:
        reset(fd)


def _messages(box: socket.socket) -> Iterator[tuple[bytes, list[int]]]:
    """All of them. With the limit of open files reached, fewer descriptors than were sent."""
    while True:
        try:
            text, ancillary, _flags, _address = box.recvmsg(64, _SPACE, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            return  # the packer lives still: what is there is there
        found = array.array("i")
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                found.frombytes(data[: len(data) - len(data) % found.itemsize])
        if not text and not found:
            return
        yield text, found.tolist()


def _interpret(messages: list[tuple[bytes, list[int]]], problems: list[str]) -> Iterator[Record]:
    """Raises what a box of nonsense may cause."""
    (start, [manifest]), *rest = messages
    version, _, count = start.partition(b" ")
    if version != b"%d" % VERSION:
        problems.append(f"it is of version {version.decode(errors='replace')}, and this is {VERSION}")
        return
    passed = {
        first + index: fd for text, fds in rest for first in [int(text)] for index, fd in enumerate(fds)
    }
    lacking = 0
    with open(manifest, "rb", closefd=False) as file:
        number = 0
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        while line := file.readline():
            facts, names, sizes = json.loads(line)
            data = {name: _read(file, length, size) for name, length in sizes.items()}
            descriptors = {name: passed.pop(number + index, -1) for index, name in enumerate(names)}
            number += len(names)
            if -1 in descriptors.values() or len(descriptors) != len(names):
                lacking += 1
            else:
                yield Record(dict(facts), descriptors, data)
    if lacking:
        problems.append(
            f"of its {int(count)} descriptors some are missing, and {lacking} connections with them"
        )


def _read(file: BinaryIO, length: int, size: int) -> bytes:
    if not 0 <= length <= size - file.tell():
        raise ValueError("it is shorter than it says")
    return file.read(length)


def reset(fd: int) -> None:
    """Close a descriptor, a connection so that its peer gets an error and takes nothing for the whole."""
    try:
        with socket.socket(fileno=fd) as sock:
            leg.refuse_to_linger(sock)
    except OSError:
        os.close(fd)  # not a socket
