"""Remove one of Docker's containers, with what its image keeps in volumes; of built-ins alone."""

from __future__ import annotations

import _socket

from wakeport.runtimes.docker.begin import SOCKET

# Seconds. Where its client was killed while Docker made a container, that may come only now.
MADE_WITHIN = 5.0

REMOVED_BY_OTHERS = 409  # "removal of container … is already in progress"


def remove(name: str) -> bool:
    """Kill and remove it; False where there is none. Raises OSError where Docker does not do it."""
    status = _status(_ask(name))
    if status >= 500:
        raise OSError(f"Docker answered {status}")
    return status < 300 or status == REMOVED_BY_OTHERS


def _ask(name: str) -> bytes:
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    connection.connect(SOCKET)
    request = f"DELETE /containers/{name}?force=1&v=1 HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n"
    connection.send(request.encode())
    answer = b""
    while b"\r\n" not in answer:
        data = connection.recv(4096)
        if not data:
            raise OSError("Docker hung up before it answered")
        answer += data
    connection.close()
    return answer


def _status(answer: bytes) -> int:
    """Of an answer such as "HTTP/1.1 204 No Content"."""
    return int(answer.split(b" ", 2)[1])
