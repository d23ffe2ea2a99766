"""The PROXY header, written and read, in both versions and from any bytes."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeport.proxy.admission.proxy_header import (
    LINE_MAX,
    SIGNATURE,
    Header,
    Malformed,
    encode,
    header_for,
    parse,
)
from wakeport.proxy.door import Client

VERSIONS = st.sampled_from(["v1", "v2"])
PORTS = st.integers(0, 65535)


def endpoints(version: int) -> st.SearchStrategy[tuple[str, int]]:
    return st.tuples(st.ip_addresses(v=version).map(str), PORTS)  # type: ignore[arg-type]


PAIRS = st.sampled_from([4, 6]).flatmap(lambda version: st.tuples(endpoints(version), endpoints(version)))


def plain(endpoint: tuple[str, int]) -> tuple[object, int]:
    address = ipaddress.ip_address(endpoint[0])
    return getattr(address, "ipv4_mapped", None) or address, endpoint[1]


def whole(data: bytes) -> Header:
    header = parse(data)
    assert header is not None
    return header


@given(VERSIONS, PAIRS, st.binary(max_size=50))
def test_what_is_written_is_read_and_not_a_byte_more(
    version: str, pair: tuple[tuple[str, int], tuple[str, int]], rest: bytes
) -> None:
    written = encode(version, *pair)
    header = whole(written + rest)
    assert header.length == len(written)
    if plain(pair[0])[0].version == plain(pair[1])[0].version:  # type: ignore[attr-defined]
        assert header.source is not None
        assert header.destination is not None
        assert plain(header.source) == plain(pair[0])
        assert plain(header.destination) == plain(pair[1])
    else:
        assert header.source is None
    for length in range(len(written)):
        assert parse(written[:length]) is None
    assert version == "v2" or len(written) <= LINE_MAX


def test_the_words_of_the_specification() -> None:
    line = b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"
    assert encode("v1", ("192.168.0.1", 56324), ("192.168.0.11", 443)) == line
    header = whole(line + b"GET / HTTP/1.1\r\n")
    assert (header.source, header.destination) == (("192.168.0.1", 56324), ("192.168.0.11", 443))
    six = b"PROXY TCP6 2001:DB8:0:0:0:0:0:7 2001:db8::1 1 2\r\n"
    assert whole(six).source == ("2001:db8::7", 1)
    binary = encode("v2", ("192.168.0.1", 56324), ("192.168.0.11", 443))
    assert binary == SIGNATURE + b"\x21\x11\x00\x0c\xc0\xa8\x00\x01\xc0\xa8\x00\x0b\xdc\x04\x01\xbb"


def test_ipv4_in_the_clothes_of_ipv6_is_told_as_ipv4() -> None:
    source, destination = ("::ffff:10.0.0.7", 51234), ("::ffff:10.0.0.1", 80)
    assert encode("v1", source, destination) == b"PROXY TCP4 10.0.0.7 10.0.0.1 51234 80\r\n"
    assert encode("v2", source, destination)[13:14] == b"\x11"


@pytest.mark.parametrize(
    ("source", "destination"),
    [(None, None), (("10.0.0.1", 1), ("2001:db8::1", 2)), (("10.0.0.1", 1), None), (None, ("10.0.0.1", 1))],
)
def test_what_cannot_be_told_is_told_to_be_unknown(
    source: tuple[str, int] | None, destination: tuple[str, int] | None
) -> None:
    assert encode("v1", source, destination) == b"PROXY UNKNOWN\r\n"
    assert encode("v2", source, destination) == SIGNATURE + b"\x20\x00\x00\x00"


SAYS_NOTHING = [
    b"PROXY UNKNOWN\r\n",
    b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
    b"PROXY UNKNOWN \xff\xfe whatever\r\n",
    SIGNATURE + b"\x20\x00\x00\x00",
    SIGNATURE + b"\x20\x11\x00\x0c" + b"\x01" * 12,  # LOCAL: addresses are skipped
    SIGNATURE + b"\x21\x00\x00\x05hello",
    SIGNATURE + b"\x21\x12\x00\x0c" + b"\x01" * 12,  # UDP is not how our client came
    SIGNATURE + b"\x21\x31\x00\xd8" + b"/" * 216,
]


@pytest.mark.parametrize("data", SAYS_NOTHING)
def test_a_header_may_name_nobody(data: bytes) -> None:
    header = whole(data + b"rest")
    assert (header.length, header.source, header.destination) == (len(data), None, None)


def test_what_follows_the_addresses_is_skipped() -> None:
    data = (
        SIGNATURE
        + b"\x21\x11\x00\x13"
        + b"\x0a\x00\x00\x07\x0a\x00\x00\x01\x00\x01\x00\x02"
        + b"\x04\x00\x04abcd"
    )
    header = whole(data + b"rest")
    assert header.length == len(data)
    assert header.source == ("10.0.0.7", 1)


WRONG = [
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01",
    b"PROXY\r\n",
    b"PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
    b"PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
    b"PROXY TCP4 ::1 ::1 1 2\r\n",
    b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP6 fe80::1%lo ::1 1 2\r\n",
    b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 1.2.3.4 \xff.2.3.4 1 2\r\n",
    b"PROXY UNKNOWN " + b"x" * 107,
    b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
    SIGNATURE[:11] + b"X",
    SIGNATURE + b"\x11\x11\x00\x0c" + b"\x01" * 12,  # version 1 in binary
    SIGNATURE + b"\x22\x11\x00\x0c" + b"\x01" * 12,
    SIGNATURE + b"\x21\x41\x00\x0c" + b"\x01" * 12,
    SIGNATURE + b"\x21\x13\x00\x0c" + b"\x01" * 12,
    SIGNATURE + b"\x21\x11\x00\x0b" + b"\x01" * 11,
    SIGNATURE + b"\x21\x21\x00\x0c" + b"\x01" * 12,
    SIGNATURE + b"\x21\x11\xff\xff",
]


@pytest.mark.parametrize("data", WRONG)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse(data)


BYTES = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=120).map(lambda data: b"PROXY TCP4 " + data),
    st.binary(max_size=300).map(lambda data: SIGNATURE + data),
)


@given(BYTES, st.binary(max_size=100))
def test_any_bytes_get_one_answer_that_more_bytes_do_not_change(first: bytes, more: bytes) -> None:
    try:
        header = parse(first)
    except Malformed:
        with pytest.raises(Malformed):
            parse(first + more)
        return
    if header is not None:
        assert header.length <= len(first)
        assert (whole(first + more).length, whole(first + more).source) == (header.length, header.source)


def test_a_client_is_told_by_its_own_address_and_the_one_it_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(listener.getsockname()) as near, listener.accept()[0] as far:
            client = Client(far, ("127.0.0.1", near.getsockname()[1]), 0)
            written = b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n" % (near.getsockname()[1], port)
            assert header_for(client, "v1") == written
            client.destination = ("127.0.0.9", 443)
            assert whole(header_for(client, "v2")).destination == ("127.0.0.9", 443)


def test_a_unix_client_has_nothing_to_tell() -> None:
    near, far = socket.socketpair()
    with near, far:
        assert header_for(Client(far, "", 0), "v1") == b"PROXY UNKNOWN\r\n"
