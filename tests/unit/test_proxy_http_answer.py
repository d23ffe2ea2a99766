"""What counts as HTTP, and what an answer looks like, whatever clients and reasons contain."""

from __future__ import annotations

import http.client
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeport.proxy.http_answer import PEEK, fixed, service_unavailable, speaks_http

REQUESTS = [
    b"GET / HTTP/1.1\r\n",
    b"HEAD /x HTTP/1.0\r\n",
    b"OPTIONS * HTTP/1.1\n",
    b"M-SEARCH * HTTP/1.1\r\n",
    b"CONNECT host:443 HTTP/1.1\r\n",
    b"GET http://web/ HTTP/1.1\r\nHost: web\r\n\r\n",
    b"GET /caf\xc3\xa9 HTTP/1.1\r\n",
]
NOT_HTTP = [
    b"\x16\x03\x01",
    b"SSH-2.0-OpenSSH\r\n",
    b"EHLO client\r\n",
    b"get / HTTP/1.1\r\n",
    b"PRI * HTTP/2.0\r\n\r\n",
    b" GET / HTTP/1.1\r\n",
    b"\r\n",
    b"*1\r\n$4\r\nPING\r\n",
    b"AVERYLONGMETHODNAME /",
    b"GET /\x00",
    b"GET /\x00 HTTP/1.1\r\n",
]


@pytest.mark.parametrize("request_bytes", REQUESTS)
def test_requests_are_http_from_their_first_line_on_and_never_denied_before(request_bytes: bytes) -> None:
    line = request_bytes.index(b"\n") + 1
    for length in range(1, line):
        assert speaks_http(request_bytes[:length]) is None
    for length in range(line, len(request_bytes) + 1):
        assert speaks_http(request_bytes[:length]) is True


@pytest.mark.parametrize("words", NOT_HTTP)
def test_other_protocols_are_not_http(words: bytes) -> None:
    assert speaks_http(words) is False


def test_a_request_line_longer_than_the_look_is_taken_for_http() -> None:
    assert speaks_http(b"GET /" + b"a" * PEEK) is True


@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_get_a_verdict(words: bytes) -> None:
    assert speaks_http(words) in (True, False, None)


@given(st.binary(min_size=1, max_size=60), st.binary(max_size=60))
def test_a_verdict_does_not_change_with_more_bytes(first: bytes, more: bytes) -> None:
    verdict = speaks_http(first)
    if verdict is not None:
        assert speaks_http(first + more) is verdict


def parsed(answer: bytes, head_only: bool) -> tuple[http.client.HTTPResponse, bytes]:
    """What a client reads, and that it reads it to the last byte."""
    stream = io.BytesIO(answer)

    class Socket:
        def makefile(self, _mode: str) -> io.BytesIO:
            return stream

    response = http.client.HTTPResponse(Socket(), method="HEAD" if head_only else "GET")  # type: ignore[arg-type]
    response.begin()
    body = response.read()
    assert stream.closed or not stream.read()
    return response, body


@given(st.integers(200, 599), st.text(), st.booleans())
def test_fixed_words_are_one_well_formed_response(status: int, words: str, head_only: bool) -> None:
    response, body = parsed(fixed(status, words, head_only), head_only)
    assert response.status == status
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Connection"] == "close"
    if status in (204, 304):
        assert response.headers["Content-Length"] is None
        assert not body
    elif not head_only:
        assert body.decode() == words
        assert int(response.headers["Content-Length"]) == len(body)


@given(st.text(), st.floats(0, 1e6), st.booleans())
def test_every_answer_is_one_well_formed_response(reason: str, retry_after: float, head_only: bool) -> None:
    answer = service_unavailable("web", reason, retry_after, head_only)

    response, body = parsed(answer, head_only)
    assert response.status == 503
    assert set(response.headers) == {
        "Content-Type", "Content-Length", "Retry-After", "Cache-Control", "Connection"
    }  # fmt: skip
    assert int(response.headers["Retry-After"]) >= max(1, retry_after)
    assert head_only or len(body) == int(response.headers["Content-Length"])
    assert head_only or body.count(b"\n") == 2
