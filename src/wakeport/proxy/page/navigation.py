"""Whether a client's first bytes are a person's browser that opens a page, and nothing else."""

from __future__ import annotations

_BEGINNING = b"GET "
_END_OF_HEAD = b"\r\n\r\n"
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0")

# RFC 9110 5.6.2: what a field's name may consist of.
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")

# Who says one of these wants something else than a page to look at: another protocol (WebSocket, h2c), a
# part of a file, data for a script, or a page that nobody may ever see. None is sent with a navigation.
_NEVER = frozenset(
    (
        b"upgrade",
        b"range",
        b"x-requested-with",
        b"sec-purpose",
        b"purpose",
        b"x-moz",
        b"sec-websocket-key",
        b"content-length",
        b"transfer-encoding",
        b"expect",
    )
)


def begins_navigation(first: bytes) -> bool | None:
    """Whether `first` begins with a browser's request for a page to show; None while it may yet.

    Browsers say so themselves, https://www.w3.org/TR/fetch-metadata/, but only to a server that they
    think safe (HTTPS, or their own machine); to others they still ask for text/html as Mozilla.
    """
    if not first.startswith(_BEGINNING[: len(first)]):
        return False
    head, complete, _rest = first.partition(_END_OF_HEAD)
    if not complete:
        return None
    request_line, *lines = head.split(b"\r\n")
    words = request_line.split(b" ")
    if len(words) != 3 or not words[1] or words[2] not in _VERSIONS:
        return False
    fields = _fields(lines)
    return fields is not None and not fields.keys() & _NEVER and _asks_for_a_page(fields)


def takes_chunks(first: bytes) -> bool:
    """Whether a request's sender knows chunked bodies, RFC 9112 7.1: from HTTP/1.1 on."""
    return first.partition(b"\r\n")[0].endswith(b" HTTP/1.1")


def _fields(lines: list[bytes]) -> dict[bytes, bytes] | None:
    """Names in small letters; None where a line is none that a browser writes."""
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, text = line.partition(b":")
        if not colon or not name or not _TOKEN.issuperset(name):
            return None
        name, text = name.lower(), text.strip(b" \t")
        fields[name] = b"%b,%b" % (fields[name], text) if name in fields else text
    return fields


def _asks_for_a_page(fields: dict[bytes, bytes]) -> bool:
    if any(name.startswith(b"sec-fetch-") for name in fields):
        # A frame in a page of somebody else's (`iframe`) is a navigation too, but no page of its own.
        return fields.get(b"sec-fetch-mode") == b"navigate" and fields.get(b"sec-fetch-dest") == b"document"
    wanted = (
        each.partition(b";")[0].strip(b" \t").lower() for each in fields.get(b"accept", b"").split(b",")
    )
    return fields.get(b"user-agent", b"").startswith(b"Mozilla/") and b"text/html" in wanted
