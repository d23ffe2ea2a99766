"""The bytes of a waiting page, whatever services, stages and templates are called."""

from __future__ import annotations

import html.parser
import http.client
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeport.proxy.page import pieces
from wakeport.proxy.page.pieces import Template
from wakeport.proxy.page.text import BUILT_IN

UNSEEN = {"style", "script", "title"}


class Seen(html.parser.HTMLParser):
    """What a page consists of: its tags, and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[dict[str, str | None]] = []
        self.text = ""
        self.inside = ""
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.append(dict(attrs))
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = "" if tag in UNSEEN else self.inside

    def handle_data(self, data: str) -> None:
        if self.inside not in UNSEEN:
            self.text += data


def response(raw: bytes) -> tuple[http.client.HTTPResponse, bytes]:
    class Socket:
        def makefile(self, _mode: str) -> io.BytesIO:
            return io.BytesIO(raw)

    answer = http.client.HTTPResponse(Socket(), method="GET")  # type: ignore[arg-type]
    answer.begin()
    return answer, answer.read()


def page(template: Template, *items: bytes, last: bytes = b"") -> bytes:
    return template.before + b"".join(items) + template.ending(last, 1)


def test_the_built_in_page_needs_nothing_from_elsewhere_and_no_script_to_be_read() -> None:
    seen = Seen(page(Template(BUILT_IN, "web")))
    urls = [
        value or "" for each in seen.attributes for name, value in each.items() if name in ("src", "href")
    ]
    assert all(url.startswith("data:") for url in urls)
    assert "@import" not in BUILT_IN
    assert "url(" not in BUILT_IN
    assert "<script" not in BUILT_IN
    assert seen.attributes[0] == {"lang": "en"}


def test_there_is_enough_to_read_for_a_browser_to_paint_before_the_first_stage() -> None:
    """WebKit waits for 200 letters of a page that still loads."""
    words = " ".join(Seen(Template(BUILT_IN, "x").before).text.split()).partition("did not wake")[0]
    assert len(words) > 200


def test_stages_stand_in_their_place_and_the_refresh_before_the_body_ends() -> None:
    built_in = Template(BUILT_IN, "web")
    text = page(built_in, pieces.stage("one"), pieces.passed(0.24), last=pieces.ready(2.0)).decode()
    assert "<li>one <small>0.2\u00a0s</small></li>\n" in text
    assert text.index("<li>one") < text.index('<li class="ready">') < text.index("</ol>")
    assert text.index("</main>") < text.index('http-equiv="refresh" content="1"') < text.index("</body>")
    assert "{{" not in text


def test_a_page_without_a_place_for_stages_or_an_end_of_its_body_still_moves_on() -> None:
    template = Template("<p>{{service}} & {{service}}", "we<b>")
    assert not template.shows_stages
    assert template.before == b"<p>we&lt;b&gt; & we&lt;b&gt;"
    ending = template.ending(b"<li>unseen", 7)
    assert b"unseen" not in ending
    assert ending.endswith(b'<meta http-equiv="refresh" content="7">\n')


@pytest.mark.parametrize("make", [pieces.stage, lambda text: pieces.failed(text, 5)])
def test_no_text_of_the_supervisor_becomes_a_tag(make) -> None:  # type: ignore[no-untyped-def]
    text = """<script>alert("&'")</script><li class=ready>"""
    seen = Seen(make(text))
    assert seen.tags == ["li"]
    assert text in seen.text


@given(st.text())
def test_any_text_is_one_line_of_one_item(text: str) -> None:
    piece = pieces.stage(text)
    assert Seen(piece).tags == ["li"]
    assert b"\n" not in piece
    assert len(piece) <= 4 + 6 * pieces.TEXT_MAX


@given(st.text(), st.text(max_size=40))
def test_any_text_makes_a_template(text: str, service: str) -> None:
    template = Template(text, service)
    assert template.ending(b"", 1).count(b'http-equiv="refresh"') >= 1


@given(st.floats(0, 1e6), st.lists(st.binary(max_size=100), max_size=5))
def test_a_chunked_page_is_one_well_formed_response(retry_after: float, parts: list[bytes]) -> None:
    raw = pieces.head(retry_after, chunked=True) + b"".join(map(pieces.chunk, parts)) + pieces.LAST_CHUNK
    answer, body = response(raw)
    assert body == b"".join(parts)
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) >= max(1, retry_after)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Connection"] == "close"


def test_a_page_that_is_whole_says_how_long_it_is() -> None:
    answer, body = response(pieces.head(3.1, length=4) + b"page and more")
    assert (body, answer.headers["Retry-After"]) == (b"page", "4")
