"""Whether a client speaks HTTP/1, and what it is told then: why it cannot be served, or fixed words."""

from __future__ import annotations

import math

PEEK = 4096  # bytes; a request line that is longer is taken for HTTP on the strength of its beginning

REASON_MAX = 300  # characters

_WITHOUT_BODY = (204, 304)  # RFC 9110 15.3.5, 15.4.5

_PHRASES = {
    200: "OK",
    204: "No Content",
    403: "Forbidden",
    404: "Not Found",
    421: "Misdirected Request",
    429: "Too Many Requests",
    503: "Service Unavailable",
}

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


def fixed(status: int, words: str, head_only: bool = False) -> bytes:
    """A whole response whose body is `words`, with a status that can be a last one (200 to 599)."""
    if status in _WITHOUT_BODY:
        return _head(status, "").encode()
    body = words.encode(errors="replace")
    head = _head(status, f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n")
    return head.encode() + (b"" if head_only else body)


def service_unavailable(service: str, reason: str, retry_after: float, head_only: bool = False) -> bytes:
    """A whole response, RFC 9110 15.6.4. `retry_after` is in seconds and is rounded up."""
    seconds = max(1, math.ceil(retry_after))
    body = f"{service} is not available: {_one_line(reason)}\nTry again in {seconds} s.\n".encode()
    head = _head(
        503,
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Retry-After: {seconds}\r\n",
    )
    return head.encode() + (b"" if head_only else body)


def _head(status: int, fields: str) -> str:
    # The phrase may be left out, the blank before it may not: RFC 9112 4.
    return (
        f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n{fields}"
        "Cache-Control: no-store\r\n"
        "Connection: close\r\n"
        "\r\n"
    )


def _one_line(reason: str) -> str:
    line = "".join(letter if letter.isprintable() else " " for letter in reason)
    return line if len(line) <= REASON_MAX else line[: REASON_MAX - 1] + "…"
