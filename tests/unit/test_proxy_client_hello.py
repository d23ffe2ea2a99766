"""Server names in the first messages of real TLS clients, however these are cut into records and pieces."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeport.proxy.admission.client_hello import RECORDS_MAX, Incomplete, NotTls, server_name


def hello(name: str | None = "Example.org") -> bytes:
    """What Python's own TLS client says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


HELLO = hello()
MESSAGE = HELLO[5:]


def records(sizes: list[int]) -> bytes:
    """The same message in records of these sizes, over and over."""
    cut, at, turn = b"", 0, 0
    while at < len(MESSAGE):
        piece = MESSAGE[at : at + sizes[turn % len(sizes)]]
        cut += b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece
        at += len(piece)
        turn += 1
    return cut


def test_the_name_is_in_lower_case() -> None:
    assert server_name(HELLO) == "example.org"


def test_a_client_may_ask_for_no_name() -> None:
    assert server_name(hello(None)) == ""


def test_an_address_is_no_name() -> None:
    assert server_name(hello("127.0.0.1")) == ""


def test_every_part_of_it_is_incomplete() -> None:
    for length in range(len(HELLO)):
        with pytest.raises(Incomplete):
            server_name(HELLO[:length])


@given(st.lists(st.integers(1, 600), min_size=1, max_size=5), st.binary(max_size=50))
def test_it_may_come_in_any_records_and_be_followed_by_anything(sizes: list[int], more: bytes) -> None:
    cut = records(sizes)
    assert server_name(cut + more) == "example.org"
    with pytest.raises(Incomplete):
        server_name(cut[:-1])


def test_a_message_in_records_of_one_byte_costs_no_more_than_so_many() -> None:
    assert server_name(records([1])) == "example.org"
    long = b"\x16\x03\x01\x00\x01\x01" + b"\x16\x03\x01\x00\x01\xff" * RECORDS_MAX
    with pytest.raises(NotTls):
        server_name(long)


NOT_TLS = [
    b"GET / HTTP/1.1\r\n",
    b"SSH-2.0-",
    b"\x16\x02",
    b"\x15\x03\x01",
    b"\x16\x03\x01\x00\x00",  # a record of nothing
    b"\x16\x03\x01\x40\x01\x01",  # of too much
    b"\x16\x03\x01\x00\x04\x02",  # ServerHello
    b"\x16\x03\x01\x00\x02\x01\x00\x17\x03",  # half a message, then other data
    b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",  # a ClientHello of nothing
    b"\x80\x2e\x01\x03\x01",  # SSL 2
]


@pytest.mark.parametrize("first", NOT_TLS)
def test_other_protocols_are_not_tls(first: bytes) -> None:
    with pytest.raises(NotTls):
        server_name(first)


def outcome(first: bytes) -> str | None:
    try:
        return server_name(first)
    except Incomplete:
        return None
    except NotTls:
        return "not TLS"


HOSTILE = st.one_of(
    st.binary(max_size=300),
    st.binary(max_size=300).map(lambda data: b"\x16\x03\x01" + data),
    st.binary(min_size=1, max_size=300).map(
        lambda data: b"\x16\x03\x01" + len(data).to_bytes(2, "big") + b"\x01\x00\x00" + data
    ),
    st.builds(
        lambda at, byte: HELLO[:at] + bytes((byte,)) + HELLO[at + 1 :],
        st.integers(0, len(HELLO) - 1),
        st.integers(0, 255),
    ),
)


@given(HOSTILE, st.integers(0, 600))
def test_any_bytes_get_one_verdict_that_more_bytes_do_not_change(data: bytes, cut: int) -> None:
    early = outcome(data[:cut])
    if early is not None:
        assert outcome(data) == early
