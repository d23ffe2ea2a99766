"""What an HTTP/1 client asks for, and as whom, from its first bytes: RFC 9112.

Only what a rule may ask about is read, line by line as it arrives. What stands fixed is never taken
back, whatever comes after it: a line that makes no sense ends the reading, not what was read before.
"""

from __future__ import annotations

from wakeport.proxy.http_answer import speaks_http

LINES_MAX = 128  # header lines that are read; servers take about 100

_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")  # in lower case, RFC 9110 5.6.2
_BLANKS = b" \t"
_REQUEST_LINE_UNDECIDED = 4095  # bytes; with one more speaks_http() guesses, and we need not


class Head:
    """The parts of a request that are known; None for one that is absent, or has yet to come.

    `is_whole` says that nothing more will be known. Without a `method` it is no HTTP/1 request.
    `host` is without port and in lower case, `path` without query, as it was sent: nothing is decoded.
    """

    __slots__ = ("host", "is_whole", "method", "path", "user_agent")

    def __init__(self) -> None:
        self.method: str | None = None
        self.path: str | None = None
        self.host: str | None = None
        self.user_agent: str | None = None
        self.is_whole = False


def read_head(first: bytes) -> Head:
    """The head of the request with which these bytes begin, as far as it has come."""
    head = Head()
    line, ended, rest = first.partition(b"\n")
    if not ended:
        head.is_whole = bool(first) and speaks_http(first[:_REQUEST_LINE_UNDECIDED]) is False
        return head
    if not speaks_http(line + ended):
        head.is_whole = True
        return head
    _read_request_line(head, line.decode("latin-1"))
    head.is_whole = _read_fields(head, rest)
    return head


def _read_request_line(head: Head, line: str) -> None:
    """Four forms of a target, RFC 9112 3.2: `/path?query`, `http://host/path`, `host:port`, `*`."""
    head.method, _, rest = line.partition(" ")
    target = rest.rpartition(" ")[0].strip(" ")
    scheme, absolute, place = target.partition("://")
    if absolute and scheme.lower() in ("http", "https"):
        authority, slash, path = place.partition("/")
        if "?" in authority:
            authority, slash, path = authority.partition("?")[0], "", ""
        head.host = _without_port(authority)  # it counts, and a Host field does not: 3.2.2
        target = f"/{path}" if slash else "/"
    elif head.method == "CONNECT":
        head.host = _without_port(target)
        target = ""
    head.path = target.partition("?")[0]


def _read_fields(head: Head, rest: bytes) -> bool:
    """Take what is asked for from the header; whether all of it has been seen."""
    lines = rest.split(b"\n", LINES_MAX)
    begun = len(lines) - 1
    for index in range(begun):
        bare, following = lines[index].removesuffix(b"\r"), lines[index + 1]
        if not bare:
            return True
        if index + 1 == begun and not following:
            return False  # the first byte of the next line says whether this one has ended
        if following.startswith((b" ", b"\t")):
            return True  # folded, which a server must refuse: 5.2
        name, colon, value = bare.partition(b":")
        name = name.lower()
        if not colon or not name or not _TOKEN.issuperset(name):
            return True
        _keep(head, name, value.strip(_BLANKS).decode("latin-1"))
    return begun >= LINES_MAX


def _keep(head: Head, name: bytes, value: str) -> None:
    """The first of several counts: a server refuses a request with two hosts, and nobody sends two agents."""
    if name == b"host" and head.host is None:
        head.host = _without_port(value)
    elif name == b"user-agent" and head.user_agent is None:
        head.user_agent = value


def _without_port(authority: str) -> str:
    """`example.org` of `Example.org.:80`, `[::1]` of `[::1]:80`."""
    host = authority.rpartition("@")[2].lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].removesuffix(".")
