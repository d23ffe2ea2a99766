"""What a waiting page's response consists of, in the order in which it is sent. Bytes only.

A stage's item is left open until the stage has passed, so that the time it took can be added to it:
`<li>Waiting for ...` and later `<small>0.2 s</small></li>`.
"""

from __future__ import annotations

import math

SERVICE, STAGES = "{{service}}", "{{stages}}"

TEXT_MAX = 300  # characters of one stage or reason

LAST_CHUNK = b"0\r\n\r\n"  # RFC 9112 7.1

# A refresh in the body works as one in the head does, with or without scripts; its time begins when the whole
# page is there. But an address with a fragment (`/#inbox`) it does not load again (Chromium 156): there a
# script does that, and opens a comment, in which the refresh then lies. Both ask for the browser's own idea
# of the address, since a reverse proxy may have asked us for another.
_REFRESH = (
    b'<script>location.hash&&(setTimeout("location.reload()",%d),document.write("<!--"))</script>'
    b'<meta http-equiv="refresh" content="%d">\n'
)

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})


class Template:
    """A page, cut where the stages go. `shows_stages` is false where it has no place for them."""

    __slots__ = ("after", "before", "shows_stages")

    def __init__(self, text: str, service: str) -> None:
        before, place, after = text.partition(STAGES)
        name = escape(service)
        self.before = before.replace(SERVICE, name).encode()
        self.after = after.replace(STAGES, "").replace(SERVICE, name).encode()
        self.shows_stages = bool(place)

    def ending(self, last_item: bytes, again_in: int) -> bytes:
        """The last item and what stands after it; the browser loads the same address in so many seconds."""
        refresh = _REFRESH % (again_in * 1000, again_in)
        body, end, rest = self.after.rpartition(b"</body>")
        shown = last_item if self.shows_stages else b""
        return shown + (body + refresh + end + rest if end else rest + refresh)


def head(retry_after: float, chunked: bool = False, length: int | None = None) -> bytes:
    """The head of a response, RFC 9110 15.6.4. Without either its end is the connection's."""
    lines = [
        "HTTP/1.1 503 Service Unavailable",
        "Content-Type: text/html; charset=utf-8",
        f"Retry-After: {whole_seconds(retry_after)}",
        "Cache-Control: no-store",
        # nginx would collect a response before it passes it on; ngx_http_proxy_module, proxy_buffering.
        "X-Accel-Buffering: no",
        "Connection: close",
    ]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def stage(text: str) -> bytes:
    return f"<li>{escape(text)}".encode()


def passed(seconds: float | None) -> bytes:
    """The end of a stage's item; None where it is not known what it took."""
    took = "" if seconds is None else f" <small>{seconds:.1f}\u00a0s</small>"
    return f"{took}</li>\n".encode()


def ready(seconds: float) -> bytes:
    return b'<li class="ready">Awake' + passed(seconds)


def failed(reason: str, again_in: int) -> bytes:
    return f'<li class="failed">{escape(reason)}; trying again in {again_in}\u00a0s</li>\n'.encode()


def moved_on() -> bytes:
    return b"<li>Starting over</li>\n"


def whole_seconds(seconds: float) -> int:
    """For Retry-After and refreshes: rounded up, and never at once, or nobody could read the page."""
    return max(1, math.ceil(seconds))


def escape(text: str) -> str:
    """On one line, cut where it gets long, and without a meaning to HTML in text and attributes."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    short = line if len(line) <= TEXT_MAX else line[: TEXT_MAX - 1] + "…"
    return short.translate(_ESCAPES)
