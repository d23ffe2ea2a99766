"""Who is connected to sockets that another process accepts from: the kernel is asked, sock_diag(7).

Loaded only where a service passes its sockets on. One question about TCP costs 0.07 ms (measured); the
kernel picks those of one port out of all.
"""

from __future__ import annotations

import struct

from wakeport.light import socket
from wakeport.netlink.messages import DONE, ERROR, HEADER, messages

SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
RECEIVE = 65536  # bytes; the kernel fills 32 KiB at a time

# linux/tcp_states.h. Those in FIN_WAIT are of the program still only where it has a descriptor for them.
ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT = 1, 4, 5, 8
STATES = 1 << ESTABLISHED | 1 << FIN_WAIT1 | 1 << FIN_WAIT2 | 1 << CLOSE_WAIT

# linux/inet_diag.h: inet_diag_req_v2 without addresses, and of inet_diag_msg what is used
INET_REQUEST = struct.Struct("=BBBxI")
INET_PORTS = struct.Struct(">HH")
ANY_ADDRESS, ANY_COOKIE = bytes(36), b"\xff" * 8
INET_FOUND = struct.Struct(">xB2xHH16s16s")
INODE = struct.Struct("=68xI")

# linux/unix_diag.h: unix_diag_req, unix_diag_msg and the one attribute that is asked for
UNIX_REQUEST = struct.Struct("=BBHIII8s")
SHOW_NAME = 1
UNIX_SIZE = 16
ATTRIBUTE = struct.Struct("=HH")


class Connections:
    """Of `listeners`, which are stream sockets. Raises OSError where the kernel answers no such question."""

    def __init__(self, listeners: list[socket.socket]) -> None:
        self.ports = [
            (one.family, one.getsockname()[1], _specific(one)) for one in listeners if _is_inet(one)
        ]
        self.paths = {one.getsockname() for one in listeners if one.family == socket.AF_UNIX}
        self.kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, SOCK_DIAG)

    def clients(self) -> list[str]:
        """Each as the proxy calls it: `10.0.0.7:51234`, or `unix`. Those who wait to be accepted count."""
        found = []
        for family, port, address in self.ports:
            found += self._inet(family, port, address)
        if self.paths:
            found += self._unix()
        return found

    def ask_of_none(self) -> None:
        """Raises OSError where the kernel would answer nothing else, either."""
        self._inet(socket.AF_INET, 1, None)

    def close(self) -> None:
        self.kernel.close()

    def _inet(self, family: int, port: int, address: bytes | None) -> list[str]:
        request = INET_REQUEST.pack(family, socket.IPPROTO_TCP, 0, STATES)
        request += INET_PORTS.pack(port, 0) + ANY_ADDRESS + ANY_COOKIE
        found = []
        for answer in self._ask(request):
            state, _, theirs, ours, peer = INET_FOUND.unpack_from(answer)
            [inode] = INODE.unpack_from(answer)
            if state in (FIN_WAIT1, FIN_WAIT2) and not inode:
                continue  # closed by the program; the kernel does the rest
            if address is None or ours.startswith(address):
                found.append(_name(family, peer, theirs))
        return found

    def _unix(self) -> list[str]:
        request = UNIX_REQUEST.pack(socket.AF_UNIX, 0, 0, 1 << ESTABLISHED, 0, SHOW_NAME, ANY_COOKIE)
        return ["unix" for answer in self._ask(request) if _path(answer) in self.paths]

    def _ask(self, request: bytes) -> list[bytes]:
        """Every answer, without its header."""
        self.kernel.send(HEADER.pack(HEADER.size + len(request), BY_FAMILY, REQUEST_DUMP, 0, 0) + request)
        answers: list[bytes] = []
        while True:
            for kind, _sequence, body in messages(self.kernel.recv(RECEIVE)):
                if kind == DONE:
                    return answers
                if kind == ERROR:
                    raise OSError(-struct.unpack_from("=i", body)[0], "sock_diag")
                answers.append(body)


def _is_inet(listener: socket.socket) -> bool:
    return listener.family in (socket.AF_INET, socket.AF_INET6)


def _specific(listener: socket.socket) -> bytes | None:
    """The address that it listens on, as the kernel has it; None where that is any."""
    address = socket.inet_pton(listener.family, listener.getsockname()[0].partition("%")[0])
    return address if any(address) else None


def _name(family: int, peer: bytes, port: int) -> str:
    size = 4 if family == socket.AF_INET else 16
    host = socket.inet_ntop(family, peer[:size]).removeprefix("::ffff:")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _path(answer: bytes) -> str:
    """The name of a Unix socket; of one that was accepted, that of its listener. Empty where it has none."""
    at = UNIX_SIZE
    while at + ATTRIBUTE.size <= len(answer):
        size, kind = ATTRIBUTE.unpack_from(answer, at)
        if kind == 0:  # UNIX_DIAG_NAME
            return answer[at + ATTRIBUTE.size : at + size].rstrip(b"\0").decode(errors="surrogateescape")
        at += (size + 3) & ~3
    return ""
