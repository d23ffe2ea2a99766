"""HTTP as the Engine speaks it, over a real socket pair, cut anywhere."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeport.loop import Loop
from wakeport.runtimes.docker.engine import Exchange, problem, quoted
from wakeport.runtimes.docker.output import Stream
from wakeport.runtimes.docker.runtime import Runtime
from wakeport.runtimes.problems import Missing, Refused, Unreachable

CUTS = st.lists(st.integers(1, 60), min_size=1, max_size=30)


@contextmanager
def exchange_of(answer: bytes, cuts: list[int]) -> Iterator[tuple[Loop, Exchange]]:
    """An exchange whose answer arrives in pieces of these sizes, and then ends."""
    loop = Loop()
    ours, theirs = socket.socketpair()

    async def send() -> None:
        rest = answer
        for size in [*cuts, len(answer)]:
            if rest:
                theirs.send(rest[:size])
                rest = rest[size:]
                await loop.sleep(0)
        theirs.shutdown(socket.SHUT_WR)

    loop.spawn(send())
    with ours, theirs:
        yield loop, Exchange(loop, ours)
    loop.close()


def read(answer: bytes, cuts: list[int]) -> tuple[int, bytes]:
    with exchange_of(answer, cuts) as (loop, exchange):

        async def all_of_it() -> tuple[int, bytes]:
            return await exchange.head(), await exchange.body()

        return loop.run(all_of_it())


@given(body=st.binary(max_size=200), cuts=CUTS)
def test_an_answer_with_a_length(body: bytes, cuts: list[int]) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    assert read(answer, cuts) == (200, body)


@given(chunks=st.lists(st.binary(min_size=1, max_size=50), max_size=6), cuts=CUTS)
def test_an_answer_in_chunks(chunks: list[bytes], cuts: list[int]) -> None:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    assert read(answer, cuts) == (200, b"".join(chunks))


@given(body=st.binary(max_size=100), cuts=CUTS)
def test_an_answer_that_lasts_until_the_end(body: bytes, cuts: list[int]) -> None:
    assert read(b"HTTP/1.1 200 OK\r\n\r\n" + body, cuts) == (200, body)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort",
    ],
)
def test_an_answer_that_breaks_off(answer: bytes) -> None:
    with pytest.raises(Unreachable, match="hung up"):
        read(answer, [7])


def test_refusals_carry_the_words_of_the_engine() -> None:
    missing = problem(404, b'{"message":"No such container: web"}')
    assert isinstance(missing, Missing)
    assert str(missing) == "No such container: web"
    refused = problem(500, b'{"message":"driver failed\\n programming  endpoint"}')
    assert isinstance(refused, Refused)
    assert (str(refused), refused.status) == ("driver failed programming endpoint", 500)
    assert str(problem(502, b"")) == "Docker answered 502"


@given(text=st.text(max_size=40))
def test_a_quoted_text_has_nothing_that_a_query_would_read(text: str) -> None:
    assert set(quoted(text)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%")


def copied(data: bytes, cuts: list[int], tty: bool = False) -> bytes:
    reading, writing = os.pipe()
    with (
        open(reading, "rb") as pipe,
        exchange_of(b"HTTP/1.1 200 OK\r\n\r\n" + data, cuts) as (loop, exchange),
    ):

        async def all_of_it() -> None:
            await exchange.head()
            await Stream(loop, exchange, writing, tty).copy()

        loop.run(all_of_it())
        os.close(writing)
        return pipe.read()


def framed(writes: list[tuple[int, bytes]]) -> bytes:
    return b"".join(bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text for stream, text in writes)


@given(writes=st.lists(st.binary(max_size=50), max_size=8), cuts=CUTS)
def test_output_without_a_tty_comes_out_of_its_frames(writes: list[bytes], cuts: list[int]) -> None:
    assert copied(framed([(1, text) for text in writes]), cuts) == b"".join(writes)


@given(
    writes=st.lists(
        st.one_of(
            st.tuples(st.just(1), st.text("o\n", max_size=20)),
            st.tuples(st.just(2), st.text("e\n", max_size=20)),
        ),
        max_size=12,
    ),
    cuts=CUTS,
)
def test_halves_of_lines_of_both_streams_are_not_joined(
    writes: list[tuple[int, str]], cuts: list[int]
) -> None:
    """Ten thousand lines on stdout, the last of them cut by a frame's end, and then a word on stderr."""
    lines = copied(framed([(stream, text.encode()) for stream, text in writes]), cuts)
    said = lines.decode().split("\n")
    for stream, letter in (1, "o"), (2, "e"):
        written = "".join(text for kind, text in writes if kind == stream).split("\n")
        assert [line for line in said if letter in line] == [line for line in written if line]
    assert not any("o" in line and "e" in line for line in said)


@given(lines=st.lists(st.binary(max_size=20).filter(lambda line: b"\r" not in line), max_size=8), cuts=CUTS)
def test_output_of_a_tty_gets_plain_line_ends(lines: list[bytes], cuts: list[int]) -> None:
    assert copied(b"\r\n".join(lines), cuts, tty=True) == b"\n".join(lines)


def test_what_was_handed_over_and_not_begun_with_is_handed_on() -> None:
    """Two upgrades in a row: the second comes before the newer self has done anything."""
    loop = Loop()
    runtime = Runtime(loop, "web")
    runtime.go_on_with_output({"fd": 7})
    assert runtime.output_facts() == {"fd": 7}
    loop.close()


@given(
    writes=st.lists(st.tuples(st.sampled_from([1, 2]), st.text("ab\n", max_size=20)), max_size=8),
    chunked=st.booleans(),
    tty=st.booleans(),
    cut=st.integers(0, 400),
)
def test_a_newer_self_goes_on_in_the_middle_of_anything(
    writes: list[tuple[int, str]], chunked: bool, tty: bool, cut: int
) -> None:
    """What a supervisor had not read when it was replaced was lost, and now and then a line came twice."""
    said = [(stream, text.replace("\n", "\r\n" if tty else "\n").encode()) for stream, text in writes]
    pieces = [text for _, text in said if text] if tty else [framed([one]) for one in said]
    plain = b"".join(pieces)
    chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces]
    body = b"".join([*chunks, b"0\r\n\r\n"]) if chunked else plain
    ours, theirs = socket.socketpair()
    loop, newer_loop = Loop(), Loop()
    with theirs, tempfile.TemporaryFile() as before, tempfile.TemporaryFile() as after:
        exchange = Exchange(loop, ours)
        exchange.answered(b"", chunked)
        stream = Stream(loop, exchange, before.fileno(), tty)
        task = loop.spawn(stream.copy())
        theirs.send(body[:cut])
        loop.run(loop.sleep(0.001))
        theirs.send(body[cut:])
        theirs.shutdown(socket.SHUT_WR)
        text = os.pread(before.fileno(), 10_000, 0)
        if not task.done:
            facts = json.loads(json.dumps(stream.facts()))
            newer = Exchange(newer_loop, socket.socket(fileno=os.dup(facts["fd"])))
            newer_loop.run(Stream.handed_over(newer_loop, newer, after.fileno(), facts).copy())
            newer.close()
            text += os.pread(after.fileno(), 10_000, 0)
        task.cancel()
        exchange.close()
    loop.close()
    newer_loop.close()
    assert text == copied(plain, [len(plain) or 1], tty)
