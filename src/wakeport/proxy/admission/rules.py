"""Who may wake the container: the rules of one listener, in order, applied to what a client has shown so far.

Pure. A verdict is given as early as possible: as soon as nothing that the client may yet send can change it.
"""

from __future__ import annotations

from wakeport.proxy.admission.client_hello import Incomplete, NotTls, server_name
from wakeport.proxy.admission.networks import Networks
from wakeport.proxy.admission.request_head import Head, read_head
from wakeport.proxy.http_answer import speaks_http

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WAKE, CLOSE, RESET = "wake", "close", "reset"

CONDITIONS = ("server_name", "host", "path", "user_agent")  # and `from`, which asks for no byte
_CASE_MATTERS = ("path",)

STATUS_MIN, STATUS_MAX = 200, 599  # what can be a last answer


class RuleError(ValueError):
    """A rule makes no sense; the text says what of it."""


class Rules:
    """`tables` are objects as `{"path": ["/healthz"], "then": "200 asleep"}`, each condition a list of
    patterns; with `wake_on` "data" nobody wakes who has not sent a byte. Raises RuleError.
    """

    __slots__ = ("rules", "wake_on_data")

    def __init__(self, tables: list[dict[str, Any]], wake_on: str = "connect") -> None:
        self.rules = [_Rule(table) for table in tables]
        self.wake_on_data = wake_on == "data"

    def verdict(self, address: object, first: bytes, ended: bool) -> str | None:
        """WAKE, CLOSE, RESET, or "STATUS BODY" for a client who speaks HTTP; None while it is undecided.

        `first` are the first bytes, `ended` whether no more will come.
        """
        if ended and not first:
            # Nobody wakes a container by coming and going; unless it was clear before, from the address.
            return self.verdict(address, b"", False) or CLOSE
        shown = _Shown(address, first, ended)
        possible = set()
        for rule in self.rules:
            fits = rule.fits(shown)
            if fits is not False:
                possible |= self._outcomes(rule.then, shown)
            if fits:
                break
        else:
            possible |= self._outcomes(WAKE, shown)
        return possible.pop() if len(possible) == 1 else None

    def _outcomes(self, then: str, shown: _Shown) -> set[str]:
        """What may become of a client for whom `then` was written."""
        if then == WAKE:
            return {WAKE, CLOSE} if self.wake_on_data and not shown.first else {WAKE}
        if then in (CLOSE, RESET):
            return {then}
        is_http = speaks_http(shown.first) if shown.first else None
        if is_http is None:
            return {CLOSE} if shown.ended else {then, CLOSE}
        return {then} if is_http else {CLOSE}


class _Rule:
    """Conditions that must all hold, each by any of its patterns, and what then."""

    __slots__ = ("patterns", "sources", "then")

    def __init__(self, table: dict[str, Any]) -> None:
        self.then = _checked_then(table.get("then"))
        self.sources: Networks | None = None
        self.patterns: dict[str, list[str]] = {}
        for key, wanted in table.items():
            if key == "then":
                continue
            if not isinstance(wanted, list) or not all(isinstance(each, str) for each in wanted):
                raise RuleError(f"{key} is no list of strings")
            if key == "from":
                try:
                    self.sources = Networks(wanted)
                except ValueError as error:
                    raise RuleError(str(error)) from None
            elif key in CONDITIONS:
                self.patterns[key] = wanted if key in _CASE_MATTERS else [each.lower() for each in wanted]
            else:
                raise RuleError(f"{key} is none of from, {', '.join(CONDITIONS)}, then")

    def fits(self, shown: _Shown) -> bool | None:
        """Whether all conditions hold; None while that is open."""
        if self.sources is not None and not self.sources.cover(shown.address):
            return False
        holds = [shown.matches(key, wanted) for key, wanted in self.patterns.items()]
        return False if False in holds else None if None in holds else True


class _Shown:
    """What a client has shown so far; it is read only where a rule asks for it, and once."""

    __slots__ = ("address", "ended", "first", "head", "name")

    def __init__(self, address: object, first: bytes, ended: bool) -> None:
        self.address = address
        self.first = first
        self.ended = ended
        self.head: Head | None = None
        self.name: tuple[str | None, bool] | None = None

    def matches(self, key: str, patterns: list[str]) -> bool | None:
        value, is_open = self._server_name() if key == "server_name" else self._of_request(key)
        if value is None:
            return None if is_open and not self.ended else False
        if key not in _CASE_MATTERS:
            value = value.lower()
        return any(like(value, pattern) for pattern in patterns)

    def _server_name(self) -> tuple[str | None, bool]:
        """The name, and whether one may yet come."""
        if self.name is None:
            try:
                self.name = server_name(self.first) or None, False
            except Incomplete:
                self.name = None, True
            except NotTls:
                self.name = None, False
        return self.name

    def _of_request(self, key: str) -> tuple[str | None, bool]:
        if self.head is None:
            self.head = read_head(self.first)
        value: str | None = getattr(self.head, key)
        return value, not self.head.is_whole


def like(text: str, pattern: str) -> bool:
    """Whether `text` is like `pattern`, in which `*` stands for anything, also for nothing.

    Not fnmatch: in it `[` and `?` mean something too, which hosts and paths contain, and a hostile text
    could make a pattern with several `*` take time without bound. Here each piece is looked for once.
    """
    beginning, *middle = pattern.split("*")
    if not middle:
        return text == pattern
    ending = middle.pop()
    if len(text) < len(beginning) + len(ending):
        return False
    if not text.startswith(beginning) or not text.endswith(ending):
        return False
    at, limit = len(beginning), len(text) - len(ending)
    for piece in middle:
        found = text.find(piece, at, limit)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _checked_then(then: object) -> str:
    if then in (WAKE, CLOSE, RESET):
        return str(then)
    status = then.partition(" ")[0] if isinstance(then, str) else ""
    if (
        len(status) == 3
        and status.isascii()
        and status.isdecimal()
        and STATUS_MIN <= int(status) <= STATUS_MAX
    ):
        return str(then)
    raise RuleError(f'then is "{WAKE}", "{CLOSE}", "{RESET}" or as in "200 asleep", not {then!r}')
