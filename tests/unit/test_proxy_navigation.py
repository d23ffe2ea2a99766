"""Who is taken for a person's browser that opens a page, by first bytes alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeport.proxy.page.navigation import begins_navigation, takes_chunks


def request(*lines: str, first: str = "GET / HTTP/1.1") -> bytes:
    return "\r\n".join([first, "Host: web:8080", *lines, "", ""]).encode()


# What Chromium 156 and Firefox 128 send without TLS to another machine. FETCHED comes with TLS, or locally.
PLAIN_CHROMIUM = request(
    "Connection: keep-alive",
    "Upgrade-Insecure-Requests: 1",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Encoding: gzip, deflate",
)
PLAIN_FIREFOX = request(
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Upgrade-Insecure-Requests: 1",
    "Priority: u=0, i",
)
FETCHED = (
    "Sec-Fetch-Site: none",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-User: ?1",
    "Sec-Fetch-Dest: document",
)
SAFE = request("User-Agent: whatever", "Accept: */*", *FETCHED)

NAVIGATIONS = [
    PLAIN_CHROMIUM,
    PLAIN_FIREFOX,
    SAFE,
    request(*FETCHED, "Authorization: Basic dTpw", "Cookie: a=b; c=d", "Cache-Control: max-age=0"),
    request(*FETCHED, first="GET /a/b?c=d%20e HTTP/1.0"),
    request("user-agent:Mozilla/5.0", "ACCEPT: TEXT/HTML"),
    request("User-Agent: Mozilla/5.0", "Accept: application/xml", "Accept: text/html;q=0.5"),
]

BROWSER = ("User-Agent: Mozilla/5.0", "Accept: text/html")

OTHERS = [
    request("User-Agent: curl/7.88.1", "Accept: */*"),
    request("User-Agent: curl/7.88.1", "Accept: text/html"),
    request("User-Agent: Mozilla/5.0", "Accept: */*"),
    request("User-Agent: Mozilla/5.0", "Accept: text/html-sandboxed"),
    request("User-Agent: Mozilla/5.0"),
    request(*BROWSER, first="POST / HTTP/1.1"),
    request(*BROWSER, first="HEAD / HTTP/1.1"),
    request(*BROWSER, first="get / HTTP/1.1"),
    request(*BROWSER, first="GET / HTTP/2.0"),
    request(*BROWSER, first="GET / HTTP/1.1 "),
    request(*BROWSER, first="GET  HTTP/1.1"),
    request(*BROWSER, first="GET /"),
    request(*BROWSER, "Connection: Upgrade", "Upgrade: websocket"),
    request(*BROWSER, "Upgrade: h2c"),
    request(*BROWSER, "Range: bytes=0-"),
    request(*BROWSER, "X-Requested-With: XMLHttpRequest"),
    request(*BROWSER, "Purpose: prefetch"),
    request(*FETCHED, "Sec-Purpose: prefetch;prerender"),
    request(*FETCHED, "Upgrade: websocket"),
    request(*FETCHED, "Content-Length: 3"),
    request(*BROWSER, "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"),
    request(*BROWSER, "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"),
    request(*BROWSER, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"),
    request(*BROWSER, "Sec-Fetch-Mode: navigate"),
    request(*BROWSER, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: document"),
    request(*BROWSER, "no field at all"),
    request(*BROWSER, " continued: from the line above"),
    request(*BROWSER, "Accept : */*"),
    PLAIN_CHROMIUM.replace(b"\r\n", b"\n") + b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    b"\r\n\r\n",
    b"GET \r\n\r\n",
]


@pytest.mark.parametrize("first", NAVIGATIONS)
def test_a_browser_that_opens_a_page_is_known_by_its_whole_head_and_not_before(first: bytes) -> None:
    assert begins_navigation(first) is True
    assert begins_navigation(first + b"anything") is True
    assert all(begins_navigation(first[:length]) is None for length in range(len(first)))


@pytest.mark.parametrize("first", OTHERS)
def test_nobody_else_is_taken_for_one(first: bytes) -> None:
    assert begins_navigation(first) is False


def test_what_cannot_become_a_page_s_request_is_told_at_once() -> None:
    assert begins_navigation(b"P") is False
    assert begins_navigation(b"\x16") is False
    assert begins_navigation(b"GEX") is False


def test_who_knows_chunks() -> None:
    assert takes_chunks(PLAIN_CHROMIUM)
    assert not takes_chunks(request(first="GET /HTTP/1.1 HTTP/1.0"))


@given(st.binary(max_size=400))
def test_any_bytes_get_a_verdict_and_only_a_whole_head_is_a_page_s(first: bytes) -> None:
    for words in (first, b"GET / HTTP/1.1\r\n" + first):
        verdict = begins_navigation(words)
        assert verdict in (True, False, None)
        assert verdict is not True or b"\r\n\r\n" in words
        takes_chunks(words)


FIELDS = st.sampled_from(
    [*BROWSER, *FETCHED, "Range: bytes=0-", "Upgrade: x", "Sec-Fetch-Dest: iframe", "Accept: */*", ": ", "x"]
)


@given(st.lists(FIELDS, max_size=6), st.binary(max_size=20))
def test_a_verdict_does_not_change_with_more_bytes(fields: list[str], more: bytes) -> None:
    first = request(*fields)
    verdict = begins_navigation(first)
    assert verdict is not None
    assert begins_navigation(first + more) is verdict
    if verdict:
        assert not {"Range: bytes=0-", "Upgrade: x", "Sec-Fetch-Dest: iframe", ": ", "x"} & set(fields)
