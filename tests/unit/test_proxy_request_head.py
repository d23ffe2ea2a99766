"""What is read of a request, in whole and in every part of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeport.proxy.admission.request_head import LINES_MAX, Head, read_head

REQUEST = b"GET /healthz?full=1 HTTP/1.1\r\nhOsT: Example.org:8080\r\nUser-Agent:  Probe/1.0 \r\n\r\nbody"


def known(head: Head) -> list[str | None]:
    return [head.method, head.path, head.host, head.user_agent]


def test_method_path_host_and_user_agent() -> None:
    head = read_head(REQUEST)
    assert known(head) == ["GET", "/healthz", "example.org", "Probe/1.0"]
    assert head.is_whole


def test_bare_line_feeds_end_lines_too() -> None:
    assert known(read_head(REQUEST.replace(b"\r\n", b"\n"))) == known(read_head(REQUEST))


def test_each_part_is_known_from_the_end_of_its_line_on() -> None:
    for length in range(len(REQUEST)):
        head = read_head(REQUEST[:length])
        lines = REQUEST[:length].count(b"\n")
        assert (head.path is not None) == (lines >= 1)
        # A line has ended when the next one is seen not to continue it.
        assert (head.host is not None) == (length > REQUEST.index(b"User"))
        assert (head.user_agent is not None) == (length > REQUEST.index(b"\r\n\r\n") + 2)
        assert head.is_whole == (lines >= 4)


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"http://a.example:81/x?y", "/x", "a.example"),
        (b"HTTPS://user@A.example/", "/", "a.example"),
        (b"http://a.example", "/", "a.example"),
        (b"http://a.example?q=/x", "/", "a.example"),
        (b"http://[2001:db8::1]:80/", "/", "[2001:db8::1]"),
        (b"*", "*", "b.example"),
        (b"/?u=http://a.example/", "/", "b.example"),
        (b"//a.example/x", "//a.example/x", "b.example"),
    ],
)
def test_forms_of_a_target(target: bytes, path: str, host: str) -> None:
    head = read_head(b"GET " + target + b" HTTP/1.1\r\nHost: b.example\r\n\r\n")
    assert (head.path, head.host) == (path, host)


def test_connect_names_a_host_and_no_path() -> None:
    head = read_head(b"CONNECT a.example:443 HTTP/1.1\r\nHost: b.example\r\n\r\n")
    assert (head.path, head.host) == ("", "a.example")


@pytest.mark.parametrize(
    ("value", "host"),
    [(b"a.example.", "a.example"), (b"[::1]:80", "[::1]"), (b"[::1", "[::1]"), (b"", ""), (b":80", "")],
)
def test_a_host_is_without_its_port(value: bytes, host: str) -> None:
    assert read_head(b"GET / HTTP/1.1\r\nHost:" + value + b"\r\n\r\n").host == host


def test_an_absent_field_is_absent_once_the_head_has_ended() -> None:
    assert not read_head(b"GET / HTTP/1.0\r\n").is_whole
    head = read_head(b"GET / HTTP/1.0\r\n\r\n")
    assert known(head) == ["GET", "/", None, None]
    assert head.is_whole


def test_the_first_of_two_counts() -> None:
    assert read_head(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").host == "a"


@pytest.mark.parametrize(
    "line", [b" folded", b"\tfolded", b"no colon", b": no name", b"Na me: x", b"Host : b"]
)
def test_a_line_that_makes_no_sense_ends_the_reading(line: bytes) -> None:
    """A folded line takes the one before it along: what that says depends on who reads it."""
    head = read_head(b"GET / HTTP/1.1\r\nUser-Agent: x\r\nA: b\r\n" + line + b"\r\nHost: a\r\n\r\n")
    assert known(head) == ["GET", "/", None, "x"]
    assert head.is_whole


def test_a_folded_host_is_none() -> None:
    head = read_head(b"GET / HTTP/1.1\r\nHost: a\r\n .example\r\n\r\n")
    assert head.host is None
    assert head.is_whole


def test_lines_without_end_are_read_up_to_a_bound() -> None:
    fields = b"A: b\r\n" * (LINES_MAX - 1)
    assert not read_head(b"GET / HTTP/1.1\r\n" + fields).is_whole
    head = read_head(b"GET / HTTP/1.1\r\n" + fields + b"Host: a\r\nUser-Agent: x\r\n")
    assert (head.host, head.user_agent, head.is_whole) == ("a", None, True)


@pytest.mark.parametrize("first", [b"\x16\x03\x01", b"SSH-2.0-x\r\n", b"PRI * HTTP/2.0\r\n\r\n", b"\r\n"])
def test_other_protocols_have_no_head(first: bytes) -> None:
    head = read_head(first)
    assert known(head) == [None] * 4
    assert head.is_whole


def test_nothing_and_a_long_line_are_open() -> None:
    for first in (b"", b"G", b"GET /" + b"a" * 16_000):
        assert not read_head(first).is_whole


PIECES = [
    b"GET ",
    b"/x",
    b" HTTP/1.1",
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b"Host: a",
    b"user-agent: b",
]
BYTES = st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join))


@given(st.one_of(BYTES, BYTES.map(lambda more: b"GET / HTTP/1.1\r\n" + more)), st.integers(0, 200))
def test_what_is_known_stays_known_whatever_comes(data: bytes, cut: int) -> None:
    early, late = read_head(data[:cut]), read_head(data)
    for before, after in zip(known(early), known(late), strict=True):
        assert before in (None, after)
    if early.is_whole:
        assert known(early) == known(late)
        assert late.is_whole
