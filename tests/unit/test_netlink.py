"""Messages of netlink, and what is made of the kernel's answers: whatever comes, only OSError comes out."""

from __future__ import annotations

import errno
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeport.netlink import conntrack, nftables
from wakeport.netlink.connection import Netfilter
from wakeport.netlink.conntrack import Flow
from wakeport.netlink.messages import (
    ERROR,
    FOUR,
    INET,
    SIX,
    U8,
    U32,
    U64,
    Attributes,
    Malformed,
    attribute,
    attributes,
    each,
    family_body,
    message,
    messages,
    nested,
    number,
    text,
)
from wakeport.netlink.nftables import Chain, Element

KINDS = st.integers(0, 0x3FFF)
VALUES = st.binary(max_size=40)

# Attributes within attributes, of the kinds that are looked for, and what is no attribute at all.
SAID = st.recursive(
    VALUES,
    lambda inner: st.lists(st.tuples(st.integers(0, 27), inner), max_size=6).map(
        lambda some: b"".join(attribute(kind, value) for kind, value in some)
    ),
)


class Answering(Netfilter):
    """A kernel that answers every question with the same."""

    def __init__(self, answer: bytes) -> None:
        self.sequence = 0
        self.answer = answer

    def ask(self, data: bytes) -> list[bytes]:  # noqa: ARG002 - whatever is asked
        return [self.answer]


@given(st.lists(st.tuples(KINDS, VALUES), max_size=8))
def test_attributes_come_back_as_they_were_put(some: list[tuple[int, bytes]]) -> None:
    packed = b"".join(attribute(kind, value) for kind, value in some)
    assert len(packed) % 4 == 0
    assert list(each(packed)) == some
    assert attributes(packed) == dict(some)
    assert attributes(nested(5, packed)) == {5: packed}


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 2**32 - 1), VALUES), max_size=5))
def test_messages_come_back_as_they_were_put(some: list[tuple[int, int, bytes]]) -> None:
    sent = [message(kind, 0, sequence, INET, attribute(1, value)) for kind, sequence, value in some]
    found = list(messages(b"".join(sent)))
    assert [(kind, sequence, family_body(body)) for kind, sequence, body in found] == [
        (kind, sequence, {1: value}) for kind, sequence, value in some
    ]


@given(st.binary(max_size=200))
def test_what_is_no_message_is_refused_and_ends(data: bytes) -> None:
    for parse in (messages, each):
        try:
            assert len(list(parse(data))) <= len(data)
        except OSError:
            continue


@given(st.binary(max_size=12))
def test_a_number_is_of_its_size(value: bytes) -> None:
    if len(value) == 4:
        assert number(U32, value) == int.from_bytes(value, "big")
    else:
        with pytest.raises(Malformed) as refused:
            number(U32, value)
        assert refused.value.errno == errno.EBADMSG


@given(st.sampled_from([FOUR, SIX]), SAID)
def test_any_answer_about_connections_is_read_or_refused(family: int, said: bytes) -> None:
    try:
        Flow(family, attributes(said))
        conntrack.flows(Answering(bytes(4) + said), "fd00::1" if family == SIX else "10.0.0.1", 80, 6)
    except OSError:
        return


@given(SAID)
def test_any_answer_about_tables_is_read_or_refused(said: bytes) -> None:
    element = Element("awake4", b"key", 1.0)
    for ask in (nftables.base_chains, lambda kernel: nftables.counted(kernel, "wakeport", element)):
        for answer in (said, bytes(4) + said):
            try:
                ask(Answering(answer))
            except OSError:
                continue


@given(st.binary(max_size=8), st.integers(0, 3))
def test_an_answer_of_any_length_is_taken(code: bytes, kept: int) -> None:
    """The kernel's end of a socket is played: an error of less than its code is no error that it has."""
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, kernel:
        netfilter = Netfilter.__new__(Netfilter)
        netfilter.kernel, netfilter.sequence = ours, 0
        kernel.send(struct.pack("=IHHII", 16 + len(code), ERROR, 0, 1, 0) + code)
        try:
            netfilter.do(bytes(kept + 1), 1)
        except OSError:
            assert code[:4] != bytes(4)
        else:
            assert code[:4] == bytes(4)


DESTINATION = {FOUR: 2, SIX: 4}  # CTA_IP_V4_DST, CTA_IP_V6_DST


def _flow(family: int, client: bytes, counted: bool) -> Attributes:
    """As the kernel tells of one to port 80 that was sent on to 8080."""
    ends = [
        nested(
            1,
            attribute(conntrack.SOURCE[family], source),
            attribute(DESTINATION[family], destination),
        )
        + nested(
            2, attribute(1, U8.pack(6)), attribute(2, struct.pack(">H", ports[0])), attribute(3, ports[1])
        )
        for source, destination, ports in (
            (client, bytes(len(client)), (4000, struct.pack(">H", 80))),
            (b"\x0a" * len(client), client, (8080, struct.pack(">H", 4000))),
        )
    ]
    said = [nested(1, ends[0]), nested(2, ends[1]), attribute(3, U32.pack(1 << 5 | 1 << 2))]
    said += [nested(4, nested(1, attribute(1, U8.pack(3)))), attribute(7, U32.pack(431_999))]
    if counted:
        said += [nested(kind, attribute(2, U64.pack(kind))) for kind in (9, 10)]
    return attributes(b"".join([*said, attribute(12, b"\0\0\0\7")]))


@pytest.mark.parametrize(
    ("family", "client", "name"), [(FOUR, b"\xc0\0\2\1", "192.0.2.1"), (SIX, bytes(15) + b"\1", "::1")]
)
def test_a_connection_is_told_by_its_client_and_where_it_leads(family: int, client: bytes, name: str) -> None:
    flow = Flow(family, _flow(family, client, counted=True))
    assert (flow.client, flow.port, flow.source[1]) == ((name, 4000), 80, 8080)
    assert (flow.sent_on, flow.assured, flow.state, flow.left, flow.passed) == (True, True, 3, 431_999, 19)
    assert Flow(family, _flow(family, client, counted=False)).passed is None


@pytest.mark.parametrize(("policy", "drops"), [(0, True), (1, False), (None, False)])
def test_a_chain_that_drops_what_no_rule_takes(policy: int | None, drops: bool) -> None:
    said = [text(1, "filter"), text(3, "INPUT"), text(7, "filter"), attribute(6, U32.pack(2))]
    said += [] if policy is None else [attribute(5, U32.pack(policy))]
    hook = {1: U32.pack(1), 2: struct.pack(">i", -150)}
    chain = Chain(FOUR, attributes(b"".join(said)), hook)
    assert (chain.table, chain.name, chain.hook, chain.priority) == ("filter", "INPUT", 1, -150)
    assert (chain.rules, chain.drops) == (2, drops)
