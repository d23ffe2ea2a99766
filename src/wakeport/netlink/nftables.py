"""Elements of sets and maps of nftables: put in, taken out and looked at, without the program nft.

It takes 10 ms to start, and each awake service renews its element every other second. The numbers are from
linux/netfilter/nf_tables.h. What is changed in one call is changed at once, or not at all.
"""

from __future__ import annotations

from wakeport.netlink.connection import Netfilter
from wakeport.netlink.messages import (
    ACK,
    CREATE,
    DUMP,
    INET,
    U32,
    U64,
    Attributes,
    attribute,
    attributes,
    each,
    family_body,
    message,
    nested,
    number,
    text,
)

SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
BEGIN, END = 16, 17  # NFNL_MSG_BATCH_BEGIN, _END
NEW_ELEMENT, GET_ELEMENT, DELETE_ELEMENT = (SUBSYSTEM << 8 | kind for kind in (12, 13, 14))
GET_CHAIN = SUBSYSTEM << 8 | 4

LIST_TABLE, LIST_SET, LIST_ELEMENTS = 1, 2, 3  # NFTA_SET_ELEM_LIST_*
LIST_ELEMENT = 1  # NFTA_LIST_ELEM
KEY, DATA, TIMEOUT, EXPRESSION, KEY_END, EXPRESSIONS = 1, 2, 4, 7, 10, 11  # NFTA_SET_ELEM_*
VALUE = 1  # NFTA_DATA_VALUE
EXPRESSION_NAME, EXPRESSION_DATA = 1, 2  # NFTA_EXPR_*
COUNTER_PACKETS = 2  # NFTA_COUNTER_PACKETS

CHAIN_TABLE, CHAIN_NAME, CHAIN_HOOK, CHAIN_POLICY, CHAIN_USE, CHAIN_TYPE = 1, 3, 4, 5, 6, 7  # NFTA_CHAIN_*
HOOK_NUMBER, HOOK_PRIORITY = 1, 2  # NFTA_HOOK_*


class Element:
    """Of a set, or with `data` of a map; with `end` its key is a range. `timeout` is in seconds."""

    __slots__ = ("data", "end", "key", "set", "timeout")

    def __init__(self, set_: str, key: bytes, timeout: float, end: bytes = b"", data: bytes = b"") -> None:
        self.set = set_
        self.key = key
        self.end = end
        self.data = data
        self.timeout = timeout


class Chain:
    """A base chain: what it hooks into, in which order (the lower `priority` first), and what it does."""

    __slots__ = ("drops", "family", "hook", "kind", "name", "priority", "rules", "table")

    def __init__(self, family: int, body: Attributes, hook: Attributes) -> None:
        self.family = family
        self.table = _text(body.get(CHAIN_TABLE))
        self.name = _text(body.get(CHAIN_NAME))
        self.kind = _text(body.get(CHAIN_TYPE))
        self.hook = number(U32, hook.get(HOOK_NUMBER))
        unsigned = number(U32, hook.get(HOOK_PRIORITY))
        self.priority = unsigned - (1 << 32) if unsigned >> 31 else unsigned
        self.rules = number(U32, body.get(CHAIN_USE))
        self.drops = CHAIN_POLICY in body and number(U32, body[CHAIN_POLICY]) == 0  # NF_DROP


def change(kernel: Netfilter, table: str, delete: list[Element], put: list[Element]) -> None:
    """Take `delete` out, and put `put` in, as one. Raises OSError; then nothing has changed.

    ENOENT where one to delete is not there, or the table, EEXIST or EBUSY where one to put is there with
    other data. One that is there as it is stays as it is, with the time that it has left. A change that
    fails costs the kernel some 10 ms. A few hundred elements at a time are what its buffers hold.
    """
    parts = [message(BEGIN, 0, kernel.next(), 0, resource=SUBSYSTEM)]
    todo = [(DELETE_ELEMENT, 0, one) for one in delete] + [(NEW_ELEMENT, CREATE, one) for one in put]
    last = 0
    for left, (kind, flags, element) in enumerate(todo, 1 - len(todo)):
        last = kernel.next()
        # What fails is answered in any case.
        flags |= 0 if left else ACK
        parts.append(message(kind, flags, last, INET, *_listed(table, element, kind == NEW_ELEMENT)))
    parts.append(message(END, 0, kernel.next(), 0, resource=SUBSYSTEM))
    if last:
        kernel.do(b"".join(parts), last)


def counted(kernel: Netfilter, table: str, element: Element) -> int:
    """How often it was looked up since it was put in. Raises OSError, ENOENT where it is not there."""
    request = message(GET_ELEMENT, ACK, kernel.next(), INET, *_listed(table, element, whole=False))
    return sum(
        _packets(attributes(found))
        for body in kernel.ask(request)
        for _, found in each(family_body(body).get(LIST_ELEMENTS, b""))
    )


def base_chains(kernel: Netfilter) -> list[Chain]:
    """Those of all tables. Raises OSError."""
    found = []
    for body in kernel.ask(message(GET_CHAIN, DUMP, kernel.next(), 0)):
        said = family_body(body)
        if CHAIN_HOOK in said:
            found.append(Chain(body[0], said, attributes(said[CHAIN_HOOK])))
    return found


def _listed(table: str, element: Element, whole: bool) -> list[bytes]:
    parts = [_key(element)]
    if whole:
        if element.data:
            parts.append(nested(DATA, attribute(VALUE, element.data)))
        parts.append(attribute(TIMEOUT, U64.pack(round(element.timeout * 1000))))
    return [
        text(LIST_TABLE, table),
        text(LIST_SET, element.set),
        nested(LIST_ELEMENTS, nested(LIST_ELEMENT, *parts)),
    ]


def _key(element: Element) -> bytes:
    key = nested(KEY, attribute(VALUE, element.key))
    return key + nested(KEY_END, attribute(VALUE, element.end)) if element.end else key


def _packets(element: Attributes) -> int:
    several = [found for _, found in each(element.get(EXPRESSIONS, b""))]
    packets = 0
    for expression in [element[EXPRESSION]] if EXPRESSION in element else several:
        said = attributes(expression)
        if _text(said.get(EXPRESSION_NAME)) == "counter":
            packets += number(U64, attributes(said.get(EXPRESSION_DATA, b"")).get(COUNTER_PACKETS))
    return packets


def _text(value: bytes | None) -> str:
    return (value or b"").rstrip(b"\0").decode(errors="replace")
