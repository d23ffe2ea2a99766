"""Whether a client speaks HTTP/1, and what it is told then: 503, with a reason and when to come again."""

from __future__ import annotations

import math

PEEK = 4096  # bytes; a request line that is longer is taken for HTTP on the strength of its beginning

REASON_MAX = 300  # characters

_METHOD_MAX = 16  # letters; the longest in the IANA registry that anybody sends is BASELINE-CONTROL

# All but control characters. Not every client encodes what RFC 3986 asks it to, as in `/café`.
_TEXT = bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))


def speaks_http(first: bytes) -> bool | None:
    """Whether these first bytes begin an HTTP/1.x request (RFC 9112 3); None while they may yet."""
    line, ended, _rest = first.partition(b"\n")
    method, space, target = line.partition(b" ")
    letters = method.replace(b"-", b"")
    if letters and not (letters.isalpha() and letters.isupper()):
        return False
    if len(method) > _METHOD_MAX or (space and not letters) or (ended and not space):
        return False
    if line.rstrip(b"\r").translate(None, _TEXT):
        return False
    if ended:
        return target.rstrip(b"\r").endswith((b" HTTP/1.1", b" HTTP/1.0"))
    return True if len(first) >= PEEK else None


def service_unavailable(service: str, reason: str, retry_after: float, head_only: bool = False) -> bytes:
    """A whole response, RFC 9110 15.6.4. `retry_after` is in seconds and is rounded up."""
    seconds = max(1, math.ceil(retry_after))
    body = f"{service} is not available: {_one_line(reason)}\nTry again in {seconds} s.\n".encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Retry-After: {seconds}\r\n"
        "Cache-Control: no-store\r\n"
        "Connection: close\r\n"
        "\r\n"
    )
    return head.encode() + (b"" if head_only else body)


def _one_line(reason: str) -> str:
    line = "".join(letter if letter.isprintable() else " " for letter in reason)
    return line if len(line) <= REASON_MAX else line[: REASON_MAX - 1] + "…"
