"""What the benchmark takes for a right answer: the whole page, and nothing less or else."""

from __future__ import annotations

import pytest

from bench.visit import Unserved, require_page
from lab.images import PAGE

HEAD = b"HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n"


def test_the_whole_page_is_right() -> None:
    require_page(HEAD + PAGE.encode())


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "closed without an answer"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n" + PAGE.encode(), "503"),
        (HEAD + PAGE.encode()[:-1], "200"),
        (HEAD + PAGE.encode() + b"x", "200"),
        (PAGE.encode(), "doctype"),
    ],
)
def test_anything_else_is_not(answer: bytes, why: str) -> None:
    with pytest.raises(Unserved, match=why):
        require_page(answer)
