"""One socket to the kernel's netfilter. It answers within the call that asks, so nobody has to wait."""

from __future__ import annotations

import os
import struct

from wakeport.light import socket
from wakeport.netlink.messages import DONE, ERROR, Malformed, messages

NETFILTER = 12  # NETLINK_NETFILTER
RECEIVE = 1 << 18  # bytes; the kernel fills what it is offered, up to 32 KiB at a time
ANSWERS_WITHIN = 10  # seconds; a guard, what is asked is answered before `send` returns

CODE = struct.Struct("=i")
WITHIN = struct.Struct("@ll")  # timeval


class Netfilter:
    """Raises OSError where the kernel refuses, with its number: ENOENT for what is not there."""

    def __init__(self) -> None:
        self.kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETFILTER)
        # Not settimeout(): with that, Python would wait where a call is not to (MSG_DONTWAIT).
        self.kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, WITHIN.pack(ANSWERS_WITHIN, 0))
        self.sequence = 0

    def close(self) -> None:
        self.kernel.close()

    def next(self) -> int:
        """A number for a message, by which its answer is known."""
        self.sequence += 1
        return self.sequence

    def do(self, data: bytes, acknowledged: int) -> None:
        """Send messages, of which the last that asks for an answer has the number `acknowledged`.

        Raises the first error that the kernel answers with.
        """
        self.kernel.send(data)
        first: OSError | None = None
        done = False
        while not done:
            for kind, sequence, body in self._receive():
                if kind != ERROR:
                    continue
                code = _code(body)
                first = first or (_error(code) if code else None)
                # A batch that fails as a whole is answered at its begin alone.
                done = done or sequence == acknowledged or bool(code)
        self._drain()
        if first is not None:
            raise first

    def ask(self, data: bytes) -> list[bytes]:
        """The bodies of all that the kernel answers to one question, a dump or one answer with an ACK."""
        self.kernel.send(data)
        answers: list[bytes] = []
        while True:
            for kind, _sequence, body in self._receive():
                if kind == DONE:
                    return answers
                if kind == ERROR:
                    if code := _code(body):
                        self._drain()
                        raise _error(code)
                    return answers
                answers.append(body)

    def _receive(self) -> list[tuple[int, int, bytes]]:
        return list(messages(self.kernel.recv(RECEIVE)))

    def _drain(self) -> None:
        """Leave no answer for the next question."""
        while True:
            try:
                self.kernel.recv(RECEIVE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return


def _code(body: bytes) -> int:
    if len(body) < CODE.size:
        raise Malformed("an answer without its code")
    return int(CODE.unpack_from(body)[0])


def _error(code: int) -> OSError:
    return OSError(-code, os.strerror(-code))
