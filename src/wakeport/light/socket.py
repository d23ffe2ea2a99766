"""Sockets: the C half of Python's module, and what the other half adds to it, as far as it is used here."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import *
else:
    import _socket
    import struct
    from _socket import *

    class socket(_socket.socket):  # noqa: N801 - its name
        """As socket.socket; `family` and `type` are plain numbers."""

        __slots__ = ("__weakref__",)

        def __enter__(self):
            return self

        def __exit__(self, *_error):
            self.close()

        def accept(self):
            fd, address = self._accept()
            accepted = socket(self.family, self.type, self.proto, fd)
            if _socket.getdefaulttimeout() is None and self.gettimeout():
                accepted.setblocking(True)
            return accepted, address

    def socketpair(family=_socket.AF_UNIX, type=_socket.SOCK_STREAM, proto=0):  # noqa: A002 - its name
        ours, theirs = _socket.socketpair(family, type, proto)
        return socket(family, type, proto, ours.detach()), socket(family, type, proto, theirs.detach())

    def send_fds(sock, buffers, fds):
        return sock.sendmsg(
            buffers, [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))]
        )
